"""The base model as a stack of layers that can be run in part, on ragged batches.

Works for every transformers model built like Llama (`embed_tokens`, `layers`, `norm`, `rotary_emb`): Llama, Mistral,
Qwen and their kin. The loop over the layers is here, because scoring and training need what the stock loop does not
offer: a start and an end layer, shared prefixes, and logits for chosen tokens only. On a CPU layers of the Llama kind
are run by core/llm/fused.py; all others are transformers' own.
"""

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from core.errors import ModelFolderError
from core.llm.fused import FusedLayer, fits, rotary_context
from core.llm.ragged import Layout, register

_SCALES = ("logit_scale", "logits_scaling", "embedding_multiplier", "residual_multiplier")
LONGEST_PROMPT = 2048
"""A sliding window shorter than this would cut prompts, and the layers here see whole prompts."""


class Decoder:
    """Runs a causal language model layer by layer. Holds no state of a batch."""

    def __init__(self, model: Any) -> None:
        """Take a transformers causal LM, LoRA layers inside or not. Raises: ModelFolderError for another build."""
        body = model.model
        missing = [
            n for n in ("embed_tokens", "layers", "norm", "rotary_emb") if not hasattr(body, n)
        ]
        if missing:
            raise ModelFolderError(
                f"the base model ({type(model).__name__}) has no {', '.join(missing)}",
                hint="Use a Llama, Mistral or Qwen type of model.",
            )
        _refuse_scaled(model.config)
        model.config._attn_implementation = register()
        self.model = model
        self._body = body
        self._head: Tensor = model.get_output_embeddings().weight

    @property
    def layers(self) -> int:
        """Number of decoder layers."""
        return len(self._body.layers)

    @property
    def width(self) -> int:
        """Size of a hidden state, d_LLM."""
        return int(self.model.config.hidden_size)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self._head.device

    def embed(self, ids: Tensor) -> Tensor:
        """Return the input embeddings of (T,) ids as (T, width)."""
        embedded: Tensor = self._body.embed_tokens(ids)
        return embedded

    def run(
        self,
        hidden: Tensor,
        layout: Layout,
        *,
        start: int = 0,
        stop: int | None = None,
        rows: Tensor | None = None,
    ) -> Tensor:
        """Run layers start..stop-1 on a flat batch.

        Args:
            hidden: (T, width) input embeddings, or hidden states before layer `start`.
            layout: where the T tokens belong.
            rows: (P,) flat indices of the tokens whose hidden states are wanted; all if None. The last layer leaves
                out what only the others need.
        Returns: (T, width), or (P, width) with rows: hidden states after the last layer run, before the final norm.
        """
        layers = self._fused[start:stop]
        positions = layout.positions[None]
        rotary = self._body.rotary_emb(hidden[None], position_ids=positions)
        context = None
        for at, layer in enumerate(layers):
            if isinstance(layer, FusedLayer):
                context = context or rotary_context(rotary, layout.blocks(hidden))
                last = at == len(layers) - 1
                hidden = layer(hidden, context, rows if last else None)
                rows = None if last else rows
            else:
                hidden = layer(
                    hidden[None],
                    attention_mask=None,
                    position_ids=positions,
                    position_embeddings=rotary,
                    layout=layout,
                )[0]
        return hidden if rows is None else hidden[rows]

    @cached_property
    def _fused(self) -> list[Any]:
        """The layers in the order of running: ours where they fit, else those of transformers.

        Made at the first run, when adapters have been attached and merged.
        """
        return [
            FusedLayer(layer) if fits(layer, self.device) else layer for layer in self._body.layers
        ]

    def logits(self, hidden: Tensor, tokens: Tensor | None = None) -> Tensor:
        """Return float32 logits of hidden states before the final norm.

        Args:
            hidden: (P, width) hidden states of the positions that predict.
            tokens: (V,) the only token ids wanted, or None for the whole vocabulary.
        Returns: (P, V) logits.
        """
        normed = self._body.norm(hidden)
        if tokens is None:
            return torch.nn.functional.linear(normed, self._head).float()
        # Two rows of the head: in float32, because bf16 has three digits and margins are small.
        chosen: Tensor = normed.float() @ self._head[tokens].float().T
        return chosen


def _refuse_scaled(config: Any) -> None:
    """Raises: ModelFolderError for models whose own loop does more than ours: their scores would be wrong unseen."""
    odd = [name for name in _SCALES if getattr(config, name, None) not in (None, 1, 1.0)]
    window = getattr(config, "sliding_window", None)
    if getattr(config, "use_sliding_window", True) and window and window < LONGEST_PROMPT:
        odd.append("sliding_window")
    if odd:
        raise ModelFolderError(
            f"the base model ({config.model_type}) uses {', '.join(odd)}, which is not supported",
            hint="Use a Llama, Mistral or Qwen type of model without it.",
        )
