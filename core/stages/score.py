"""score: scorer, rows or pairs -> scores. Streams in blocks; a killed run continues after its last block."""

from typing import TYPE_CHECKING

from core.config.score import ScoreConfig
from core.stages.base import Input, Stage, Work
from core.stages.names import slug

if TYPE_CHECKING:
    from core.scoring.questions import FiledQuestions, FirstPass, Questions
    from core.stages.scorers import Opening


def make(work: Work[ScoreConfig]) -> None:
    """Score a split, a file of pairs, or candidates of users."""
    import json
    import time

    from core.data.dataset import Dataset
    from core.data.histories import Histories
    from core.llm.device import describe_machine
    from core.scoring.blocks import BLOCK, QUICK_BLOCK, join_blocks, score_blocks
    from core.scoring.language import LanguageScorer
    from core.stages.kinds import SCORES
    from core.stages.scorers import Opening, open_scorer
    from core.text.examples import Examples

    config = work.config
    scorer_artifact, dataset_artifact = work.input("scorer"), work.input("dataset")
    dataset = Dataset.open(dataset_artifact.folder)
    histories = Histories.of(dataset)
    if config.freezes:
        histories = histories.frozen(dataset.rows(config.split))
    examples = Examples(dataset, histories)
    opening = Opening(
        store=work.context.store,
        dataset=dataset_artifact,
        examples=examples,
        dtype=config.dtype,
        device=config.device,
        progress=work.progress,
        keywords=work.optional("keywords"),
        max_tokens=config.max_tokens,
        same_users=config.same_users,
    )
    asked = _ask(work, opening)
    scorer = open_scorer(scorer_artifact, opening)
    started = time.perf_counter()
    columns = SCORES.payload("scores.parquet").columns
    usual = QUICK_BLOCK if scorer_artifact.kind == "encoder" else BLOCK
    blocks, done = score_blocks(
        scorer, asked, dataset, config.block_rows or usual, work.run_folder, work.progress
    )
    seconds = time.perf_counter() - started
    path = work.draft.folder / "scores.parquet"
    rows, labelled = join_blocks(blocks, path, columns, top=config.top if config.ranks else None)
    facts = {
        "scorer": scorer_artifact.reference,
        "asked": asked.about,
        "rows": rows,
        "labelled": labelled,
        "scored": len(asked),
        "seconds": round(seconds, 3),
        "pairs_per_second": round(done / seconds, 2) if done and seconds else None,
        "machine": describe_machine(config.device),
    }
    if isinstance(scorer, LanguageScorer):
        cost = scorer.scorer.work
        facts |= {
            "tokens": cost.tokens,
            "prompt_tokens": cost.prompt_tokens,
            "batches": cost.batches,
        }
    (work.draft.folder / "scoring.json").write_text(
        json.dumps(facts, indent=2, sort_keys=True) + "\n"
    )
    work.draft.summary |= facts


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
    """Return what picks the candidates of users: an encoder, if there is one."""
    from core.stages.scorers import open_scorer

    scorer = work.input("scorer")
    picker = work.optional("encoder") or (scorer if scorer.kind == "encoder" else None)
    return open_scorer(picker, opening).score_pairs if picker is not None else None


def _resources(config: ScoreConfig) -> dict[str, str]:
    from core.stages.files import file_digest

    files = {"pairs": config.pairs, "users": config.users}
    return {name: file_digest(path) for name, path in files.items() if path}


STAGE = Stage(
    command="score",
    kind="scores",
    crosses=True,
    config=ScoreConfig,
    inputs={
        "scorer": Input(
            kinds=("model", "adapter", "encoder"),
            text="What scores: a model, an adapter or an encoder.",
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
        f"{inputs['scorer'][0].name}-"
        + (
            f"user-{slug(config.user)}"
            if config.user
            else "users"
            if config.users
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
