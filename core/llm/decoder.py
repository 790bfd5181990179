"""The base model as a stack of layers that can be run in part, on ragged batches.

Works for every transformers model built like Llama (`embed_tokens`, `layers`, `norm`, `rotary_emb`): Llama, Mistral,
Qwen, Granite and their kin. The loop over the layers is here, because scoring and training need what the stock loop
does not offer: a start and an end layer, shared prefixes, and logits for chosen tokens only. Whether it gives what the
stock loop gives is tried whenever a model is opened (`require_stock_logits`). On a CPU layers of the Llama kind are
run by core/llm/fused.py; all others are transformers' own.
"""

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from core.errors import MismatchError, ModelFolderError
from core.llm.device import gpu_trouble_is_told
from core.llm.fused import FusedLayer, fits, rotary_context
from core.llm.quiet import first_line
from core.llm.ragged import Layout, Trunk, register

LONGEST_PROMPT = 2048
"""A model with fewer positions is refused when it is opened: prompts become as long, and beyond its positions a model
was never trained."""
_USABLE = "Use a model built like Llama, for instance Llama, Mistral, Qwen, SmolLM, Granite, Phi-3 or OLMo 2."
_TRIAL = 9
"""Tokens on which the loop here is tried against the stock one: one short sequence, as every opening pays for it."""
_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.25}
"""Share of the logits' spread by which rounding may move them. With bfloat16 transformers itself is .15 away from its
own logits in float32 (SmolLM2-135M, emulated instructions); another computation moves them by tens of per cent."""


