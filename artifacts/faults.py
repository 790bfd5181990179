"""Fault points: make the n-th change to the disk kill the process or find the disk full.

Every change that the store makes to the file system passes through artifacts/files.py, which calls
`step` before it. With the environment variable THINKREC_FAULT unset this costs one look-up. Set to

- `<n>:kill`, the n-th step ends the process with SIGKILL before the change is made;
- `<n>:enospc`, the n-th step and every later one that needs space fails with ENOSPC; removals work.

So a test can run n = 1, 2, ... until a run ends well, and has then met every point.
"""

import errno
import os
import signal

_steps = 0


def step(what: str, *, grows: bool = True) -> None:
    """Count one change to the disk, and fail here if THINKREC_FAULT says so.

    Args:
        what: the change that comes next, for the error message.
        grows: whether it may need space on the disk.
    Raises: OSError with ENOSPC.
    """
    setting = os.environ.get("THINKREC_FAULT")
    if not setting:
        return
    global _steps  # noqa: PLW0603 - one count for the whole process is the point
    _steps += 1
    number, _, fault = setting.partition(":")
    if fault == "kill" and _steps == int(number):
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "enospc" and grows and _steps >= int(number):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), what)
