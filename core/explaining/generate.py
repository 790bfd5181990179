"""Let the model go on after its own answer: the reason, with the same weights that gave the score."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import numpy.typing as npt
import torch

from core.llm.quiet import quiet_transformers
from core.scoring.scorer import Scorer
from core.text.prompts import Prompt, PromptBuilder


def generate_reason(
    scorer: Scorer,
    builder: PromptBuilder,
    prompt: Prompt,
    label: int,
    columns: npt.NDArray[np.float64] | None,
    max_new_tokens: int,
) -> str:
    """Return "Yes. <reason>" or "No. <reason>", greedily decoded.

    Args:
        scorer: the model, the same object that scored the prompt.
        prompt: up to the place where the answer begins.
        label: the answer given: 1 Yes, 0 No.
        columns: (1, global + experts) weights of the user's row, if the model has mixture layers.
        max_new_tokens: longest reason.
    """
    model = scorer.decoder.model
    start = [*prompt.ids, *builder.answer(label), *builder.full_stop]
    device = scorer.decoder.device
    gates: AbstractContextManager[None] = nullcontext()
    if scorer.gates is not None and columns is not None:
        gates = scorer.gates.use(torch.from_numpy(columns).to(device))
    with torch.inference_mode(), gates, quiet_transformers():
        embedded = scorer.embed_prompt(start, prompt.slots)
        out = model.generate(
            inputs_embeds=embedded[None],
            attention_mask=torch.ones(1, len(start), dtype=torch.long, device=device),
            max_new_tokens=max_new_tokens,
            do_sample=False,
            # Small models fall into loops; a mild penalty stops that and leaves names alone.
            repetition_penalty=1.05,
            eos_token_id=_ends(builder),
            pad_token_id=builder.tokenizer.pad_token_id or builder.tokenizer.eos_token_id,
        )
    return _tidy(builder.answer_word(label), builder.tokenizer, out[0].tolist())


def _ends(builder: PromptBuilder) -> list[int] | None:
    end = builder.tokenizer.eos_token_id
    return None if end is None else [end]


def _tidy(word: str, tokenizer: object, ids: Sequence[int]) -> str:
    """Return the answer word and the reason; a sentence cut off by the limit is dropped if others stand before it."""
    text = " ".join(tokenizer.decode(list(ids), skip_special_tokens=True).split())  # type: ignore[attr-defined]
    if text and text[-1] not in ".!?" and "." in text:
        text = text[: text.rindex(".") + 1]
    return f"{word}. {text}".strip()
