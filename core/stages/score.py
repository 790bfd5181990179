"""score: scorer, rows or pairs -> scores. Streams in blocks; a killed run continues after its last block.

Scores that another program gave are looked up in its file, and no scorer is asked.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from core.config.score import ScoreConfig
from core.stages.base import Input, Stage, Work
from core.stages.names import slug

if TYPE_CHECKING:
    from core.data.dataset import Dataset
    from core.scoring.blocks import RowOrPairScorer
    from core.scoring.questions import FiledQuestions, FirstPass, Questions
    from core.stages.scorers import Opening


def make(work: Work[ScoreConfig]) -> None:
    """Score a split, a file of pairs, or candidates of users."""
    import json
    import time

    from core.data.dataset import Dataset
    from core.llm.device import describe_machine
    from core.scoring.blocks import BLOCK, QUICK_BLOCK, join_blocks, score_blocks
    from core.scoring.language import HistoryScorer, LanguageScorer
    from core.stages.files import require_unchanged
    from core.stages.kinds import SCORES

    config = work.config
    dataset = Dataset.open(work.input("dataset").folder)
    scorer, asked = _given(work, dataset) if config.given else _open(work, dataset)
    require_unchanged(config, work.resources)
    quick = config.given or work.input("scorer").kind == "encoder"
    started = time.perf_counter()
    columns = SCORES.payload("scores.parquet").columns
    usual = QUICK_BLOCK if quick else BLOCK
    blocks, done = score_blocks(
        scorer, asked, dataset, config.block_rows or usual, work.run_folder, work.progress
    )
    seconds = time.perf_counter() - started
    path = work.draft.folder / "scores.parquet"
    rows, labelled = join_blocks(blocks, path, columns, top=config.top if config.ranks else None)
    facts = {
        "scorer": None if config.given else work.input("scorer").reference,
        "asked": asked.about,
        "rows": rows,
        "labelled": labelled,
        "scored": len(asked),
        "seconds": round(seconds, 3),
        "pairs_per_second": round(done / seconds, 2) if done and seconds else None,
        "machine": describe_machine(scorer.device),
    }
    if isinstance(scorer, LanguageScorer | HistoryScorer):
        cost = scorer.scorer.work
        facts |= {
            "tokens": cost.tokens,
            "prompt_tokens": cost.prompt_tokens,
            "batches": cost.batches,
            "dtype": scorer.number_format,
        }
    (work.draft.folder / "scoring.json").write_text(
        json.dumps(facts, indent=2, sort_keys=True) + "\n"
    )
    work.draft.summary |= facts


def _given(
    work: Work[ScoreConfig], dataset: "Dataset"
) -> "tuple[RowOrPairScorer, Questions | FiledQuestions]":
    """Take scores of another program. Raises: ConfigError if a scorer is named besides."""
    from core.errors import ConfigError
    from core.scoring.given import from_scored_file

    if (named := work.optional("scorer")) is not None:
        raise ConfigError(
            f"--given takes scores of a file, and {named.reference} is named besides",
            hint="Leave --scorer out, or --given.",
        )
    asked, scorer = from_scored_file(work.config, dataset, work.run_folder, work.progress)
    return scorer, asked


def _open(
    work: Work[ScoreConfig], dataset: "Dataset"
) -> "tuple[RowOrPairScorer, Questions | FiledQuestions]":
    """Open the scorer, and settle what it is asked."""
    from core.data.histories import Histories
    from core.stages.scorers import Opening, open_scorer
    from core.text.examples import Examples

    config = work.config
    histories = Histories.of(dataset)
    if config.freezes:
        histories = histories.frozen(dataset.rows(config.split))
    opening = Opening(
        store=work.context.store,
        dataset=work.input("dataset"),
        examples=Examples(dataset, histories),
        dtype=config.dtype,
        device=config.device,
        progress=work.progress,
        keywords=work.optional("keywords"),
        max_tokens=config.max_tokens,
        same_users=config.same_users,
    )
    # Wrong ids are told before a model is loaded for them.
    if config.history:
        return _of_history(work, opening)
    _say_idle(work)
    asked = _ask(work, opening)
    return open_scorer(work.input("scorer"), opening), asked


def _say_idle(work: Work[ScoreConfig]) -> None:
    """Say what was given for nothing: only users need candidates, and an encoder reads no prompt."""
    config, by_encoder = work.config, work.input("scorer").kind == "encoder"
    idle = {
        "--dtype": by_encoder and config.dtype != "auto",
        "--encoder": work.optional("encoder") and not (config.user or config.users),
        "--keywords": by_encoder and work.optional("keywords"),
        "--max-tokens": by_encoder and config.max_tokens,
    }
    if found := [name for name, is_idle in idle.items() if is_idle]:
        work.progress.say(f"without effect here: {', '.join(found)}")


def _of_history(
    work: Work[ScoreConfig], opening: "Opening"
) -> "tuple[RowOrPairScorer, Questions | FiledQuestions]":
    """Ask for somebody who is not in the data. Raises: ConfigError for an encoder, which does not know him."""
    from core.errors import ConfigError
    from core.explaining.history_file import read_history
    from core.scoring import questions
    from core.scoring.language import HistoryScorer
    from core.scoring.unknown import Unknown
    from core.stages.scorers import open_language_scorer

    config, scorer = work.config, work.input("scorer")
    assert config.history is not None
    for encoder in (scorer if scorer.kind == "encoder" else None, work.optional("encoder")):
        if encoder is not None:
            raise ConfigError(
                f"{encoder.reference} knows no user who is not in the data",
                hint="Score a history with a model or an adapter, and name no encoder besides.",
            )
    dataset = opening.examples.dataset
    unknown = Unknown(config.history, skip=config.skip_unknown)
    threshold = float(opening.dataset.manifest.parameters.get("threshold", 3.0))
    items, labels = read_history(unknown, dataset, threshold)
    unknown.tell(work.progress)
    asked = questions.for_history(config, dataset, items)
    speaker = open_language_scorer(scorer, opening)
    return HistoryScorer(speaker=speaker, items=items, labels=labels), asked


def _ask(work: Work[ScoreConfig], opening: "Opening") -> "Questions | FiledQuestions":
    """Return the pairs to score."""
    from core.scoring import questions
    from core.scoring.unknown import Unknown

    config, examples = work.config, opening.examples
    if config.user is not None:
        return questions.for_user(config, examples, _first_pass(work, opening))
    path = config.users or config.pairs
    if path is None:
        return questions.of_split(config, examples.dataset)
    unknown = Unknown(path, skip=config.skip_unknown)
    if config.users is not None:
        first_pass = _first_pass(work, opening)
        asked = questions.for_users(config, examples, first_pass, work.run_folder, unknown)
    else:
        asked = questions.from_file(unknown, examples.dataset, work.run_folder)
    unknown.tell(work.progress)
    return asked


def _first_pass(work: Work[ScoreConfig], opening: "Opening") -> "FirstPass | None":
    """Return what picks the candidates of users, and say it: an encoder, if there is one."""
    from core.stages.scorers import open_scorer

    scorer = work.input("scorer")
    picker = work.optional("encoder") or (scorer if scorer.kind == "encoder" else None)
    if work.config.candidates:
        by = f"picked by {picker.reference}" if picker else "the most rated items (no encoder)"
        work.progress.say(f"candidates: {by}")
    return open_scorer(picker, opening).score_pairs if picker is not None else None


def _resources(config: ScoreConfig) -> dict[str, str]:
    from core.stages.files import digests_of

    return digests_of(config, ("pairs", "users", "given", "history"))


STAGE = Stage(
    command="score",
    kind="scores",
    crosses=True,
    config=ScoreConfig,
    inputs={
        "scorer": Input(
            kinds=("model", "adapter", "encoder"),
            text="What scores: a model, an adapter or an encoder.",
            wanted=lambda config: not config.given,
        ),
        "dataset": Input(kinds=("dataset",), text="Data set to score on.", through="scorer"),
        "encoder": Input(
            kinds=("encoder",),
            text="With --user and --users: the encoder that picks the candidates; a scorer that is one picks its own.",
            required=False,
            through="scorer",
            wanted=lambda config: bool(config.user or config.users),
        ),
        "keywords": Input(
            kinds=("keywords",),
            text="Keywords of the data set, if it is not the one trained on.",
            required=False,
            through="scorer",
            latest=False,
        ),
    },
    name=lambda config, inputs: (
        f"{slug(Path(config.given).stem) if config.given else inputs['scorer'][0].name}-"
        + (
            f"user-{slug(config.user)}"
            if config.user
            else "users"
            if config.users
            else "history"
            if config.history
            else "pairs"
            if config.pairs
            else f"{config.split}-frozen"
            if config.freezes
            else config.split
        )
    ),
    resources=_resources,
    make=make,
)
