"""`thinkrec augment`: up to 10 keywords per item (method, section 2)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from artifacts.store import Artifact
from core.config.augment import AugmentConfig
from core.errors import TeacherError
from core.stages.base import Input, Stage, Work

if TYPE_CHECKING:
    from core.text.keywords import ItemTexts

JOURNAL = "replies.jsonl"
_REMOTE = "openai:"


def make(work: Work[AugmentConfig]) -> None:
    """Extract keywords, or have a model write them, and write the table."""
    from core.data.dataset import Dataset
    from core.data.tables import write_table
    from core.stages.kinds import KEYWORDS
    from core.text.keywords import ItemTexts, extract_keywords

    config = work.config
    dataset = Dataset.open(work.input("dataset").folder)
    texts = ItemTexts(
        titles=dataset.titles,
        years=dataset.years,
        categories=dataset.categories,
        descriptions=dataset.descriptions,
    )
    keywords = extract_keywords(texts, limit=config.limit)
    facts: dict[str, Any] = {"source": "tfidf"}
    if config.model is not None:
        written, facts = _written(work, texts)
        keywords = [own or extracted for own, extracted in zip(written, keywords, strict=True)]
    write_table(
        work.draft.folder / "keywords.parquet",
        {
            "item": dataset.items,
            "item_index": list(range(len(dataset.items))),
            "keywords": keywords,
        },
        KEYWORDS.payload("keywords.parquet").columns,
    )
    total = sum(map(len, keywords))
    work.draft.summary.update(
        {
            "items": len(keywords),
            "keywords": total,
            "items_without_keywords": sum(not words for words in keywords),
            "seed": config.seed,
            **facts,
        }
    )
    work.progress.say(f"{total} keywords for {len(keywords)} items")


def _written(
    work: Work[AugmentConfig], texts: "ItemTexts"
) -> tuple[list[list[str]], dict[str, Any]]:
    """Have a model write keywords; an empty list where its answer held none.

    Raises: TeacherError if no answer held any, or none of the first.
    """
    from core.text.keywords import MOST_TOKENS, FirstAnswers, ask_keywords
    from core.text.speakers import hold_at_endpoint, hold_locally

    config = work.config
    model = config.model or ""
    journal = work.run_folder / JOURNAL
    if work.context.force:
        journal.unlink(missing_ok=True)  # what was answered badly is asked anew, too
    hint = "Use a stronger model, more --max-tokens, or leave --with out."
    if journal.exists() and journal.stat().st_size:
        hint += " Replies of a run before were kept: --force asks anew."
    first_answers = FirstAnswers(model, hint=hint)
    asked = [
        ask_keywords(
            texts,
            index,
            limit=config.limit,
            max_tokens=config.max_tokens,
            # A small local model that rambles would ramble on, at the cost of hours.
            most_tokens=MOST_TOKENS if model.startswith(_REMOTE) else config.max_tokens,
            first_answers=first_answers,
        )
        for index in range(len(texts))
    ]
    with work.progress.bar("keywords", len(asked), "items") as bar:
        if model.startswith(_REMOTE):
            held = hold_at_endpoint(
                asked,
                model=model.removeprefix(_REMOTE),
                config=config,
                journal_path=journal,
                done=bar.advance,
            )
        else:
            held = hold_locally(
                asked, model=model, config=config, journal_path=journal, done=bar.advance
            )
    fallen_back = sum(not words for words in held.results)
    if asked and fallen_back == len(asked):
        raise TeacherError(
            f"{model} wrote no keywords for any of {len(asked)} items",
            hint=hint,
        )
    if fallen_back:
        work.progress.say(
            f"{fallen_back} of {len(asked)} items fell back to TF-IDF: {model} wrote no keywords "
            "for them"
        )
    return held.results, {"source": model, **held.facts, "fallen_back_to_tfidf": fallen_back}


def _name(config: AugmentConfig, inputs: Mapping[str, Sequence[Artifact]]) -> str:
    """Return tfidf, or the last part of the model's name in the letters that names may have."""
    import re

    if config.model is None:
        return "tfidf"
    last = config.model.removeprefix(_REMOTE).rstrip("/").rsplit("/", 1)[-1]
    return re.sub(r"[^a-z0-9._-]+", "-", last.lower()).strip("-._") or "model"


def _resources(config: AugmentConfig) -> Mapping[str, str]:
    if config.model is None or config.model.startswith(_REMOTE):
        return {}
    from core.llm.identity import base_digest

    return {"model": base_digest(config.model)}


def _require_answered(config: AugmentConfig, found: Artifact) -> None:
    """Hold keywords made before to --max-unanswered, which they do not depend on."""
    from core.stages.language import require_answered

    require_answered(found, config.max_unanswered)


STAGE = Stage(
    command="augment",
    kind="keywords",
    config=AugmentConfig,
    inputs={"dataset": Input(kinds=("dataset",), text="data set whose items get keywords")},
    name=_name,
    resources=_resources,
    make=make,
    require=_require_answered,
)
