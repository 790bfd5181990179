"""Projected user and item vectors into the input embeddings, by position (equation 3)."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from core.llm.projector import Projector
from core.text.prompts import Slot


class Injector:
    """Holds the frozen collaborative vectors and the projector that maps them."""

    def __init__(
        self,
        projector: Projector,
        users: npt.NDArray[np.float32],
        items: npt.NDArray[np.float32],
        device: torch.device | str = "cpu",
    ) -> None:
        """Take vectors of shape (U, d1) and (I, d1)."""
        self.projector = projector.to(device)
        self._users = torch.from_numpy(np.ascontiguousarray(users, dtype=np.float32)).to(device)
        self._items = torch.from_numpy(np.ascontiguousarray(items, dtype=np.float32)).to(device)

    def inject(
        self, hidden: Tensor, starts: Sequence[int], slots: Sequence[Sequence[Slot]]
    ) -> Tensor:
        """Replace the embeddings at the slots.

        Args:
            hidden: (T, width) input embeddings of a flat batch.
            starts: flat index where each sequence begins.
            slots: slots of each sequence, positions counted from its start.
        Returns: (T, width), a new tensor; gradients flow to the projector.
        """
        places: dict[str, list[int]] = {"user": [], "item": []}
        picks: dict[str, list[int]] = {"user": [], "item": []}
        for start, own in zip(starts, slots, strict=True):
            for slot in own:
                places[slot.kind].append(start + slot.position)
                picks[slot.kind].append(slot.index)
        where = torch.tensor(places["user"] + places["item"], device=hidden.device)
        if not len(where):
            return hidden
        vectors = torch.cat(
            [
                self.projector.user(self._users[torch.tensor(picks["user"], dtype=torch.long)]),
                self.projector.item(self._items[torch.tensor(picks["item"], dtype=torch.long)]),
            ]
        )
        return hidden.index_put((where,), vectors.to(hidden.dtype))
