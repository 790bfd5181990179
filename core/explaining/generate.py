"""Let the model go on after its own answer: the reason, with the same weights that gave the score."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
)

from core.explaining.claims import PART, Facts
from core.llm.quiet import quiet_transformers
from core.scoring.language import LanguageScorer
from core.text.endings import each_sentence_once, whole_sentences
from core.text.prompts import Prompt, PromptBuilder

REPETITION_PENALTY = 1.05
"""Small models fall into loops; a mild penalty stops that and leaves names alone."""
_CANDIDATES = 256
"""Likeliest tokens among which one is looked for that claims nothing unread."""


def generate_reasons(
    speaker: LanguageScorer,
    prompts: Sequence[Prompt],
    labels: Sequence[int],
    columns: npt.NDArray[np.float64] | None,
    max_new_tokens: int,
    *,
    facts: Sequence[Facts] | None = None,
) -> list[str]:
    """Return "Yes. <reason>" or "No. <reason>" of each prompt, greedily decoded as one batch.

    Args:
        speaker: the model, the same object that scored the prompts.
        prompts: up to the place where the answer begins; the longer they differ, the more is padding.
        labels: the answers given: 1 Yes, 0 No.
        columns: (n, global + experts) weights of the users' rows, if the model has mixture layers.
        max_new_tokens: longest reason.
        facts: of each prompt, what its reason may claim; without them it may claim anything.
    """
    scorer, builder = speaker.scorer, speaker.builder
    model, device = scorer.decoder.model, scorer.decoder.device
    starts = [
        [*prompt.ids, *builder.answer(label), *builder.full_stop]
        for prompt, label in zip(prompts, labels, strict=True)
    ]
    gates: AbstractContextManager[None] = nullcontext()
    if scorer.gates is not None and columns is not None:
        # One row of weights for all tokens of a sequence.
        gates = scorer.gates.use(torch.from_numpy(columns[:, None, :]).to(device))
    processors: list[LogitsProcessor] = [RepetitionPenaltyLogitsProcessor(REPETITION_PENALTY)]
    if facts is not None:
        # Last: what it leaves is the token taken.
        processors.append(_Grounded(builder, facts))
    with torch.inference_mode(), gates, quiet_transformers():
        sequences = [
            scorer.embed_prompt(ids, prompt.slots)
            for ids, prompt in zip(starts, prompts, strict=True)
        ]
        embedded, mask = _padded(sequences)
        out = model.generate(
            inputs_embeds=embedded,
            attention_mask=mask,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            repetition_penalty=1.0,
            # Asked by its setting, transformers would spare as many new tokens as a row has padding: it takes them for
            # the prompt, which is not among the ids here.
            logits_processor=LogitsProcessorList(processors),
            eos_token_id=_ends(builder),
            pad_token_id=builder.tokenizer.pad_token_id or builder.tokenizer.eos_token_id,
        )
    return [
        f"{builder.answer_word(label)}. {_reason(ids, builder)}".strip()
        for label, ids in zip(labels, out.tolist(), strict=True)
    ]


class _Grounded(LogitsProcessor):  # type: ignore[misc] # transformers has no types
    """Leaves of each row the likeliest token with which the reason claims nothing that was not read."""

    def __init__(self, builder: PromptBuilder, facts: Sequence[Facts]) -> None:
        self._tokenizer = builder.tokenizer
        self._facts = facts

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Rule all other tokens out.

        Args:
            input_ids: (n, written so far) tokens of the reasons; the prompts came in as embeddings.
            scores: (n, vocabulary).
        """
        end = self._tokenizer.eos_token_id
        # Of all rows at once: a GPU is waited for each time that something is read from it.
        likeliest = scores.topk(min(_CANDIDATES, scores.shape[1])).indices.tolist()
        chosen: dict[int, int] = {}
        for row, (written, facts) in enumerate(zip(input_ids.tolist(), self._facts, strict=True)):
            if end not in written:
                token = self._held(written, self._candidates(likeliest[row], scores[row]), facts)
                if token is not None:
                    chosen[row] = token
        if chosen:
            rows, tokens = (
                torch.tensor(list(x), device=scores.device) for x in (chosen, chosen.values())
            )
            scores[rows] = -torch.inf
            scores[rows, tokens] = 0.0
        return scores

    def _held(self, written: list[int], candidates: Iterable[int], facts: Facts) -> int | None:
        """Return the first token with which a reason claims nothing unread."""
        text = self._tokenizer.decode(written, skip_special_tokens=True)
        return next((t for t in candidates if facts.allow(self._gone_on(text, written, t))), None)

    def _candidates(self, likeliest: Sequence[int], scores: Tensor) -> Iterator[int]:
        """Yield the likeliest tokens, then those of one character: some of them goes on with anything allowed."""
        yield from likeliest
        short = torch.tensor(self._short_tokens, device=scores.device)
        yield from short[scores[short].argsort(descending=True)].tolist()

    @cached_property
    def _short_tokens(self) -> list[int]:
        """Tokens that add one character."""
        texts = self._tokenizer.batch_decode([[token] for token in range(len(self._tokenizer))])
        return [token for token, text in enumerate(texts) if len(text) == 1]

    def _gone_on(self, text: str, written: list[int], token: int) -> str:
        """Return a text with what a token adds; whatever it ends with has ended where the turn has."""
        if token == self._tokenizer.eos_token_id:
            return _plain(f"{text}.")
        # Some tokenizers drop the blank that a text begins with, and one token may be a part of a character: what a
        # token adds is seen behind those before it.
        few = 1 if not text.endswith(PART) else 4
        before, both = (
            self._tokenizer.decode(ids, skip_special_tokens=True)
            for ids in (written[-few:], [*written[-few:], token])
        )
        return _plain(text.rstrip(PART) + both.removeprefix(before.rstrip(PART)))


def _plain(text: str) -> str:
    """Return a text with single blanks."""
    return re.sub(r"\s+", " ", text.lstrip())


def _padded(sequences: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return (n, longest, width) embeddings, padded on the left, and the mask of what is real."""
    longest = max(len(one) for one in sequences)
    embedded = sequences[0].new_zeros(len(sequences), longest, sequences[0].shape[1])
    mask = torch.zeros(len(sequences), longest, dtype=torch.long, device=embedded.device)
    for row, one in enumerate(sequences):
        embedded[row, longest - len(one) :] = one
        mask[row, longest - len(one) :] = 1
    return embedded, mask


def _ends(builder: PromptBuilder) -> list[int] | None:
    end = builder.tokenizer.eos_token_id
    return None if end is None else [end]


def _reason(ids: list[int], builder: PromptBuilder) -> str:
    """Return the text before the end of the turn, after which a batch is filled up; tidied if the limit came first.

    Small models say a sentence again in spite of the penalty: it stands there once.
    """
    end = builder.tokenizer.eos_token_id
    finished = end in ids
    kept = ids[: ids.index(end)] if finished else ids
    text = " ".join(builder.tokenizer.decode(kept, skip_special_tokens=True).split())
    if text and not finished:
        text = whole_sentences(text) or f"{text}…"
    return each_sentence_once(text)
