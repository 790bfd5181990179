"""What the stages around the language model share: its contract, and opening data, keywords and reasons for it."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from artifacts.store import Artifact, Store
from core.config.prompt import PromptConfig
from core.errors import MismatchError, TeacherError
from core.progress import Progress

if TYPE_CHECKING:
    from core.data.dataset import Dataset
    from core.llm.load import Base
    from core.text.examples import Examples, Prior
    from core.text.frame import Frame
    from core.text.prompts import PromptBuilder
    from core.training.loop import TrainingRun


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What training agreed on and scoring has to keep: base model, prompt, answers, relevance score."""

    base: str
    base_digest: str
    dtype: str
    prompt: dict[str, Any]
    relevance: str
    keywords: str | None
    """Object id of the keywords shown, None if none are."""
    answers: dict[str, int]
    prior: str | None = None
    """Object id of the bias encoder whose chance is told, None if none is."""
    yes_offset: float = 0.0
    """Of an exported adapter: what its model adds to the logit of Yes."""
    frame: dict[str, Any] | None = None
    """What stands around the question; None in contracts from before it was kept."""

    def write(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True) + "\n")

    @classmethod
    def read(cls, path: Path) -> "Contract":
        """Read what write wrote."""
        return cls(**json.loads(path.read_text()))

    def prompt_config(self) -> PromptConfig:
        """Return the prompt's settings."""
        return PromptConfig(**self.prompt)

    def open_frame(self, tokenizer: Any) -> "Frame":
        """Return what stood around the questions in training."""
        from core.text.frame import Frame, frame_of

        if self.frame is None:
            return dataclasses.replace(frame_of(tokenizer), begin=())
        return Frame.read(self.frame)

    def open_base(self, dtype: str, device: str, progress: Progress) -> "Base":
        """Load the base model that was trained on. Raises: MismatchError if it is another one by now."""
        from core.llm.load import load_base

        base = load_base(self.base, dtype=dtype, device=device, progress=progress)  # type: ignore[arg-type]
        if base.digest != self.base_digest:
            raise MismatchError(
                f"base model '{self.base}' is not the one the adapter was trained on",
                hint="Put the old model back, or train again: thinkrec train-global",
            )
        return base

    def check_answers(self, builder: "PromptBuilder") -> None:
        """Raises: MismatchError if the tokenizer now writes the answers with other tokens."""
        found = dataclasses.asdict(builder.answers)
        if found != self.answers:
            raise MismatchError(
                f"the tokenizer of '{self.base}' writes the answers as {found}, training saw {self.answers}",
                hint="Put the old tokenizer back, or train again: thinkrec train-global",
            )


def open_keywords(artifact: Artifact | None, dataset: "Dataset") -> list[list[str]] | None:
    """Return the keywords of every item of a data set, or None without an artifact."""
    if artifact is None:
        return None
    from core.data.tables import read_rows

    found = {
        r["item"]: list(r["keywords"] or ()) for r in read_rows(artifact.file("keywords.parquet"))
    }
    return [found.get(item, []) for item in dataset.items]


def keywords_of(store: Store, contract: Contract) -> Artifact | None:
    """Return the keywords artifact an adapter was trained with."""
    return store.by_object(contract.keywords) if contract.keywords else None


def open_examples(dataset: Artifact, prior: Artifact | None) -> "Examples":
    """Open a data set and the histories and counts over it, with the chance by counts if a bias encoder is given.

    Raises: MismatchError for another encoder, see tell_prior.
    """
    from core.data.dataset import Dataset
    from core.text.examples import Examples

    examples = Examples(Dataset.open(dataset.folder))
    return examples if prior is None else tell_prior(examples, prior)


