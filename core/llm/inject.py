"""Vectors from outside the vocabulary into the input embeddings, by position (equation 3, and soft prompts)."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from core.llm.projector import Projector
from core.llm.soft import SoftPrompt
from core.text.prompts import Slot

Floats = npt.NDArray[np.float32]
Source = Callable[[Tensor], Tensor]
"""Turns (n,) indices of slots into their (n, width) embeddings."""


class Injector:
    """Knows for each kind of slot where its embeddings come from."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        """Take kind of slot -> source."""
        self._sources = dict(sources)

    @classmethod
    def of(
        cls,
        *,
        soft: SoftPrompt | None = None,
        projector: Projector | None = None,
        vectors: tuple[Floats, Floats] | None = None,
        device: torch.device | str = "cpu",
    ) -> "Injector | None":
        """Return an injector for what there is, None for nothing.

        Args:
            soft: the soft prompt.
            projector: of collaborative vectors.
            vectors: with a projector: (U, d1) user and (I, d1) item vectors.
            device: where the model is.
        """
        sources: dict[str, Source] = {}
        if soft is not None:
            sources["soft"] = soft.to(device)
        if projector is not None and vectors is not None:
            projector = projector.to(device)
            users, items = (
                torch.from_numpy(np.ascontiguousarray(v, dtype=np.float32)).to(device)
                for v in vectors
            )
            sources["user"] = lambda index: projector.user(users[index])
            sources["item"] = lambda index: projector.item(items[index])
        return cls(sources) if sources else None

    def inject(
        self, hidden: Tensor, starts: Sequence[int], slots: Sequence[Sequence[Slot]]
    ) -> Tensor:
        """Replace the embeddings at the slots.

        Args:
            hidden: (T, width) input embeddings of a flat batch.
            starts: flat index where each sequence begins.
            slots: slots of each sequence, positions counted from its start.
        Returns: (T, width), a new tensor; gradients flow to the sources.
        """
        places: dict[str, list[int]] = {kind: [] for kind in self._sources}
        picks: dict[str, list[int]] = {kind: [] for kind in self._sources}
        for start, own in zip(starts, slots, strict=True):
            for slot in own:
                places[slot.kind].append(start + slot.position)
                picks[slot.kind].append(slot.index)
        used = [kind for kind, where in places.items() if where]
        if not used:
            return hidden
        where = torch.tensor([p for kind in used for p in places[kind]], device=hidden.device)
        vectors = [
            self._sources[kind](torch.tensor(picks[kind], device=hidden.device)) for kind in used
        ]
        return hidden.index_put((where,), torch.cat(vectors).to(hidden.dtype))
