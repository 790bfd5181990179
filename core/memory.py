"""Keep the memory that a batch gave back, instead of asking the system for it again at the next one.

A forward pass allocates and frees tensors of megabytes by the thousand. By default the C library hands such memory
back at once, and the system clears every page anew when it is asked for again: a sixth of a forward pass of a language
model on a virtual machine, and much of a step of matrix factorisation with many users.
"""

import contextlib
import ctypes

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # names of glibc's mallopt
_NEVER = (1 << 31) - 1


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