class Decoder:
    """Runs a causal language model layer by layer. Holds no state of a batch."""

    def __init__(self, model: Any) -> None:
        """Take a transformers causal LM, LoRA layers inside or not. Raises: ModelFolderError for another build."""
        body: Any = getattr(model, "model", None)
        missing = [
            n for n in ("embed_tokens", "layers", "norm", "rotary_emb") if not hasattr(body, n)
        ]
        if missing:
            raise ModelFolderError(
                f"the base model ({type(model).__name__}) has no {', '.join(missing)}",
                hint=_USABLE,
            )
        _refuse_few_positions(model.config)
        model.config._attn_implementation = register()
        self.model = model
        self._body = body
        self._head: Tensor = model.get_output_embeddings().weight
        # Granite scales what enters its layers and divides its logits, Cohere multiplies them.
        self._entry_scale = float(getattr(model.config, "embedding_multiplier", None) or 1)
        self._logit_scale = float(getattr(model.config, "logit_scale", None) or 1) / float(
            getattr(model.config, "logits_scaling", None) or 1
        )

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

    @property
    def number_format(self) -> str:
        """Number format of the weights: float32, bfloat16."""
        return str(self.model.dtype).removeprefix("torch.")

    @property
    def numbers(self) -> str:
        """Kind of device and number format: "cpu bfloat16"."""
        return f"{self.device.type} {self.number_format}"

    def require_room(self, lengths: Iterable[int]) -> None:
        """Look at the tokens of prompts, answers included. Raises: MismatchError if the model sees fewer."""
        longest = max(lengths, default=0)
        reach = _reach(self.model.config)
        if reach and longest > reach:
            raise MismatchError(
                f"a prompt has {longest:,} tokens, and the base model sees {reach:,}",
                hint="Train with a lower --history-length or --keywords-per-item, or shorten titles and keywords.",
            )

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
        Returns: (T, width), or (P, width) with rows: hidden states after the last layer run, before the final norm; in
            float32 where layers of the Llama kind run to the last on a CPU, without gradients.
        """
        layers = self._fused[start:stop]
        if not start and self._entry_scale != 1:
            hidden = hidden * self._entry_scale
        positions = layout.positions[None]
        rotary = self._body.rotary_emb(hidden[None], position_ids=positions)
        like = hidden
        if stop is None and not torch.is_grad_enabled() and self._all_fused:
            # Sums rounded to bfloat16, two a layer, are a good part of what a score is away from one in float32.
            hidden = hidden.float()
        context = None
        for at, layer in enumerate(layers):
            if isinstance(layer, FusedLayer):
                context = context or rotary_context(rotary, layer.scale, layout.blocks(like))
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

    @cached_property
    def _all_fused(self) -> bool:
        return all(isinstance(layer, FusedLayer) for layer in self._fused)

    def logits(self, hidden: Tensor, tokens: Tensor | None = None) -> Tensor:
        """Return float32 logits of hidden states before the final norm.

        Args:
            hidden: (P, width) hidden states of the positions that predict.
            tokens: (V,) the only token ids wanted, or None for the whole vocabulary.
        Returns: (P, V) logits.
        """
        normed = self._body.norm(hidden)
        if tokens is None:
            logits = torch.nn.functional.linear(normed.to(self._head.dtype), self._head)
            return self._scaled(logits.float())
        # Two rows of the head: in float32, because bf16 has three digits and margins are small.
        chosen: Tensor = normed.float() @ self._head[tokens].float().T
        return self._scaled(chosen)

    def _scaled(self, logits: Tensor) -> Tensor:
        return logits if self._logit_scale == 1 else logits * self._logit_scale


def _reach(config: Any) -> int | None:
    """Return how many tokens a model sees at once: its positions, or a shorter sliding window; None if neither is told.

    The layers here see whole prompts, which within the window is the same.
    """
    window = getattr(config, "sliding_window", None)
    used = getattr(config, "use_sliding_window", True)
    return min(filter(None, (_positions(config), window if used else None)), default=None)


def _positions(config: Any) -> int | None:
    """Return how many tokens a model sees.

    Those of Phi-3's kind turn all positions of a batch by other factors where one prompt is beyond the length they
    were first trained on: there a row's score would depend on its batch mates.
    """
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    if (rope.get("rope_type") or rope.get("type")) in ("longrope", "dynamic"):
        first = rope.get("original_max_position_embeddings")
        first = first or getattr(config, "original_max_position_embeddings", None)
        if first:
            return int(first)
    positions = getattr(config, "max_position_embeddings", None)
    return int(positions) if positions else None


def require_stock_logits(model: Any) -> None:
    """Try the loop here against that of transformers, on a few tokens of a model without adapters.

    Raises: ModelFolderError for a model whose own loop does more than ours: its scores would be wrong unseen;
        ConfigError for a GPU that does not work, DeviceMemoryError for a full one.
    """
    decoder = Decoder(model)
    try:
        ids = torch.arange(1, _TRIAL + 1, device=decoder.device) * 7 % len(decoder._head)
        with torch.inference_mode(), gpu_trouble_is_told(decoder.device):
            layout = Layout.of([Trunk(ids=ids.tolist())], device=decoder.device)
            ours = decoder.logits(decoder.run(decoder.embed(layout.ids), layout))
            stock = model(input_ids=ids[None]).logits[0].float()
        spread = (stock - stock.mean(-1, keepdim=True)).norm()
        if (ours - stock).norm() <= _TOLERANCE[decoder._head.dtype] * spread:
            return
    except torch.OutOfMemoryError:
        raise  # a RuntimeError that says nothing of the build
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as trouble:
        raise _unsupported(
            model,
            f"its layers cannot be run one by one ({type(trouble).__name__}: {first_line(trouble)})",
        ) from trouble
    raise _unsupported(model, "its logits come out otherwise than transformers computes them")


def _unsupported(model: Any, problem: str) -> ModelFolderError:
    return ModelFolderError(
        f"the base model ({model.config.model_type}) is of a build that is not supported: {problem}",
        hint=_USABLE,
    )


def _refuse_few_positions(config: Any) -> None:
    """Raises: ModelFolderError for a reach that a few tokens would not show."""
    positions = getattr(config, "max_position_embeddings", None)
    if positions and positions < LONGEST_PROMPT:
        raise ModelFolderError(
            f"the base model ({config.model_type}) has only {positions} positions (max_position_embeddings)",
            hint=f"Use a model that sees {LONGEST_PROMPT} tokens or more at once.",
        )
