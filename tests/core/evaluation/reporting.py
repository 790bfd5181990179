"""A store with every kind of artifact that a report shows, and a reader of the page that is made of it."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

from artifacts.store import Artifact
from core.config.ingest import PRESETS
from core.data.dataset import SPLITS
from core.data.tables import write_table
from core.fusion.picture import draw
from core.stages.kinds import KINDS
from tests.core.evaluation.test_eval_stage import Shop

HOSTILE = '<script>alert(1)</script><img src=x onerror=alert(2)> | **"Film"** [x](javascript:alert(3)) `y`'
HOSTILE_USER = "u<b>1</b>"
MACHINE = "cpu 2 of 2 threads, some processor"


class Showroom(Shop):
    """A store whose fused model has a whole lineage; what training would have written is made up."""

    def fused(
        self,
        name: str = "thinkrec",
        *,
        experts: int = 2,
        adapter: Artifact | None = None,
        style: str = "paper",
        centred: bool = False,
        projector: dict[str, Any] | None = None,
        traces: bool = True,
        **training: Any,
    ) -> Artifact:
        """Publish a model with groups, experts and an adapter behind it, and scores of it."""
        encoder = self.encoder("sasrec")
        home = {"dataset": [self.dataset_artifact.object_id]}
        groups = self.publish(
            "groups",
            f"{name}-groups",
            {"encoder": [encoder.object_id]},
            lambda folder: self._groups(folder, experts),
        )
        told = {"traces": [self.traces().object_id]} if traces else {}
        trained = adapter or self.publish(
            "adapter", f"{name}-global", home | told, _adapter, style=style, **training
        )
        inputs = {"adapter": [trained.object_id], "groups": [groups.object_id], **home}
        made = self.publish(
            "experts", f"{name}-experts", inputs, lambda folder: _experts(folder, experts)
        )
        inputs = {"experts": [made.object_id], "encoder": [encoder.object_id], **home}
        model = self.publish(
            "model",
            name,
            inputs,
            lambda folder: self._model(folder, experts, centred=centred, projector=projector),
        )
        self.scores_of(model)
        return model

    def traces(self) -> Artifact:
        """Publish a teacher's reasons, of no row."""
        home = {"dataset": [self.dataset_artifact.object_id]}
        return self.publish(
            "traces", "grounded", home, lambda folder: _empty(folder, "traces", "traces.parquet")
        )

    def scores_of(self, scorer: Artifact) -> Artifact:
        """Publish scores of the test rows by a scorer."""
        like = self.scores(f"{scorer.name}-like")  # the same table, under another scorer
        inputs = {
            "scorer": [scorer.object_id],
            "dataset": [self.dataset_artifact.object_id],
        }

        def write(folder: Path) -> None:
            for name in ("scores.parquet", "scoring.json"):
                (folder / name).write_bytes(like.file(name).read_bytes())

        return self.publish("scores", scorer.name, inputs, write)

    def explained(
        self,
        scorer: Artifact,
        *,
        title: str = "Film 7",
        name: str = "one",
        item: str = "i7",
        influence: bool = True,
    ) -> Artifact:
        """Publish an explanation by a scorer, with a history, as a rule one whose influence was measured."""
        moved = (0.25, -0.5) if influence else (None, None)
        history = [
            {"item": "i1", "title": title, "label": 1, "influence": moved[0]},
            {"item": "i2", "title": "Film 2", "label": 0, "influence": moved[1]},
        ]
        facts: dict[str, Any] = {
            "row": int(self.dataset.rows("test")[0]),
            "user": HOSTILE_USER,
            "item": item,
            "title": title,
            "answer": "Yes",
            "probability": 0.8125,
            "score": 1.0,
            "reason": f"They liked {title}.",
            "reference": "They like drama.",
            "route": "fused",
            "weights": [0.25, 0.75],
            "evidence": ["The user liked 3 of 4."],
            "history": history,
        }

        def write(folder: Path) -> None:
            (folder / "explanation.json").write_text(json.dumps(facts))
            types = KINDS["explanation"].payload("explanations.parquet").columns
            write_table(folder / "explanations.parquet", {c: [facts.get(c)] for c in types}, types)
            types = KINDS["explanation"].payload("influences.parquet").columns
            write_table(folder / "influences.parquet", {c: [] for c in types}, types)

        inputs = {
            "scorer": [scorer.object_id],
            "dataset": [self.dataset_artifact.object_id],
        }
        return self.publish("explanation", name, inputs, write)

    def as_papers(self, source: str, files: list[str] | None = None, **other: Any) -> None:
        """Let what follows be made from the data set under the paper's preset, but for these settings."""
        inner = self.dataset_artifact.folder
        parameters = {"source": source, "threshold": 3.0, **PRESETS[source], **other}
        key = self.store.key(kind="dataset", parameters=parameters, inputs={}, resources={})
        with self.store.publish(
            kind="dataset", name=source, key=key, parameters=parameters, inputs={}, resources={}
        ) as draft:
            for payload in KINDS["dataset"].payloads:
                (draft.folder / payload.path).write_bytes((inner / payload.path).read_bytes())
            (draft.folder / "report.json").write_text(json.dumps({"files": files or ["x"]}))
            splits = {split: len(self.dataset.rows(split)) for split in SPLITS}
            draft.summary.update(splits=splits)
        assert draft.artifact is not None
        self.dataset_artifact = draft.artifact

    def _groups(self, folder: Path, count: int) -> dict[str, Any]:
        users = self.dataset.users
        group = np.arange(len(users)) % count
        places = np.random.default_rng(0).normal(size=(len(users), 2))
        columns = {"user": users, "user_index": range(len(users)), "group": group}
        columns |= {"x": places[:, 0], "y": places[:, 1]}
        _table(folder, "groups", "groups.parquet", columns)
        _representations(folder, "groups", count)
        facts = {"encoder": "sasrec", "method": "kmeans", "k": count, "cohens_d": 1.25}
        facts["sizes"] = np.bincount(group).tolist()
        (folder / "summary.json").write_text(json.dumps(facts))
        picture = draw(places, group.astype(np.int32), title="groups", axes="pca")
        (folder / "picture.svg").write_text(picture)
        return facts

    def _model(
        self, folder: Path, experts: int, *, centred: bool, projector: dict[str, Any] | None
    ) -> dict[str, Any]:
        users = self.dataset.users
        routes = ["cold", *["fused"] * (len(users) - 1)]
        weights = [[], *[[1 / experts] * experts] * (len(users) - 1)]
        columns = {"user": users, "user_index": range(len(users)), "route": routes}
        empty = [None] * len(users)
        columns |= {"expert": empty, "entropy": [0.5] * len(users), "weights": weights}
        _table(folder, "model", "weights.parquet", columns)
        offsets = [0.25 * place if centred else 0.0 for place in range(experts)]
        facts = {"fusion": "exact", "tau": 0.1, "experts": experts, "offsets": offsets}
        facts["projector"] = projector or {"kept": False}
        if projector:
            _training(folder, "model", ["projector"], 12)
        (folder / "fusion.json").write_text(json.dumps(facts))
        return facts | {
            "routes": {"cold": 1, "fused": len(users) - 1},
            "seed": 0,
            "machine": MACHINE,
        }


