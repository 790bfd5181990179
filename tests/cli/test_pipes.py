"""Commands pipe: references come in, all of them and the own one go out."""

import fcntl
import os
import subprocess
import sys

import pytest

from core.errors import BadValueError, PipedInputError
from tests.cli.conftest import environment
from thinkrec_cli import pipes
from thinkrec_cli.pipes import parse_references

INGEST = "thinkrec ingest table --interactions ratings.csv --items movies.csv"


def test_a_pipeline_passes_all_references_on_and_adds_its_own_last(shell):
    done = shell(f"set -o pipefail; {INGEST} | thinkrec augment | thinkrec synthesize --rows 20")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["dataset/table@1", "keywords/tfidf@1", "traces/grounded@1"]


def test_a_command_alone_prints_its_own_reference_only(thinkrec, ingested):
    assert ingested == "dataset/table@1"
    assert thinkrec("augment").stdout == "keywords/tfidf@1\n"


def test_command_substitution_works(shell, ingested):
    done = shell(
        "thinkrec augment --dataset $(thinkrec ingest table --interactions ratings.csv "
        "--items movies.csv)"
    )
    assert done.stdout == "keywords/tfidf@1\n"


def test_the_pipe_wins_over_the_latest_artifact(shell, ingested):
    newer = shell(
        "head -100 ratings.csv > fewer.csv; thinkrec ingest table --interactions fewer.csv --name fewer"
    )
    assert newer.returncode == 0, newer.stderr
    done = shell("echo dataset/table@1 | thinkrec augment; thinkrec show keywords/tfidf --json")
    assert '"ancestors": ["dataset/table@1"]' in done.stdout


def test_references_may_come_from_a_file(shell, ingested):
    done = shell("echo dataset/table@1 > refs; thinkrec augment < refs")
    assert done.stdout == "dataset/table@1\nkeywords/tfidf@1\n"


def test_an_empty_pipe_leaves_the_own_reference_alone(shell, ingested):
    assert shell("true | thinkrec augment").stdout == "keywords/tfidf@1\n"


def test_json_goes_alone_to_stdout(shell, ingested):
    import json

    done = shell("echo dataset/table@1 | thinkrec augment --json")
    facts = json.loads(done.stdout)
    assert facts["reference"] == "keywords/tfidf@1"
    assert facts["hit"] is False
    again = json.loads(shell("echo dataset/table@1 | thinkrec augment --json").stdout)
    assert again["hit"] is True
    assert again["key"] == facts["key"]


def test_what_is_no_reference_is_refused_before_any_work(shell, ingested, store):
    done = shell("head -3 ratings.csv | thinkrec augment")
    assert done.returncode == PipedInputError.exit_code
    assert done.stdout == ""
    assert "line 1" in done.stderr
    assert "hint:" in done.stderr
    assert not (store / "objects" / "keywords").exists()


@pytest.mark.parametrize(
    "text",
    ["dataset/a@1\nencoder/b\n", "  dataset/a@1 encoder/b  ", "dataset/a@1\r\nencoder/b\r\n"],
)
def test_references_may_stand_on_one_line_or_many(text):
    assert parse_references(text) == ["dataset/a@1", "encoder/b"]


@pytest.mark.parametrize(
    "text", ["a,b,c", "Data set/x", "dataset/a@one", "../x", "abc", "dataset/"]
)
def test_other_words_are_no_references(text):
    with pytest.raises(PipedInputError):
        parse_references(text)


def test_waiting_for_a_silent_pipe_is_said_aloud(ratings, store, ingested):
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "thinkrec_cli", "augment"],
        stdin=reading,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ratings,
        env=environment(store),
    )
    os.close(reading)
    assert process.stderr is not None
    assert "waiting for references on standard input" in process.stderr.readline()
    os.write(writing, b"dataset/table@1\n")
    os.close(writing)
    out, _ = process.communicate(timeout=60)
    assert out == "dataset/table@1\nkeywords/tfidf@1\n"


def test_a_failure_stops_the_commands_that_come_after_it_in_the_pipe(shell, ingested, store):
    done = shell(
        "thinkrec ingest table --interactions none.csv | thinkrec augment | thinkrec synthesize;"
        " echo ${PIPESTATUS[@]}"
    )
    assert done.stdout == "10 34 34\n"
    assert done.stderr.count("the command before this one in the pipe failed") == 2
    assert not (store / "objects" / "keywords").exists()


def test_a_usage_error_stops_the_commands_that_come_after_it(shell, ingested):
    done = shell("thinkrec ingest --nonsense | thinkrec augment; echo ${PIPESTATUS[@]}")
    assert done.stdout == "2 34\n"