def tell_prior(examples: "Examples", prior: Artifact) -> "Examples":
    """Return the same examples with the chance of a like by a bias encoder.

    Raises: MismatchError for another encoder: those have seen the labels of the rows they trained on, and would
        teach a trust that they do not deserve elsewhere; the counts of a row never hold its own label.
    """
    from core.encoders.load import open_encoder

    facts = json.loads(prior.file("encoder.json").read_text())
    if facts["encoder"] != "bias":
        raise MismatchError(
            f"{prior.reference} is an encoder of type {facts['encoder']}; a prior has to be of type bias",
            hint="Make one: thinkrec encode --encoder bias",
        )
    encoder = open_encoder(prior.folder, examples.dataset, examples.histories)
    return examples.told(cast("Prior", encoder))  # its type was checked above


def prior_of(store: Store, contract: Contract) -> Artifact | None:
    """Return the bias encoder an adapter was trained with."""
    return store.by_object(contract.prior) if contract.prior else None


def require_answered(found: Artifact, most: int) -> None:
    """Raises: TeacherError if an endpoint left more questions unanswered when an artifact was made."""
    unanswered = int(found.manifest.summary.get("requests_unanswered", 0))
    if unanswered > most:
        raise TeacherError(
            f"{found.reference} was made before, and the endpoint left {unanswered} of its questions unanswered",
            hint=f"--force asks all anew; --max-unanswered {unanswered} takes it as it is.",
        )


def read_reasons(artifact: Artifact | None, split: str) -> dict[int, str]:
    """Return row -> reason of the accepted traces of a split."""
    if artifact is None:
        return {}
    from core.data.tables import read_rows

    return {
        row["row"]: row["reason"]
        for row in read_rows(artifact.file("traces.parquet"))
        if row["split"] == split and row["status"] == "ok"
    }


def offsets_of(experts: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    """Return the offsets in rows of representations.parquet. Raises: ConfigError if the experts are too old for any."""
    from core.errors import ConfigError

    if any("offset" not in expert for expert in experts):  # schema version 1
        raise ConfigError(
            f"{name} has nothing to centre its experts by: an earlier version made it",
            hint="Run its train-experts again with --force, or fuse with --no-centre.",
        )
    return [float(expert["offset"]) for expert in experts]


def members_of(groups: Artifact, wanted: Sequence[int] = ()) -> dict[int, list[int]]:
    """Return group -> positions of its users, of the groups wanted or of all.

    Raises: ConfigError for a group that is not there.
    """
    from core.data.tables import read_rows
    from core.errors import ConfigError

    members: dict[int, list[int]] = {}
    for row in read_rows(groups.file("groups.parquet")):
        members.setdefault(row["group"], []).append(row["user_index"])
    for group in wanted:
        if group not in members:
            raise ConfigError(
                f"{groups.reference} has no group {group}",
                hint=f"Its groups: {', '.join(map(str, sorted(members)))}.",
            )
    return {group: members[group] for group in sorted(wanted or members)}


def write_training_tables(folder: Path, runs: Sequence["TrainingRun"]) -> None:
    """Write steps.parquet and validations.parquet of one or several runs of the loop."""
    from core.data.tables import write_table
    from core.stages.kinds import ADAPTER

    for name, records in (
        ("steps.parquet", [r for run in runs for r in run.steps]),
        ("validations.parquet", [r for run in runs for r in run.validations]),
    ):
        types = ADAPTER.payload(name).columns
        write_table(folder / name, {c: [getattr(r, c) for r in records] for c in types}, types)


def training_summary(run: "TrainingRun") -> dict[str, Any]:
    """Return the facts of one run of the loop for the manifest."""
    seconds = sum(record.seconds for record in run.steps)
    tokens = sum(record.tokens for record in run.steps)
    best = max((v for v in run.validations if v.best), key=lambda v: v.step, default=None)
    return {
        "steps": run.step,
        "tokens": tokens,
        "tokens_per_second": round(tokens / seconds, 1) if seconds else None,
        "best_step": best.step if best else None,
        "valid_auc": defined(best.auc) if best else None,
        "valid_uauc": defined(best.uauc) if best else None,
    }


def defined(value: float) -> float | None:
    """JSON has no not-a-number: a metric that few rows leave undefined is null."""
    return value if math.isfinite(value) else None
