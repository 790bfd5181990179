"""Explanations: the answer and how sure, the reason, the route, and what moved the score."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.explaining.claims import Facts
from core.explaining.generate import generate_reasons
from core.explaining.influence import influences
from core.scoring.language import LanguageScorer
from core.text.answers import NO, YES
from core.text.evidence import item_sentence, prior_sentence, user_sentence
from core.text.examples import Example
from core.text.plain import LONGEST_TITLE
from core.text.prompts import Prompt


@dataclass(frozen=True, kw_only=True)
class Question:
    """A pair to explain."""

    example: Example
    """With the items shown."""
    full: Example
    """With the whole history."""
    user: str | None
    row: int | None = None
    reference: str | None = None
    """A teacher's reason for this very row, if there is one."""


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How to explain."""

    max_new_tokens: int
    """Longest reason."""
    influence: bool
    """Whether to score with each history item left out."""
    grounded: bool = True
    """Whether a reason may claim only what was read."""
    batch_size: int = 1
    """Reasons written at once."""


@dataclass(frozen=True, kw_only=True)
class _Answered:
    """A question with the logits that answer it."""

    question: Question
    prompt: Prompt
    yes: float
    no: float
    score: float

    @property
    def label(self) -> int:
        """The likelier of the two words, whatever zero the relevance score has."""
        return int(self.yes > self.no)


def explain(
    scorer: LanguageScorer,
    questions: Sequence[Question],
    manner: Manner,
    done: Collection[int] = (),
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (place among the questions, everything there is to say about the pair, as JSON values).

    Prompts of like length are written together, so the places come in another order. What is written together does
    not depend on what is done, so that a run that was killed goes on as it would have.

    Args:
        scorer: the model.
        questions: all of them.
        manner: how to explain.
        done: places that are explained already.
    """
    answered = _answer(scorer, questions)
    by_length = sorted(range(len(questions)), key=lambda place: len(answered[place].prompt.ids))
    for start in range(0, len(by_length), manner.batch_size):
        places = by_length[start : start + manner.batch_size]
        if all(place in done for place in places):
            continue
        chosen = [answered[place] for place in places]
        reasons = generate_reasons(
            scorer,
            [one.prompt for one in chosen],
            [one.label for one in chosen],
            scorer.columns([one.question.example.user for one in chosen]),
            manner.max_new_tokens,
            facts=[_read(scorer, one) for one in chosen] if manner.grounded else None,
        )
        for place, one, reason in zip(places, chosen, reasons, strict=True):
            if place not in done:
                yield place, _facts(scorer, one, reason, manner)


def _answer(scorer: LanguageScorer, questions: Sequence[Question]) -> list[_Answered]:
    prompts = [scorer.builder.build(question.example) for question in questions]
    columns = scorer.columns([question.example.user for question in questions])
    logits = scorer.scorer.score(prompts, columns)
    scores = logits.score(scorer.relevance)
    return [
        _Answered(
            question=question,
            prompt=prompt,
            yes=float(logits.yes[place]),
            no=float(logits.no[place]),
            score=float(scores[place]),
        )
        for place, (question, prompt) in enumerate(zip(questions, prompts, strict=True))
    ]


def _facts(
    scorer: LanguageScorer, answered: _Answered, reason: str, manner: Manner
) -> dict[str, Any]:
    question, prompt = answered.question, answered.prompt
    text = scorer.builder.decode(prompt.ids)
    example, dataset = question.example, scorer.examples.dataset
    moved = (
        influences(scorer, example, question.full)
        if manner.influence
        else [None] * len(example.history)
    )
    routes = scorer.routes([example.user])
    weights = (
        []
        if scorer.routing is None or example.user is None
        else scorer.routing.weights[example.user]
    )
    claims = _read(scorer, answered).claims(reason)
    return {
        "user": question.user,
        "item": dataset.items[example.item],
        "title": dataset.titles[example.item],
        "row": question.row,
        "answer": YES if answered.label else NO,
        "probability": float(1 / (1 + np.exp(-answered.score))),
        "score": answered.score,
        "relevance": scorer.relevance,
        "yes_logit": answered.yes,
        "no_logit": answered.no,
        "reason": reason,
        "claims": len(claims),
        "unread": [claim for claim, is_read in claims.items() if not is_read],
        "reference": question.reference,
        "route": routes[0] if routes else None,
        "weights": [float(w) for w in weights],
        "experts": 0 if scorer.routing is None else scorer.routing.weights.shape[1],
        "evidence": _evidence(scorer, example),
        "history": _history(scorer, example, moved),
        "prompt": text,
        "token_ids": prompt.ids,
        "prompt_token_count": len(prompt.ids),
        "slots": [[slot.position, slot.kind] for slot in prompt.slots],
    }


def _read(scorer: LanguageScorer, answered: _Answered) -> Facts:
    """Return what the model read, long titles cut as it read them."""
    example, titles = answered.question.example, scorer.examples.dataset.titles
    dislikes = scorer.builder.config.history_dislikes
    shown = [
        (titles[int(item)][:LONGEST_TITLE], bool(liked))
        for item, liked in zip(example.history, example.labels, strict=True)
        if dislikes or liked
    ]
    target = titles[example.item][:LONGEST_TITLE]
    return Facts(scorer.builder.decode(answered.prompt.ids), shown, target)


def _history(
    scorer: LanguageScorer, example: Example, moved: Iterable[float | None]
) -> list[dict[str, Any]]:
    dataset, dislikes = scorer.examples.dataset, scorer.builder.config.history_dislikes
    return [
        {
            "item": dataset.items[int(item)],
            "title": dataset.titles[int(item)],
            "label": int(liked),
            # Counts may tell of what the prompt does not show.
            "shown": dislikes or bool(liked),
            "influence": None if value is None else float(value),
        }
        for item, liked, value in zip(example.history, example.labels, moved, strict=True)
    ]


def _evidence(scorer: LanguageScorer, example: Example) -> list[str]:
    evidence = []
    if scorer.builder.config.style == "evidence":
        evidence = [
            user_sentence(example.evidence, example.position),
            item_sentence(example.evidence, example.position),
        ]
    if example.prior is not None:
        evidence.append(prior_sentence(example.prior))
    return evidence
