"""The loss of a batch of instances through the language model, frozen layers run once where they can be."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from core.config.training import LossConfig
from core.fusion.mixture import Gates
from core.llm.decoder import Decoder
from core.llm.inject import Injector
from core.llm.ragged import Layout, Trunk
from core.text.answers import AnswerTokens
from core.training.instances import Instance
from core.training.losses import Losses, Targets, joint_loss


@dataclass(kw_only=True)
class LanguageLoss:
    """Computes the joint loss of instances.

    Layers below `frozen_layers` hold nothing that trains and no dropout, so what they give for an instance never
    changes: it is computed once and kept while `cache_bytes` last, and recomputed beyond. The numbers are the same.
    """

    decoder: Decoder
    instances: Sequence[Instance]
    answers: AnswerTokens
    config: LossConfig
    injector: Injector | None = None
    gates: Gates | None = None
    columns: npt.NDArray[np.float64] | None = None
    """(instances, global + experts) weights of each instance's row, for a model with mixture layers."""
    offsets: npt.NDArray[np.float64] | None = None
    """(global + experts,) what each adds to the logit of Yes, by its weight."""
    frozen_layers: int = 0
    cache_bytes: int = 0
    lengths: Sequence[int] = field(init=False)
    """Tokens of each instance."""
    recurring: npt.NDArray[np.bool_] | None = None
    """(instances,) which are seen more than once: only these are worth keeping; None keeps all."""
    _kept: dict[int, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Look at the lengths. Raises: MismatchError for an instance longer than the model sees."""
        self.lengths = [len(one.ids) for one in self.instances]
        self.decoder.require_room(self.lengths)

    def __call__(self, batch: npt.NDArray[np.int64]) -> tuple[Losses, int]:
        """Return the losses of the instances at these positions, and their tokens."""
        chosen = [self.instances[int(position)] for position in batch]
        layout = Layout.of(
            [Trunk(ids=one.ids) for one in chosen],
            device=self.decoder.device,
        )
        hidden = self._below(batch, layout, chosen)
        where = _answer_positions(layout, chosen)
        mixing: AbstractContextManager[None] = nullcontext()
        if self.gates is not None and self.columns is not None:
            rows = torch.from_numpy(self.columns[batch]).to(hidden)
            mixing = self.gates.use(rows[layout.trunk_of_token])
        with mixing:
            hidden = self.decoder.run(hidden, layout, start=self.frozen_layers, rows=where)
        offset = np.zeros(len(chosen))
        if self.offsets is not None and self.columns is not None:
            offset = self.columns[batch] @ self.offsets
        return self._loss(hidden, chosen, offset), layout.tokens

    def forget(self) -> None:
        """Give back the memory of what was kept."""
        self._kept.clear()

    def _below(
        self, batch: npt.NDArray[np.int64], layout: Layout, chosen: Sequence[Instance]
    ) -> Tensor:
        """Return (T, width) hidden states before the first layer that trains."""
        if not self.frozen_layers:
            return self._embed(layout, chosen)
        positions = [int(position) for position in batch]
        missing = [p for p in dict.fromkeys(positions) if p not in self._kept]
        # On a CPU each runs by itself: in a batch the last digits would depend on its batch mates, and a resumed run,
        # which meets an instance first in another batch, would not repeat the uninterrupted one. A GPU, which promises
        # no last digits, would only wait for the calls.
        alone = self.decoder.device.type == "cpu"
        found: dict[int, Tensor] = {}
        for group in [[p] for p in missing] if alone else filter(None, [missing]):
            found |= self._frozen(group)
        return torch.cat([self._kept[p] if p in self._kept else found[p] for p in positions])

    def _embed(self, layout: Layout, chosen: Sequence[Instance]) -> Tensor:
        """Return (T, width) input embeddings, with what stands in the slots."""
        hidden = self.decoder.embed(layout.ids)
        if self.injector is not None:
            slots = [one.slots for one in chosen]
            hidden = self.injector.inject(hidden, layout.starts().tolist(), slots)
        return hidden

    def _frozen(self, positions: Sequence[int]) -> dict[int, Tensor]:
        """Return what the frozen layers give for some instances, each (tokens, width); keep what is worth keeping."""
        chosen = [self.instances[position] for position in positions]
        layout = Layout.of([Trunk(ids=one.ids) for one in chosen], device=self.decoder.device)
        with torch.no_grad():
            hidden = self.decoder.run(self._embed(layout, chosen), layout, stop=self.frozen_layers)
        parts = torch.split(hidden, layout.trunk_lengths.tolist())
        for position, part in zip(positions, parts, strict=True):
            size = part.numel() * part.element_size()
            again = self.recurring is None or self.recurring[position]
            if again and size <= self.cache_bytes:
                # Its own memory: a part would hold that of the whole batch.
                self._kept[position] = part if len(parts) == 1 else part.clone()
                self.cache_bytes -= size
        return dict(zip(positions, parts, strict=True))

    def _loss(
        self, hidden: Tensor, chosen: Sequence[Instance], offset: npt.NDArray[np.float64]
    ) -> Losses:
        device = hidden.device
        counts = torch.tensor([len(one.answer) for one in chosen])
        first = (torch.cumsum(counts, 0) - counts).to(device)
        yes_no = torch.tensor([self.answers.yes, self.answers.no], device=device)
        targets = Targets(
            tokens=torch.tensor([t for one in chosen for t in one.answer], device=device),
            owner=torch.repeat_interleave(torch.arange(len(chosen)), counts).to(device),
            labels=torch.tensor([float(one.label) for one in chosen], device=device),
            reasoning=torch.tensor([one.reasoning for one in chosen], device=device),
            offset=torch.from_numpy(offset.astype(np.float32)).to(device),
        )
        # The answers once more in float32, as scoring has them: their margin is less than a step of bfloat16.
        answered = self.decoder.logits(hidden[first], yes_no)
        said = self.decoder.logits(hidden)
        if any(one.offset for one in chosen):
            # What the model begins to say is what it scores: both see the logit of Yes as scoring has it.
            own = torch.tensor([one.offset for one in chosen], device=device)
            answered = torch.stack([answered[:, 0] + own, answered[:, 1]], 1)
            said = said.index_put((first, yes_no[:1]), own.to(said), accumulate=True)
        return joint_loss(said, answered, targets, self.config)


def _answer_positions(layout: Layout, chosen: Sequence[Instance]) -> Tensor:
    """Return the flat index of each token that predicts one of an answer: they stand at the end of each instance."""
    parts = [
        end - len(one.answer) + 1 + torch.arange(len(one.answer))
        for end, one in zip(layout.ends.cpu(), chosen, strict=True)
    ]
    return torch.cat(parts).to(layout.ids.device)
