"""score: scorer, rows or pairs -> scores. Streams in blocks; a killed run continues after its last block."""

from typing import Any

from core.config.score import ScoreConfig
from core.stages.base import Input, Stage, Work
from core.stages.names import slug


def make(work: Work[ScoreConfig]) -> None:
    """Score a split, a file of pairs, or a user's candidates."""
    import json
    import time

    from core.data.dataset import Dataset
    from core.llm.device import describe_machine
    from core.scoring import questions
    from core.scoring.blocks import BLOCK, QUICK_BLOCK, join_blocks, score_blocks
    from core.scoring.language import LanguageScorer
    from core.stages.kinds import SCORES
    from core.stages.scorers import Opening, open_scorer
    from core.text.examples import Examples

    config = work.config
    scorer_artifact, dataset_artifact = work.input("scorer"), work.input("dataset")
    dataset = Dataset.open(dataset_artifact.folder)
    examples = Examples(dataset)
    opening = Opening(
        store=work.context.store,
        dataset=dataset_artifact,
        examples=examples,
        dtype=config.dtype,
        device=config.device,
        progress=work.progress,
        keywords=work.optional("keywords"),
        max_tokens=config.max_tokens,
    )
    picker = scorer_artifact if scorer_artifact.kind == "encoder" else work.optional("encoder")
    if config.user is not None:
        first_pass = open_scorer(picker, opening) if picker is not None else None
        asked: Any = questions.for_user(
            config, examples, first_pass.score_pairs if first_pass else None
        )
    elif config.pairs is not None:
        asked = questions.from_file(config.pairs, dataset, work.run_folder)
    else:
        asked = questions.of_split(config, dataset)
    scorer = open_scorer(scorer_artifact, opening)
    started = time.perf_counter()
    columns = SCORES.payload("scores.parquet").columns
    usual = QUICK_BLOCK if scorer_artifact.kind == "encoder" else BLOCK
    blocks, done = score_blocks(
        scorer, asked, dataset, config.block_rows or usual, work.run_folder, work.progress
    )
    seconds = time.perf_counter() - started
    path = work.draft.folder / "scores.parquet"
    rows, labelled = join_blocks(blocks, path, columns, top=config.top if config.user else None)
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


def _resources(config: ScoreConfig) -> dict[str, str]:
    from core.stages.files import file_digest

    return {"pairs": file_digest(config.pairs)} if config.pairs else {}


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
            text="With --user: the encoder that picks the candidates.",
            required=False,
            through="scorer",
            wanted=lambda config: config.user is not None,
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
            else "pairs"
            if config.pairs
            else config.split
        )
    ),
    resources=_resources,
    make=make,
)