def _table(folder: Path, kind: str, path: str, columns: dict[str, Any]) -> None:
    write_table(folder / path, columns, KINDS[kind].payload(path).columns)


def _empty(folder: Path, kind: str, path: str) -> None:
    _table(folder, kind, path, {column: [] for column in KINDS[kind].payload(path).columns})


def _representations(folder: Path, kind: str, count: int) -> None:
    columns = {"group": range(count), "users": [10] * count, "vector": [[0.0, 1.0]] * count}
    if kind == "experts":
        columns["offset"] = [0.25 * place for place in range(count)]
    _table(folder, kind, "representations.parquet", columns)


def _training(folder: Path, kind: str, stages: list[str], steps: int) -> None:
    rows = [(stage, step) for stage in stages for step in range(1, steps + 1)]
    columns: dict[str, Any] = {"stage": [s for s, _ in rows], "step": [n for _, n in rows]}
    loss = [0.7 - 0.001 * n for _, n in rows]
    columns |= dict.fromkeys(("loss", "rec_loss", "think_loss"), loss)
    columns |= dict.fromkeys(("learning_rate", "gradient_norm", "seconds"), [0.1] * len(rows))
    columns["tokens"] = [100] * len(rows)
    _table(folder, kind, "steps.parquet", columns)
    looks = {
        "stage": [s for s in stages for _ in range(2)],
        "step": [steps // 2, steps] * len(stages),
        "auc": [0.61, 0.7123] * len(stages),
        "uauc": [None, 0.6] * len(stages),  # too few users with both labels at first
        "log_loss": [0.6, 0.55] * len(stages),
        "rows": [50] * 2 * len(stages),
        "best": [True, True] * len(stages),
    }
    _table(folder, kind, "validations.parquet", looks)


def _trained(steps: int) -> dict[str, Any]:
    return {
        "steps": steps,
        "best_step": steps,
        "tokens_per_second": 512.5,
        "valid_auc": 0.7123,
        "seed": 0,
        "machine": MACHINE,
    }


def _adapter(folder: Path) -> dict[str, Any]:
    for part in ("best", "last"):
        (folder / part).mkdir()
        (folder / part / "adapter_config.json").write_text("{}")
    (folder / "contract.json").write_text("{}")
    _training(folder, "adapter", ["global"], 300)
    return _trained(300) | {"style": "paper"}


def _experts(folder: Path, count: int) -> dict[str, Any]:
    for number in range(count):
        (folder / "experts" / str(number)).mkdir(parents=True)
        (folder / "experts" / str(number) / "adapter_config.json").write_text("{}")
    (folder / "contract.json").write_text("{}")
    _representations(folder, "experts", count)
    _training(folder, "experts", [f"group {n}" for n in range(count)], 12)
    # The first was taken over from other experts, the last found nothing better than its start.
    training = {f"expert {n}": _trained(12) for n in range(1, count)}
    training[f"expert {count - 1}"] = _trained(12) | {"best_step": None}
    return {"experts": count, "training": training, "machine": MACHINE}


class Page(HTMLParser):
    """What a page holds: its tags, its text, and its tables by id."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.tables: dict[str, list[list[Cell]]] = {}
        self._table: list[list[Cell]] | None = None
        self._part: str | None = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.tags.append((tag, attributes))
        if tag == "table":
            self._table = self.tables.setdefault(attributes.get("id", ""), [])
        elif self._table is not None and tag == "tr":
            self._table.append([])
        elif self._table is not None and tag in ("td", "th"):
            self._table[-1].append(Cell(attributes.get("data-value")))
            self._part = "head"
        elif tag == "span" and self._part:
            self._part = attributes.get("class", "").split(" ")[0]

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self._table = None
        if tag in ("td", "th"):
            self._part = None

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self._table and self._part:
            part = self._table[-1][-1].parts
            part[self._part] = part.get(self._part, "") + data.strip()

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


class Cell:
    """A cell of a table: its text by class (value, note, mark, hidden), and the number behind it."""

    def __init__(self, value: str | None) -> None:
        self.number = None if value is None else float(value)
        self.parts: dict[str, str] = {}
