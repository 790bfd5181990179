"""Every failure a user can repair: one line what, one line what to do, its own exit code, no traceback."""

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from pathlib import Path

import pytest
import typer

from artifacts import errors as store_errors
from artifacts.store import Store
from core import errors
from core.errors import ConfigError, DiskFullError
from core.stages.kinds import KINDS
from tests.artifacts.support import ending
from tests.cli.conftest import environment
from thinkrec_cli import console
from thinkrec_cli.boundary import error_boundary


def repairable():
    """All error classes a user may meet."""
    queue = [errors.ThinkRecError, store_errors.StoreError]
    while queue:
        kind = queue.pop()
        queue += kind.__subclasses__()
        yield kind


def lines_of(stderr: str) -> list[str]:
    return [line for line in stderr.splitlines() if line]


@pytest.mark.parametrize(
    ("arguments", "code", "problem", "hint"),
    [
        (["augment"], 3, "thinkrec augment needs an artifact of kind dataset", "thinkrec ingest"),
        (["show", "dataset/none"], 3, "there is no artifact dataset/none", "thinkrec list"),
        (["list", "datset"], 3, "there is no kind 'datset'", "Did you mean 'dataset'?"),
        (["sql", "select * from nothing_here"], 8, "nothing_here", "show tables"),
        (["run", "none.toml"], 10, "recipe none.toml cannot be read", "a TOML file"),
        (["ingest", "table", "--interactions", "none.csv"], 10, "none.csv", ""),
        (["augment", "--config", "none.toml"], 10, "none.toml", "existing TOML file"),
        (["augment", "--limit", "0"], 30, "limit = 0", "1 or more"),
        (
            ["score", "--user", "u1", "--top", "70", "--candidates", "20"],
            30,
            "top = 70 is more than the candidates = 20",
            "--candidates 70 or more",
        ),
    ],
)
def test_a_failure_has_a_problem_a_hint_and_its_own_exit_code(
    thinkrec, store, arguments, code, problem, hint
):
    Store.open(store, KINDS, "test")
    done = thinkrec(*arguments)
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    error, advice = lines_of(done.stderr)[-2:]
    assert error.startswith("error: ")
    assert problem in error
    assert advice.startswith("hint: ")
    assert hint in advice


@pytest.mark.parametrize("kind", repairable(), ids=lambda kind: kind.__name__)
def test_the_boundary_exits_with_the_code_of_the_error(kind, capsys):
    with pytest.raises(typer.Exit) as end, error_boundary():
        raise kind("a [red]problem[/red]\nover two lines", hint="do [b]this[/b]")
    assert end.value.exit_code == kind.exit_code
    assert capsys.readouterr().err == (
        "error: a [red]problem[/red] over two lines\nhint: do [b]this[/b]\n"
    )


def test_exit_codes_are_distinct_and_leave_those_of_the_shell_alone():
    kinds = [kind for kind in repairable() if kind.__subclasses__() == []]
    codes = [kind.exit_code for kind in kinds]
    assert len(codes) > 25
    assert sorted(codes) == sorted(set(codes))
    assert all(0 < code < 126 and code != 2 for code in codes)


def test_a_full_disk_is_told_as_such(capsys):
    with pytest.raises(typer.Exit) as end, error_boundary():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/store/x")
    assert end.value.exit_code == DiskFullError.exit_code
    assert "thinkrec gc" in capsys.readouterr().err


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_behind_a_library_is_told_as_such(capsys, number):
    with pytest.raises(typer.Exit) as end, error_boundary():
        raise RuntimeError(f"IO Error: could not write: {os.strerror(number)}")
    assert end.value.exit_code == DiskFullError.exit_code
    assert ("ulimit -f" in capsys.readouterr().err) == (number == errno.EFBIG)


def test_a_limit_of_the_size_of_files_is_no_bug(shell):
    done = shell("ulimit -f 1; thinkrec ingest table --interactions ratings.csv")
    assert done.returncode == DiskFullError.exit_code
    assert os.strerror(errno.EFBIG) in done.stderr
    assert "ulimit -f" in lines_of(done.stderr)[-1]


@pytest.mark.parametrize(
    ("number", "path", "problem"),
    [
        (errno.EIO, "/store/x", "Input/output error: /store/x"),
        (errno.ENOENT, "/store/x", "No such file or directory: /store/x"),
        (errno.EMFILE, None, "Too many open files"),
        (errno.EDQUOT, "/store/x", "no space left on the device: /store/x"),
        (errno.EFBIG, "/store/x", "a file may not grow as large as it has to: /store/x"),
    ],
)
def test_what_the_system_refuses_is_no_bug(capsys, number, path, problem):
    with pytest.raises(typer.Exit) as end, error_boundary():
        raise OSError(number, os.strerror(number), path)
    full = number in (errno.EDQUOT, errno.EFBIG)
    wanted = DiskFullError if full else errors.MissingFileError
    assert end.value.exit_code == wanted.exit_code
    told, hint = lines_of(capsys.readouterr().err)
    assert told == f"error: {problem}"
    assert hint.startswith("hint: ")


