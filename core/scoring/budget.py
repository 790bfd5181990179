"""How many tokens one forward pass may take, found from the model's width and the memory that is free."""

import contextlib
import os
from pathlib import Path

import torch

from core.llm.decoder import Decoder

_SHARE_OF_FREE = 0.25
"""Of the memory free now; the rest is for attention, for other programs, and for what is not known."""
_MOST_ON_CPU, _MOST_ON_GPU, _LEAST = 4096, 65_536, 512
"""A CPU gains nothing from more (its matrix products are at their best from a thousand rows on); a GPU does."""


def token_budget(decoder: Decoder, free_bytes: int | None = None) -> int:
    """Return the token budget of a batch.

    Args:
        decoder: the model, where it is.
        free_bytes: memory free there; asked of the system if None.
    """
    if free_bytes is None:
        free_bytes = _free_bytes(decoder.device)
    most = _MOST_ON_GPU if decoder.device.type == "cuda" else _MOST_ON_CPU
    fits = int(free_bytes * _SHARE_OF_FREE / _bytes_per_token(decoder))
    return max(_LEAST, min(most, fits))


def _bytes_per_token(decoder: Decoder) -> int:
    """Return what a layer holds of a token at its peak: states, heads and the feed-forward part, two copies each."""
    config = decoder.model.config
    values = 8 * int(config.hidden_size) + 4 * int(config.intermediate_size)
    return values * int(decoder.model.dtype.itemsize)


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        # What torch keeps of what it gave back counts as taken to the driver.
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + kept
    with contextlib.suppress(OSError):
        # Free memory leaves out what the system gives back at once: the files it has read.
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
