"""How a process holds memory between batches.

The memory that a batch gave back is kept, instead of asking the system for it again at the next one. A forward pass
allocates and frees tensors of megabytes by the thousand. By default the C library hands such memory back at once, and
the system clears every page anew when it is asked for again: a sixth of a forward pass of a language model on a virtual
machine, and much of a step of matrix factorisation with many users.

Kernels that were made for one length of a batch are not kept for long: hardly another batch has it.
"""

import contextlib
import ctypes
import os
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # names of glibc's mallopt
_NEVER = (1 << 31) - 1
_KERNELS = 64


def settle_memory() -> None:
    """Have this process hold memory so from now on."""
    keep_freed_memory()
    keep_few_kernels()


def keep_freed_memory() -> None:
    """Set the allocator of this process so; without effect where the C library is not glibc."""
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018 - other C libraries have a mallopt that does something else
        # Older glibc refuses more than 32 MiB. Where it refuses both, the other settings would make it worse:
        # any of them stops it from raising this threshold by itself.
        if any(library.mallopt(_MMAP_THRESHOLD, size << 20) for size in (64, 32)):
            library.mallopt(_TRIM_THRESHOLD, _NEVER)
            library.mallopt(_TOP_PAD, 64 << 20)


def keep_few_kernels() -> None:
    """Let oneDNN keep the kernels of about two steps; without effect once it has multiplied in this process.

    It makes one for each shape of a product and keeps 1,024. In a training each step has a length of its own, and what
    is kept lies among the freed memory, whose pieces then fit no later batch: the process grows with every step. A
    capacity that the user has set stays.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(_KERNELS))


def give_back_gpu() -> None:
    """Let other programs have the memory of a GPU that torch keeps for later, when a piece of work is over."""
    torch = sys.modules.get("torch")  # else nothing was computed there
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