def test_a_full_gpu_is_told_wherever_it_is_found(capsys):
    class OutOfMemoryError(RuntimeError):  # torch's own takes seconds to import
        pass

    with pytest.raises(typer.Exit) as end, error_boundary():
        raise OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    assert end.value.exit_code == errors.DeviceMemoryError.exit_code
    assert "memory of the GPU is full: CUDA out of memory\n" in capsys.readouterr().err


def test_words_of_others_do_not_command_the_terminal(capsys):
    console.print_error("no user '\x1b[31ma\x9b2J\u202eb\tc'", hint="Nearest: \x1b]0;x\x07d.")
    assert capsys.readouterr().err == "error: no user '[31ma2Jb c'\nhint: Nearest: ]0;xd.\n"


def test_results_are_written_whatever_letters_the_stream_takes(thinkrec, store):
    Store.open(store, KINDS, "test")
    query = "select chr(26085) || chr(128512) as c"
    latin = {"PYTHONIOENCODING": "latin-1"}
    done = thinkrec("sql", query, **latin)
    assert (done.returncode, done.stdout.split()) == (0, ["c", r"\u65e5\U0001f600"]), done.stderr
    assert json.loads(thinkrec("sql", "--json", query, **latin).stdout) == [{"c": "日😀"}]
    assert "日😀" in thinkrec("sql", "--json", query).stdout


def test_a_word_that_is_not_utf_8_is_refused(shell, store):
    done = shell(r"thinkrec ingest table --interactions $'caf\xe9.csv'")
    assert (done.returncode, done.stdout) == (ConfigError.exit_code, "")
    assert (
        lines_of(done.stderr)[0] == r"error: the word 'caf\udce9.csv' of the command is not UTF-8"
    )
    assert not store.exists()


def test_a_note_about_the_step_is_told(capsys):
    problem = ConfigError("wrong", hint="right")
    problem.add_note("in step 'mf'")
    with pytest.raises(typer.Exit), error_boundary():
        raise problem
    assert "note: in step 'mf'" in capsys.readouterr().err


def test_a_bug_passes_the_boundary():
    with pytest.raises(ZeroDivisionError), error_boundary():
        raise ZeroDivisionError


def test_a_bug_keeps_its_traceback_and_asks_to_be_reported(ratings, store):
    script = textwrap.dedent("""
        import sys
        from thinkrec_cli import app
        from artifacts.store import Store
        def broken(*arguments): raise ZeroDivisionError("oops")
        Store.open = broken
        sys.argv = ["thinkrec", "ingest", "ml-100k"]
        app.main()
    """)
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ratings,
        env=environment(store),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "ZeroDivisionError: oops" in done.stderr
    assert "Please report it" in done.stderr


def seconds_beside_the_main_thread(process: subprocess.Popen[str]) -> float:
    """Return the processor time of the other threads of a process: what DuckDB has computed so far."""
    ticks = 0
    for stat in Path(f"/proc/{process.pid}/task").glob("*/stat"):
        if stat.parent.name != str(process.pid):
            with suppress(OSError):  # a thread that has ended meanwhile
                user, system = stat.read_text().rpartition(")")[2].split()[11:13]
                ticks += int(user) + int(system)
    return ticks / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_a_signal_ends_the_program_with_one_line(ratings, store, ingested, number, code, word):
    query = (
        "select count(*) from range(1000000000) a, range(1000000) b where a.range % 7 = b.range % 5"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "thinkrec_cli", "sql", query],
        cwd=ratings,
        env=environment(store),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with ending(process):
        # Longer than DuckDB takes to be loaded: by now the query runs.
        while process.poll() is None and seconds_beside_the_main_thread(process) < 0.5:
            time.sleep(0.05)
        process.send_signal(number)
        out, err = process.communicate()
    assert process.returncode == code, err
    assert out == ""
    assert lines_of(err)[-1] == word
    assert "Traceback" not in err


def test_a_signal_that_python_drops_comes_again():
    lost = (
        "import signal, time, weakref\n"
        "from thinkrec_cli import boundary\n"
        "boundary.install()\n"
        "class Thing: pass\n"
        "thing = Thing()\n"
        "seen = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))\n"
        "try:\n    del thing\n    time.sleep(30)\n"
        "except KeyboardInterrupt:\n    print('unwound')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", lost], capture_output=True, text=True, check=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("unwound\n", "")


