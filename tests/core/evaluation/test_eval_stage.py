"""The eval stage in a real store: what it writes, and what it refuses."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from safetensors.numpy import save_file

from artifacts.store import Artifact, Store
from core.config.eval import EvalConfig
from core.data.dataset import Dataset
from core.data.histories import Histories
from core.data.tables import read_rows, write_table
from core.errors import ConfigError, MismatchError, MissingFileError
from core.evaluation.baselines import bias_scores, recent_scores
from core.evaluation.scores import read_scores
from core.evaluation.summary import summarize
from core.evaluation.uauc import uauc
from core.progress import Silent
from core.stages.base import Context, Unnamed, plan_stage, run_stage
from core.stages.eval import STAGE
from core.stages.kinds import DATASET, EXPLANATION, KINDS, SCORES
from tests.conftest import Heard, write_dataset
from tests.core.evaluation.checkpoints import write_checkpoint


class Shop:
    """A store with a data set, to which scores and explanations are added."""

    def __init__(self, root: Path) -> None:
        self.store = Store.open(root, KINDS, program_version="test")
        self.context = Context(store=self.store)
        self.dataset_artifact = self.publish("dataset", "small", {}, write_dataset)
        self.dataset = Dataset.open(self.dataset_artifact.folder)

    def publish(
        self, kind: str, name: str, inputs: dict[str, list[str]], write: Any, **more: Any
    ) -> Artifact:
        parameters = {"encoder": name} if kind == "encoder" else {"name": name}
        parameters |= more
        key = self.store.key(kind=kind, parameters=parameters, inputs=inputs, resources={})
        with self.store.publish(
            kind=kind, name=name, key=key, parameters=parameters, inputs=inputs, resources={}
        ) as draft:
            written = write(draft.folder)
            draft.summary.update(written if isinstance(written, dict) else {})
        assert draft.artifact is not None
        return draft.artifact

    def encoder(self, name: str, **settings: Any) -> Artifact:
        def write(folder: Path) -> None:
            (folder / "encoder.json").write_text("{}")
            save_file({"w": np.zeros(1, np.float32)}, folder / "weights.safetensors")
            for payload in KINDS["encoder"].payloads[2:]:
                write_table(
                    folder / payload.path, {c: [] for c in payload.columns}, payload.columns
                )

        home = {"dataset": [self.dataset_artifact.object_id]}
        return self.publish("encoder", name, home, write, **settings)

    def scores(
        self,
        name: str,
        *,
        rows: Any = None,
        noise: float = 1.0,
        seed: int | None = None,
        **parameters: Any,
    ) -> Artifact:
        """Scores of an encoder of that name, trained with a seed: the label, blurred."""
        encoder = self.encoder(name) if seed is None else self.encoder(name, seed=seed)
        data = self.dataset
        rows = data.rows("test") if rows is None else rows
        rng = np.random.default_rng(len(name))
        score = 2.0 * data.label[rows] - 1 + noise * rng.normal(size=len(rows))
        columns: dict[str, Any] = {
            "row": rows,
            "user": [data.users[u] for u in data.user[rows]],
            "item": [data.items[i] for i in data.item[rows]],
            "label": data.label[rows],
            "score": score,
            "probability": 1 / (1 + np.exp(-score)),
            "rank": np.ones(len(rows)),
        }
        empty = [None] * len(rows)

        def write(folder: Path) -> None:
            types = SCORES.payload("scores.parquet").columns
            filled = {column: columns.get(column, empty) for column in types}
            write_table(folder / "scores.parquet", filled, types)
            (folder / "scoring.json").write_text("{}")

        inputs = {
            "scorer": [encoder.object_id],
            "dataset": [self.dataset_artifact.object_id],
        }
        return self.publish("scores", name, inputs, write, **parameters)

    def explanation(self) -> Artifact:
        row = int(self.dataset.rows("test")[0])
        line: dict[str, Any] = {
            "row": row,
            "user": "u0",
            "item": "i0",
            "answer": "Yes",
            "probability": 0.8,
            "score": 1.0,
            "reason": "the user likes drama",
            "reference": "the user likes drama films",
            "weights": [],
        }

        def write(folder: Path) -> None:
            (folder / "explanation.json").write_text("{}")
            types = EXPLANATION.payload("explanations.parquet").columns
            write_table(
                folder / "explanations.parquet", {name: [line.get(name)] for name in types}, types
            )
            types = EXPLANATION.payload("influences.parquet").columns
            write_table(folder / "influences.parquet", {name: [] for name in types}, types)

        inputs = {"dataset": [self.dataset_artifact.object_id]}
        return self.publish("explanation", "one", inputs, write)

    def evaluate(self, *references: str, against: str | None = None, **settings: Any) -> Artifact:
        config = EvalConfig(**({"bootstrap_samples": 50, "meteor": False} | settings))
        given: dict[str, list[str]] = {"scores": [], "explanations": []}
        if against:
            given["against"] = [against]
        for reference in references:
            kind = "explanations" if reference.startswith("explanation/") else "scores"
            given[kind].append(reference)
        return run_stage(self.context, STAGE, config, references=given).artifact


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "store")


def nested(artifact: Artifact) -> dict[str, Any]:
    return summarize(
        read_rows(artifact.file("metrics.parquet")), read_rows(artifact.file("comparisons.parquet"))
    )


def test_every_evaluation_shows_the_constant_and_the_counts_first(shop: Shop) -> None:
    shop.scores("mf")
    found = nested(shop.evaluate("scores/mf"))
    assert list(found) == ["constant", "recent", "bias", "encoder/mf@1"]
    assert found["constant"]["auc"] == found["constant"]["uauc"] == 0.5
    assert found["constant"]["scores"] is found["recent"]["scores"] is None
    assert found["encoder/mf@1"]["scores"] == "scores/mf@1"
    assert {line["split"] for line in found.values()} == {"test"}
    json.dumps(found, allow_nan=False)


def test_baselines_of_frozen_scores_have_the_same_histories(shop: Shop) -> None:
    dataset = shop.dataset
    test = dataset.rows("test")
    histories = Histories.of(dataset).frozen(test)
    shop.scores("mf", frozen_history=True)
    frozen = nested(shop.evaluate("scores/mf"))
    scores = read_scores(shop.store.resolve("scores/mf").file("scores.parquet"), "scores/mf@1")
    wanted = recent_scores(scores, dataset, histories)
    assert frozen["recent"]["uauc"] == uauc(wanted.scored_rows()) == 0.5  # no user's rows differ
    wanted = bias_scores(scores, dataset, histories, Silent())
    assert frozen["bias"]["uauc"] == pytest.approx(uauc(wanted.scored_rows()))
    shop.scores("mf", frozen_history=False)
    assert nested(shop.evaluate("scores/mf"))["recent"]["uauc"] != 0.5


def test_frozen_scores_beside_others_are_refused(shop: Shop) -> None:
    shop.scores("mf", frozen_history=True)
    shop.scores("sasrec")
    wanted = r"^scores/mf@1 was asked with frozen histories"
    with pytest.raises(MismatchError, match=wanted) as raised:
        shop.evaluate("scores/mf", "scores/sasrec")
    assert "--frozen-history, or all without" in str(raised.value.hint)
    with pytest.raises(MismatchError, match=wanted):
        shop.evaluate("scores/sasrec", against="scores/mf")
    assert shop.evaluate("scores/sasrec").summary["frozen_history"] is False
    shop.scores("sasrec", frozen_history=True)
    assert shop.evaluate("scores/mf", "scores/sasrec@2").summary["frozen_history"] is True


def test_scores_of_another_program_go_beside_frozen_ones(shop: Shop) -> None:
    frozen = shop.scores("mf", frozen_history=True)

    def write(folder: Path) -> None:
        for name in ("scores.parquet", "scoring.json"):
            (folder / name).write_bytes(frozen.file(name).read_bytes())

    shop.publish("scores", "given", {"dataset": [shop.dataset_artifact.object_id]}, write)
    found = shop.evaluate("scores/given", "scores/mf")
    assert found.summary["frozen_history"] is True
    assert {"scores/given@1", "encoder/mf@1"} <= set(nested(found))


def test_counts_are_left_out_where_train_has_one_label(shop: Shop) -> None:
    def write(folder: Path) -> None:
        write_dataset(folder)
        rows = read_rows(folder / "interactions.parquet")
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        columns["label"] = [1 if row["split"] == "train" else row["label"] for row in rows]
        types = DATASET.payload("interactions.parquet").columns
        write_table(folder / "interactions.parquet", columns, types)

    shop.dataset_artifact = shop.publish("dataset", "liked", {}, write)
    shop.dataset = Dataset.open(shop.dataset_artifact.folder)
    shop.scores("mf")
    shop.context.progress = heard = Heard()
    made = shop.evaluate("scores/mf")
    assert list(nested(made)) == ["constant", "recent", "encoder/mf@1"]
    assert "without the counts (bias): train has one label only" in heard.lines
    assert "bias, the honest counts, is not measured" in made.file("report.md").read_text()


@pytest.mark.parametrize("samples", [-1, 1, 39])
def test_so_few_draws_that_nothing_can_be_told_are_refused(samples: int) -> None:
    with pytest.raises(ConfigError, match=f"bootstrap_samples = {samples} is too few") as raised:
        EvalConfig(bootstrap_samples=samples)
    assert "at least 40, or 0" in str(raised.value.hint)
    assert EvalConfig(bootstrap_samples=40).bootstrap_samples == 40


def test_scores_of_a_bias_encoder_take_the_place_of_the_counts(shop: Shop) -> None:
    shop.scores("bias")
    shop.scores("mf")
    found = nested(shop.evaluate("scores/bias", "scores/mf"))
    assert list(found) == ["constant", "recent", "encoder/bias@1", "encoder/mf@1"]
    assert "encoder/bias@1" not in found["encoder/bias@1"]["minus"]
    gap = found["encoder/mf@1"]["minus"]["encoder/bias@1"]["auc"]
    wanted = found["encoder/mf@1"]["auc"] - found["encoder/bias@1"]["auc"]
    assert gap["difference"] == pytest.approx(wanted)
    assert gap["low"] <= gap["high"]


def test_table_holds_slices_and_intervals_and_can_be_queried(shop: Shop) -> None:
    shop.scores("mf")
    artifact = shop.evaluate("scores/mf")
    found = nested(artifact)["encoder/mf@1"]
    low, high = found["intervals"]["auc"]
    assert low < found["auc"] < high
    assert (
        found["slices"]["warm"]["rows"] + found["slices"].get("cold", {"rows": 0})["rows"]
        == (found["rows"])
    )
    _, rows = shop.store.query(
        "select value from metrics where scorer = 'encoder/mf@1' "
        "and slice = 'all' and metric = 'ndcg@5'"
    )
    assert rows == [(found["ndcg@5"],)]


def test_scores_of_different_rows_are_refused_or_cut_to_common_rows(shop: Shop) -> None:
    test = shop.dataset.rows("test")
    shop.scores("mf")
    shop.scores("sasrec", rows=test[:-10])
    with pytest.raises(MismatchError, match=r"scores/sasrec@1"):
        shop.evaluate("scores/mf", "scores/sasrec")
    found = nested(shop.evaluate("scores/mf", "scores/sasrec", on_different_rows="intersect"))
    assert {line["rows"] for line in found.values()} == {len(test) - 10}


def test_every_two_scorers_are_compared_and_can_be_queried(shop: Shop) -> None:
    shop.scores("mf")
    shop.scores("sasrec", noise=3.0)
    found = nested(shop.evaluate("scores/mf", "scores/sasrec"))
    names = ["constant", "recent", "bias", "encoder/mf@1", "encoder/sasrec@1"]
    assert list(found) == names
    for scorer in names:
        assert sorted(found[scorer]["minus"]) == sorted(set(names) - {scorer})
    _, (line,) = shop.store.query(
        "select scores, other_scores, split, difference, low, high, p from comparisons "
        "where scorer = 'encoder/mf@1' and other = 'encoder/sasrec@1' "
        "and slice = 'all' and metric = 'auc'"
    )
    assert line[:3] == ("scores/mf@1", "scores/sasrec@1", "test")
    assert line[3] == found["encoder/mf@1"]["auc"] - found["encoder/sasrec@1"]["auc"]
    assert line[4] <= line[3] <= line[5]
    assert 0 < line[6] <= 1


def test_scores_to_compare_with_are_measured_whether_or_not_they_are_named_twice(
    shop: Shop,
) -> None:
    shop.scores("mf")
    shop.scores("sasrec", noise=3.0)
    once = nested(shop.evaluate("scores/mf", against="scores/sasrec"))
    twice = nested(shop.evaluate("scores/mf", "scores/sasrec", against="scores/sasrec"))
    assert once == twice


def test_scores_to_compare_with_may_have_two_names(shop: Shop) -> None:
    made = shop.scores("mf")
    shop.store.name_object(made, "same")
    found = nested(shop.evaluate("scores/mf", against="scores/same"))
    assert list(found) == ["constant", "recent", "bias", "encoder/mf@1"]


def test_scores_that_are_listed_are_measured_or_refused_but_never_passed_over(shop: Shop) -> None:
    shop.scores("mf")
    shop.scores("pairs", pairs="pairs.csv")
    listed = Unnamed(listed=["scores/pairs@1"])
    config = EvalConfig(bootstrap_samples=40, meteor=False)
    made = run_stage(shop.context, STAGE, config, unnamed=listed).artifact
    assert made.summary["scores"] == ["scores/pairs@1"]
    piped = Unnamed(piped=["scores/pairs@1"])  # nothing says that any of its pairs has a label
    plan = plan_stage(shop.context, STAGE, config, references={}, unnamed=piped)
    assert [one.reference for one in plan.inputs["scores"]] == ["scores/pairs@1"]
    assert not made.manifest.inputs["against"]


def test_scores_to_compare_with_must_cover_the_same_rows(shop: Shop) -> None:
    shop.scores("mf")
    shop.scores("sasrec", rows=shop.dataset.rows("test")[:-10])
    with pytest.raises(MismatchError, match=r"scores/sasrec@1.*do not compare") as raised:
        shop.evaluate("scores/mf", against="scores/sasrec")
    assert "--on-different-rows intersect" in str(raised.value.hint)
    other = shop.dataset.rows("valid")[: len(shop.dataset.rows("test"))]
    shop.scores("gsasrec", rows=other)
    with pytest.raises(MismatchError, match=r"0 of them the same"):
        shop.evaluate("scores/mf", against="scores/gsasrec")


def test_explanations_are_measured_only_when_named(shop: Shop) -> None:
    shop.scores("mf")
    shop.explanation()
    without = shop.evaluate("scores/mf")
    assert "explanation/one@1" not in nested(without)
    found = nested(shop.evaluate("scores/mf", "explanation/one"))["explanation/one@1"]
    assert found["rouge_l"] == pytest.approx(8 / 9)
    assert found["agreement"] == 1


def test_a_bleurt_checkpoint_is_part_of_the_key_and_needs_reasons(
    shop: Shop, tmp_path: Path
) -> None:
    folder = write_checkpoint(tmp_path / "bleurt", embedding_size=None)
    shop.scores("mf")
    shop.explanation()
    with pytest.raises(ConfigError, match="no explanation was named"):
        shop.evaluate("scores/mf", bleurt=str(folder))
    with pytest.raises(MissingFileError, match="nowhere"):
        shop.evaluate("scores/mf", "explanation/one", bleurt=str(tmp_path / "nowhere"))
    first = shop.evaluate("scores/mf", "explanation/one", bleurt=str(folder))
    assert isinstance(nested(first)["explanation/one@1"]["bleurt"], float)
    again = shop.evaluate("scores/mf", "explanation/one", bleurt=str(folder.rename(tmp_path / "b")))
    assert again.object_id == first.object_id
    (tmp_path / "b" / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n")
    other = shop.evaluate("scores/mf", "explanation/one", bleurt=str(tmp_path / "b"))
    assert other.object_id != first.object_id


def test_same_evaluation_is_a_hit_with_the_same_bytes(shop: Shop) -> None:
    shop.scores("mf")
    first = shop.evaluate("scores/mf")
    assert shop.evaluate("scores/mf").object_id == first.object_id
    shop.context.force = True
    second = shop.evaluate("scores/mf")
    assert second.version == first.version + 1
    assert second.file("metrics.parquet").read_bytes() == first.file("metrics.parquet").read_bytes()


@pytest.mark.parametrize(
    ("parameters", "resources", "labelled", "expected"),
    [
        ({}, {}, 0, True),
        ({"user": "7"}, {}, 0, False),
        ({}, {"users": "digest"}, 0, False),
        ({}, {"history": "digest"}, 0, False),
        ({}, {"pairs": "digest"}, 0, False),
        ({}, {"pairs": "digest"}, 3, True),
        ({}, {"given": "digest"}, 0, True),
    ],
)
def test_items_picked_for_somebody_are_not_measured_unasked(
    parameters: dict[str, Any], resources: dict[str, str], labelled: int, expected: bool
) -> None:
    manifest = SimpleNamespace(parameters=parameters, resources=resources)
    scores = SimpleNamespace(manifest=manifest, summary={"labelled": labelled})
    assert STAGE.inputs["scores"].fits(cast("Artifact", scores)) is expected
