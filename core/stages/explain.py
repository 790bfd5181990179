"""explain: model, pairs -> explanation. The answer, the reason, the route, and which history items moved it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from core.config.explain import ExplainConfig
from core.stages.ancestry import is_made_from, require_same_dataset
from core.stages.base import Input, Stage, Work
from core.stages.names import slug

if TYPE_CHECKING:
    from core.data.dataset import Dataset
    from core.explaining.explain import Question
    from core.scoring.language import LanguageScorer
    from core.scoring.unknown import Unknown
    from core.text.examples import Examples


def make(work: Work[ExplainConfig]) -> None:
    """Explain one pair, those of a file, or a sample of held-out rows that a teacher gave reasons for."""
    import json

    from core.data.dataset import Dataset
    from core.llm.device import describe_machine
    from core.stages.files import require_unchanged
    from core.stages.scorers import Opening, open_language_scorer
    from core.text.examples import Examples

    config = work.config
    scorer_artifact, dataset_artifact = work.input("scorer"), work.input("dataset")
    examples = Examples(Dataset.open(dataset_artifact.folder))
    # Wrong ids are told before a model is loaded for them.
    asked = _asked(work, examples)
    require_unchanged(config, work.resources)
    scorer = open_language_scorer(
        scorer_artifact,
        Opening(
            store=work.context.store,
            dataset=dataset_artifact,
            examples=examples,
            dtype=_number_format(work),
            device=config.device,
            progress=work.progress,
            keywords=work.optional("keywords"),
            same_users=config.same_users,
        ),
    )
    length = scorer.builder.config.history_length
    found = _explain(work, scorer, _questions(asked, scorer.examples, length))
    facts: dict[str, Any] = {
        "scorer": scorer_artifact.reference,
        "machine": describe_machine(config.device),
    }
    if not is_made_from(work.context.store, scorer_artifact, dataset_artifact):
        # Else a command that asks the same finds them by the scorer.
        facts["dataset"] = dataset_artifact.reference
        if (keywords := work.optional("keywords")) is not None:
            facts["keywords"] = keywords.reference
        if config.same_users:
            facts["same_users"] = True
    several = config.sample or config.pairs
    whole = {"explanations": found, **facts} if several else {**found[0], **facts}
    (work.draft.folder / "explanation.json").write_text(
        json.dumps(whole, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    _write_tables(work, found)
    work.draft.summary |= {**facts, "pairs": len(found), "dtype": scorer.number_format}


def _number_format(work: Work[ExplainConfig]) -> str:
    """Return the numbers of the base: rounding to bfloat16 is as large as many an influence."""
    from core.llm.load import float32_has_room
    from core.stages.language import Contract
    from core.stages.scorers import adapter_of

    config = work.config
    if config.dtype != "auto" or not config.asks_influence:
        return config.dtype
    adapter = adapter_of(work.context.store, work.input("scorer"))
    base = Contract.read(adapter.file("contract.json")).base
    if float32_has_room(base, config.device, work.progress):
        return "float32"
    work.progress.say(
        "influences are rounded to bfloat16, many of them to nothing: the GPU has no room for this base in float32"
    )
    return "auto"


def _explain(
    work: Work[ExplainConfig], scorer: "LanguageScorer", questions: "Sequence[Question]"
) -> "Sequence[dict[str, Any]]":
    """Return the explanations in the order of the questions; those of a run that was killed are taken over."""
    from core.explaining.explain import Manner, explain
    from core.explaining.kept import Kept

    config = work.config
    manner = Manner(
        max_new_tokens=config.max_new_tokens,
        influence=config.asks_influence,
        grounded=config.grounded,
        batch_size=config.batch_size,
    )
    # Of one number format, as the blocks of scores are: a run may go on where there is another.
    kept = Kept(work.run_folder / f"explained-{scorer.number_format}.jsonl")
    done = set(kept.found)
    with work.progress.bar("explain", len(questions), "pairs", done=len(done)) as bar:
        for place, facts in explain(scorer, questions, manner, done):
            kept.add(place, facts)
            bar.advance()
    return kept.in_order()


def _asked(work: Work[ExplainConfig], examples: "Examples") -> list[tuple[Any, ...]]:
    """Return (row, user, item, history, labels, reference) of each pair, with what does not apply as None."""
    from core.scoring.unknown import Unknown
    from core.stages.language import read_reasons

    config, dataset = work.config, examples.dataset
    if config.sample:
        import numpy as np

        from core.errors import ConfigError

        # Their row numbers are those of their own data set.
        require_same_dataset(work.context.store, work.optional("traces"), work.input("dataset"))
        reasons = read_reasons(work.optional("traces"), "test")
        if not reasons:
            raise ConfigError(
                "--sample needs reasons of held-out rows, and there are none",
                hint="Make some: thinkrec synthesize --held-out 50, and name them: --traces REF",
            )
        rows = np.array(sorted(reasons))
        count = min(config.sample, len(rows))
        chosen = np.sort(
            np.random.default_rng([config.sample_seed, 4]).choice(rows, count, replace=False)
        )
        return [(int(row), None, None, None, None, reasons[int(row)]) for row in chosen]
    if config.pairs:
        from core.scoring.questions import from_file

        unknown = Unknown(config.pairs, skip=config.skip_unknown)
        filed = from_file(unknown, dataset, work.run_folder)
        unknown.tell(work.progress)
        pairs = filed.block(0, len(filed))
        places = zip(pairs.rows.tolist(), pairs.users.tolist(), pairs.items.tolist(), strict=True)
        return [(None if row < 0 else row, *pair, None, None, None) for row, *pair in places]
    assert config.item is not None
    item = dataset.item_index(config.item)
    if config.history is not None:
        unknown = Unknown(config.history, skip=config.skip_unknown)
        items, labels = _filed_history(work, unknown, dataset, item)
        unknown.tell(work.progress)
        return [(None, None, item, items, labels, None)]
    assert config.user is not None
    user = dataset.user_index(config.user)
    import numpy as np

    # A pair that is in the data is asked as it stood then: now its history would hold the answer.
    rows = np.flatnonzero((dataset.user == user) & (dataset.item == item))
    return [(int(rows[-1]) if len(rows) else None, user, item, None, None, None)]


def _filed_history(
    work: Work[ExplainConfig], unknown: "Unknown", dataset: "Dataset", item: int
) -> tuple[list[int], list[int]]:
    """Return the items and labels of a history file, as it stood before the first row of the item asked."""
    from core.explaining.history_file import read_history

    threshold = float(work.input("dataset").manifest.parameters.get("threshold", 3.0))
    items, labels = read_history(unknown, dataset, threshold)
    if item not in items:
        return items, labels
    before = items.index(item)
    # With the row itself the history would hold the answer, as with a pair that is in the data.
    work.progress.say(
        f"{unknown.path} holds the item asked, so the history ends before that row: {before} of {len(items)} rows"
    )
    return items[:before], labels[:before]


def _questions(asked: list[tuple[Any, ...]], examples: "Examples", length: int) -> "list[Question]":
    import numpy as np

    from core.explaining.explain import Question

    dataset = examples.dataset
    made = []
    for row, user, item, items, labels, reference in asked:
        everything = len(dataset)
        if row is not None:
            rows = np.array([row])
            pair = (examples.of_rows(rows, length)[0], examples.of_rows(rows, everything)[0])
            name = dataset.users[dataset.user[row]]
        elif items is not None:
            pair = (
                examples.of_history(items, labels, [item], length)[0],
                examples.of_history(items, labels, [item], everything)[0],
            )
            name = None
        else:
            ids = (np.array([user]), np.array([item]))
            pair = (examples.of_pairs(*ids, length)[0], examples.of_pairs(*ids, everything)[0])
            name = dataset.users[user]
        made.append(
            Question(example=pair[0], full=pair[1], user=name, row=row, reference=reference)
        )
    return made


def _write_tables(work: Work[ExplainConfig], found: Sequence[dict[str, Any]]) -> None:
    from core.data.tables import write_table
    from core.stages.kinds import EXPLANATION

    types = EXPLANATION.payload("explanations.parquet").columns
    write_table(
        work.draft.folder / "explanations.parquet",
        {name: [one[name] for one in found] for name in types},
        types,
    )
    moved = [
        {
            "user": one["user"],
            "item": one["item"],
            "position": position,
            "history_item": entry["item"],
            "title": entry["title"],
            "label": entry["label"],
            "influence": entry["influence"],
        }
        for one in found
        for position, entry in enumerate(one["history"])
    ]
    types = EXPLANATION.payload("influences.parquet").columns
    write_table(
        work.draft.folder / "influences.parquet",
        {name: [entry[name] for entry in moved] for name in types},
        types,
    )


def _resources(config: ExplainConfig) -> dict[str, str]:
    from core.stages.files import digests_of

    return digests_of(config, ("history", "pairs"))


STAGE = Stage(
    command="explain",
    kind="explanation",
    crosses=True,
    config=ExplainConfig,
    inputs={
        "scorer": Input(kinds=("model", "adapter"), text="Model or adapter that answers."),
        "dataset": Input(kinds=("dataset",), text="Data set of the user.", through="scorer"),
        "traces": Input(
            kinds=("traces",),
            text="Reasons of held-out rows, for --sample: those trained with, else the latest.",
            required=False,
            through="scorer",
            wanted=lambda config: bool(config.sample),
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
            f"sample-{config.sample}"
            if config.sample
            else "pairs"
            if config.pairs
            else f"{slug(config.user or 'history')}-{slug(config.item or '')}"
        )
    ),
    resources=_resources,
    make=make,
)
