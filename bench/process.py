"""What benches share that run whole processes: time, peak memory, and an environment of a peer's own."""

import os
import subprocess
import sys
import time
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PEERS = ROOT / ".venv-bench"


@dataclass(frozen=True)
class Ran:
    """One finished process."""

    seconds: float
    """Wall time from start to end."""
    cpu_seconds: float
    peak_gb: float
    """Largest resident memory, in 10^9 bytes; at least that of the process that started it."""
    output: str


def run(command: Sequence[str | Path], folder: Path | None = None) -> Ran:
    """Run a program to its end and measure it. Raises: RuntimeError if it fails."""
    # A clean library path: the program is this checkout's, whatever is installed.
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = time.perf_counter()
    with subprocess.Popen(
        list(map(str, command)),
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        # Only short texts are written, so neither pipe fills before the end.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.stdout is not None
        assert process.stderr is not None
        output, errors = process.stdout.read(), process.stderr.read()
    if process.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {errors or output}")
    return Ran(
        seconds=seconds,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_gb=usage.ru_maxrss * 1024 / 1e9,
        output=output,
    )


def thinkrec(store: Path, *arguments: str) -> Ran:
    """Run one command of the program in a process of its own."""
    return run([sys.executable, "-m", "thinkrec_cli", "--store", store, *arguments])


def peer_python(name: str, packages: Sequence[str]) -> Path:
    """Return the Python of an environment that holds a peer, making it the first time."""
    folder = PEERS / name
    python = folder / "bin" / "python"
    done = folder / "installed.txt"
    wanted = "\n".join(packages)
    if not (done.exists() and done.read_text() == wanted):
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
        done.write_text(wanted)
    return python


def peer_packages(name: str, packages: Sequence[str]) -> None:
    """Make packages of a peer importable in this process, beside those of the program, fetching them the first time.

    For peers that must run on the very same torch and transformers; what they need besides is named one by one.
    """
    folder = PEERS / name
    done = folder / "installed.txt"
    wanted = "\n".join(packages)
    if not (done.exists() and done.read_text() == wanted):
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade"]
        subprocess.run([*command, "--target", folder, *packages], check=True)
        done.write_text(wanted)
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
