"""One explanation: the answer and how sure, the reason, the route, and what moved the score."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from core.explaining.generate import generate_reason
from core.explaining.influence import influences
from core.scoring.language import LanguageScorer
from core.text.answers import NO, YES
from core.text.evidence import item_sentence, prior_sentence, user_sentence
from core.text.examples import Example


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


def explain(
    scorer: LanguageScorer, question: Question, *, max_new_tokens: int, influence: bool
) -> dict[str, Any]:
    """Return everything there is to say about one pair, as JSON values."""
    example, builder = question.example, scorer.builder
    dataset = scorer.examples.dataset
    prompt = builder.build(example)
    columns = scorer.columns([example.user])
    logits = scorer.scorer.score([prompt], columns)
    score = float(logits.score(scorer.relevance)[0])
    # The answer is the likelier of the two words, whatever zero the relevance score has.
    label = int(logits.yes[0] > logits.no[0])
    moved = (
        influences(scorer, example, question.full) if influence else [None] * len(example.history)
    )
    routes = scorer.routes([example.user])
    weights = (
        []
        if scorer.routing is None or example.user is None
        else scorer.routing.weights[example.user]
    )
    evidence = []
    if builder.config.style == "evidence":
        evidence = [
            user_sentence(example.evidence, example.position),
            item_sentence(example.evidence, example.position),
        ]
    if example.prior is not None:
        evidence.append(prior_sentence(example.prior))
    return {
        "user": question.user,
        "item": dataset.items[example.item],
        "title": dataset.titles[example.item],
        "row": question.row,
        "answer": YES if label else NO,
        "probability": float(1 / (1 + np.exp(-score))),
        "score": score,
        "yes_logit": float(logits.yes[0]),
        "no_logit": float(logits.no[0]),
        "reason": generate_reason(scorer.scorer, builder, prompt, label, columns, max_new_tokens),
        "reference": question.reference,
        "route": routes[0] if routes else None,
        "weights": [float(w) for w in weights],
        "experts": 0 if scorer.routing is None else scorer.routing.weights.shape[1],
        "evidence": evidence,
        "history": [
            {
                "item": dataset.items[int(item)],
                "title": dataset.titles[int(item)],
                "label": int(liked),
                "influence": None if value is None else float(value),
            }
            for item, liked, value in zip(example.history, example.labels, moved, strict=True)
        ],
        "prompt": builder.decode(prompt.ids),
        "token_ids": prompt.ids,
        "prompt_token_count": len(prompt.ids),
        "slots": [[slot.position, slot.kind] for slot in prompt.slots],
    }
