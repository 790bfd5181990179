"""A search in real processes: killed in the middle it goes on, and ends like one that was not."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import environment, write_ratings

pytestmark = pytest.mark.slow

SEARCH = (
    "encode --encoder mf --search --epochs 40 --patience 40 --batch-size 16 "
    "--search-learning-rates 1e-2 --search-learning-rates 1e-3 --search-dims 8 --search-dims 16 "
    "--search-weight-decays 1e-4 --search-weight-decays 1e-6"
)
TRIALS = (
    "select encoder, trial, learning_rate, dim, weight_decay, best_epoch, valid_auc, valid_uauc, best "
    "from trials order by trial"
)


def start(folder: Path, store: str, line: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "thinkrec_cli", *line.split()],
        cwd=folder,
        env=environment(folder / store, OMP_NUM_THREADS="1"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return out, errors


def trials(folder: Path, store: str) -> list[dict[str, object]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "thinkrec_cli", "sql", "--json", TRIALS],
        env=environment(folder / store),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    rows: list[dict[str, object]] = json.loads(finish(process)[0])
    return rows


def kill_after_a_trial(process: subprocess.Popen[str], runs: Path) -> int:
    """Kill the process once its journal holds a trial; return how many it holds then."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and process.poll() is None:
        if list(runs.glob("*/trials.json")):
            os.kill(process.pid, signal.SIGKILL)
            break
        time.sleep(0.01)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, "it was done before it could be killed"
    return len(json.loads(next(runs.glob("*/trials.json")).read_text()))


def test_a_killed_search_goes_on_with_the_trials_that_are_left(tmp_path):
    write_ratings(tmp_path, users=30, items=40, rows=900)
    ingest = "ingest table --interactions ratings.csv --items movies.csv"
    for store in ("whole", "killed"):
        finish(start(tmp_path, store, ingest))
    finish(start(tmp_path, "whole", SEARCH))
    done = kill_after_a_trial(start(tmp_path, "killed", SEARCH), tmp_path / "killed" / "runs")
    assert trials(tmp_path, "killed") == []
    out, errors = finish(start(tmp_path, "killed", SEARCH))
    assert out.strip() == "encoder/mf@1"
    assert f"{done} of 8 trials were done before" in errors
    assert f"trial {done + 1}/8" in errors
    assert f"trial {done}/8" not in errors
    found = trials(tmp_path, "killed")
    assert found == trials(tmp_path, "whole")
    assert len(found) == 8
    assert [row["valid_auc"] for row in found if row["best"]] == [
        max(r["valid_auc"] for r in found)
    ]
