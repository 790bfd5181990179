"""Let the model go on after its own answer: the reason, with the same weights that gave the score."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from transformers import LogitsProcessorList, RepetitionPenaltyLogitsProcessor

from core.llm.quiet import quiet_transformers
from core.scoring.scorer import Scorer
from core.text.endings import each_sentence_once, whole_sentences
from core.text.prompts import Prompt, PromptBuilder

REPETITION_PENALTY = 1.05
"""Small models fall into loops; a mild penalty stops that and leaves names alone."""


def generate_reasons(
    scorer: Scorer,
    builder: PromptBuilder,
    prompts: Sequence[Prompt],
    labels: Sequence[int],
    columns: npt.NDArray[np.float64] | None,
    max_new_tokens: int,
) -> list[str]:
    """Return "Yes. <reason>" or "No. <reason>" of each prompt, greedily decoded as one batch.

    Args:
        scorer: the model, the same object that scored the prompts.
        prompts: up to the place where the answer begins; the longer they differ, the more is padding.
        labels: the answers given: 1 Yes, 0 No.
        columns: (n, global + experts) weights of the users' rows, if the model has mixture layers.
        max_new_tokens: longest reason.
    """
    model, device = scorer.decoder.model, scorer.decoder.device
    starts = [
        [*prompt.ids, *builder.answer(label), *builder.full_stop]
        for prompt, label in zip(prompts, labels, strict=True)
    ]
    gates: AbstractContextManager[None] = nullcontext()
    if scorer.gates is not None and columns is not None:
        # One row of weights for all tokens of a sequence.
        gates = scorer.gates.use(torch.from_numpy(columns[:, None, :]).to(device))
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
            logits_processor=LogitsProcessorList(
                [RepetitionPenaltyLogitsProcessor(REPETITION_PENALTY)]
            ),
            eos_token_id=_ends(builder),
            pad_token_id=builder.tokenizer.pad_token_id or builder.tokenizer.eos_token_id,
        )
    return [
        f"{builder.answer_word(label)}. {_reason(ids, builder)}".strip()
        for label, ids in zip(labels, out.tolist(), strict=True)
    ]


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