@pytest.mark.parametrize("before", ["pass", 'print("dataset/table@1", flush=True)'])
def test_a_kill_stops_the_commands_that_come_after_it(shell, ingested, store, before):
    killed = (
        "import os; from thinkrec_cli import pipes; pipes.mark_output(pipes.AT_WORK); "
        f"{before}; os.kill(os.getpid(), 9)"
    )
    done = shell(f"python -c '{killed}' | thinkrec augment; echo ${{PIPESTATUS[@]}}")
    assert done.stdout == "137 34\n"
    assert "the command before this one in the pipe was killed" in done.stderr
    assert not (store / "objects" / "keywords").exists()


def test_a_kill_while_the_program_still_starts_stops_them_too(shell, ingested, store, ratings):
    (ratings / "dying").mkdir()
    (ratings / "dying" / "typer.py").write_text("import os; os.kill(os.getpid(), 9)")
    done = shell("PYTHONPATH=dying thinkrec list | thinkrec augment; echo ${PIPESTATUS[@]}")
    assert done.stdout == "137 34\n"
    assert "the command before this one in the pipe was killed" in done.stderr
    assert not (store / "objects" / "keywords").exists()


RECIPE = """
[step.data]
command = "ingest"
source = "table"
interactions = "ratings.csv"
items = "movies.csv"
[step.keywords]
command = "augment"
[step.more]
command = "ingest"
source = "table"
interactions = "bad.csv"
"""
BAD = "user,item,rating,timestamp\nu1,i1,five,1000000000\n"


def test_a_recipe_that_fails_late_stops_what_comes_after_it(shell, ratings, store):
    (ratings / "late.toml").write_text(RECIPE)
    (ratings / "bad.csv").write_text(BAD)
    done = shell("thinkrec run late.toml | thinkrec synthesize --rows 20; echo ${PIPESTATUS[@]}")
    assert done.stdout == f"{BadValueError.exit_code} 34\n"
    assert "the command before this one in the pipe failed" in done.stderr
    assert (store / "objects" / "keywords").exists()
    assert not (store / "objects" / "traces").exists()


def test_a_recipe_prints_references_as_they_come_and_is_known_to_be_at_work(ratings, store):
    (ratings / "late.toml").write_text(RECIPE)
    (ratings / "bad.csv").write_text(BAD)
    process = subprocess.Popen(
        [sys.executable, "-m", "thinkrec_cli", "run", "late.toml", "--until", "keywords"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ratings,
        env=environment(store),
    )
    assert process.stdout is not None

    def mark() -> int:
        return fcntl.fcntl(process.stdout, fcntl.F_GETPIPE_SZ) // os.sysconf("SC_PAGE_SIZE")

    assert process.stdout.readline() == b"dataset/table@1\n"
    assert mark() == pipes.AT_WORK  # the second step is not done
    assert process.stdout.read() == b"keywords/tfidf@1\n"
    assert mark() not in (pipes.AT_WORK, pipes.FAILED)
    process.communicate(timeout=60)
    assert process.returncode == 0


@pytest.mark.parametrize("line", ["thinkrec verify", "(thinkrec show none; thinkrec verify)"])
def test_a_command_that_ends_well_and_prints_nothing_stops_nobody(shell, ingested, line):
    done = shell(f"{line} | thinkrec augment")
    assert (done.returncode, done.stdout) == (0, "keywords/tfidf@1\n")
    assert "nothing came through the pipe" in done.stderr


@pytest.mark.parametrize(("pages", "said"), [(pipes.AT_WORK, False), (pipes.FAILED, True)])
def test_waiting_for_a_command_that_is_at_work_is_not_said(monkeypatch, capsys, pages, said):
    monkeypatch.setattr(pipes, "SECONDS_OF_PATIENCE", 0.01)
    reading, writing = os.pipe()
    with os.fdopen(reading) as stdin, os.fdopen(writing, "w"):
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, pages * os.sysconf("SC_PAGE_SIZE"))
        monkeypatch.setattr(sys, "stdin", stdin)
        pipes._wait_aloud()
    assert ("waiting for references" in capsys.readouterr().err) == said


def test_a_reader_that_leaves_causes_no_traceback(shell, ingested):
    done = shell(
        'thinkrec sql --csv "select * from range(300000)" | head -1; echo ${PIPESTATUS[0]}'
    )
    assert done.stdout.splitlines()[0] == "range"
    assert done.stdout.splitlines()[-1] == "141"
    assert "Traceback" not in done.stderr