@pytest.mark.parametrize("arguments", ["list", "list --json", "--version", "--help", "list --help"])
def test_results_that_find_no_room_are_told_as_a_full_disk(shell, ingested, arguments):
    done = shell(f"thinkrec {arguments} > /dev/full")
    assert done.returncode == DiskFullError.exit_code
    problem, hint = lines_of(done.stderr)
    assert problem.startswith("error: no space left on the device")
    assert hint.startswith("hint: ")


@pytest.mark.parametrize("arguments", ["list", "list --json", "--version", "--help", "list --help"])
def test_a_reader_that_has_left_is_told_by_the_exit_code_alone(shell, ingested, arguments):
    # The wait makes sure that the reader has left.
    done = shell(f"(sleep 0.3; thinkrec {arguments}) | true; echo ${{PIPESTATUS[0]}}")
    assert (done.stdout, done.stderr) == ("141\n", "")


@pytest.mark.parametrize("arguments", ["augment --force", "show none", "nonsense"])
def test_a_reader_of_the_errors_that_has_left_ends_the_program_alike(shell, ingested, arguments):
    line = f"(sleep 0.3; thinkrec {arguments} 2>&1 >/dev/null) | true; echo ${{PIPESTATUS[0]}}"
    assert shell(line).stdout == "141\n"


@pytest.mark.parametrize("redirected", ["2>/dev/full", "2</dev/null"])
@pytest.mark.parametrize(
    ("arguments", "code", "out"),
    [
        ("show nope", 3, ""),
        ("nonsense", 2, ""),
        ("augment", 0, "keywords/tfidf@1\n"),
        ("augment --verbose", 0, "keywords/tfidf@1\n"),
        ("show dataset/table >/dev/full", 70, ""),
    ],
)
def test_messages_that_cannot_be_written_change_nothing(
    shell, ingested, arguments, code, out, redirected
):
    for more in ({}, {"PYTHONUNBUFFERED": "1"}, {"FORCE_COLOR": "1"}):
        shell("rm -rf $THINKREC_STORE/refs/keywords")
        done = shell(f"thinkrec {arguments} {redirected}", **more)
        assert (done.returncode, done.stdout) == (code, out)


def test_messages_are_written_when_there_is_room_again(store):
    script = (
        "import os, sys; from thinkrec_cli import boundary, console; boundary.ready_streams(); "
        "there = os.dup(2); os.dup2(os.open('/dev/full', os.O_WRONLY), 2); console.say('one'); "
        "os.dup2(there, 2); console.say('two')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment(store),  # buffered, as usual
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == "one\ntwo\n"


def test_a_recipe_whose_reader_has_left_ends_like_any_command(shell, ratings):
    (ratings / "bad.toml").write_text(
        """
        step.data = {command = "ingest", source = "table", interactions = "ratings.csv"}
        step.more = {command = "ingest", source = "table", interactions = "bad.csv"}
        """
    )
    (ratings / "bad.csv").write_text("user,item,rating,timestamp\nu1,i1,five,1000000000\n")
    done = shell("thinkrec run bad.toml -q | true; echo ${PIPESTATUS[0]}")
    assert (done.stdout, done.stderr) == ("141\n", "")


def test_a_signal_ends_the_program_though_its_results_cannot_be_written(shell):
    script = (
        "import sys, threading; from thinkrec_cli import boundary; "
        "threading.Thread(target=threading.Event().wait).start(); "
        "boundary._SIGNALS.append(2); print(1); boundary.leave_if_stopped()"
    )
    done = shell(f"(sleep 0.3; timeout 20 python -c '{script}') | true; echo ${{PIPESTATUS[0]}}")
    assert (done.stdout, done.stderr) == ("130\n", "")


def test_a_store_of_a_newer_format_is_refused(thinkrec, ingested, store):
    import json

    file = store / "format.json"
    content = json.loads(file.read_text())
    number = next(name for name, value in content.items() if isinstance(value, int))
    file.chmod(0o644)
    file.write_text(json.dumps({**content, number: content[number] + 1}))
    done = thinkrec("list")
    assert done.returncode == store_errors.StoreTooNew.exit_code
    assert lines_of(done.stderr)[-1].startswith("hint: ")


def test_a_folder_that_may_not_be_written_is_told(tmp_path, capsys):
    with pytest.raises(typer.Exit) as end, error_boundary():
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path))
    assert end.value.exit_code == errors.MissingFileError.exit_code
    assert str(tmp_path) in capsys.readouterr().err
