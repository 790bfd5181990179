"""The whole pipeline as a person runs it: real commands in real processes, with a tiny language model."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import environment, write_ratings
from tests.core.llm.tiny import tiny_folder  # noqa: F401 - a fixture

pytestmark = pytest.mark.slow

INGEST = "thinkrec ingest table --interactions ratings.csv --items movies.csv"
TRAIN = "--train-rows 24 --valid-rows 0 --batch-size 4 --eval-steps 3 --dtype float32"
RECIPE = """
name = "tiny"
next = ["thinkrec explain --user u2 --item i3"]

[step.data]
command = "ingest"
source = "table"
interactions = "ratings.csv"
items = "movies.csv"

[step.keywords]
command = "augment"

[step.reasons]
command = "synthesize"
rows = 20
held_out = 5

[step.bias]
command = "encode"
encoder = "bias"

[step.mf]
command = "encode"
encoder = "mf"
epochs = 3
dim = 8

[step.global]
command = "train-global"
base = "BASE"
train_rows = 48
valid_rows = 0
batch_size = 4
eval_steps = 6
checkpoint_steps = 1
dtype = "float32"

[step.groups]
command = "cluster"
encoder = "mf"
k = 2

[step.experts]
command = "train-experts"
train_rows = 16
valid_rows = 0
batch_size = 4
eval_steps = 2
layers = 2
dtype = "float32"

[step.model]
command = "fuse"
encoder = "mf"
projector = "off"
dtype = "float32"

[step.bias-scores]
command = "score"
scorer = "bias"

[step.global-scores]
command = "score"
scorer = "global"
dtype = "float32"

[step.model-scores]
command = "score"
scorer = "model"
dtype = "float32"

[step.explanation]
command = "explain"
scorer = "model"
user = "u1"
item = "i2"
max_new_tokens = 8
dtype = "float32"

[step.evaluation]
command = "eval"
bootstrap_samples = 40
meteor = false
"""


@pytest.fixture
def work(tmp_path: Path, tiny_folder: Path) -> Path:  # noqa: F811
    """A folder with ratings, a recipe, and the model under a short name."""
    write_ratings(tmp_path, users=10, items=60, rows=400)
    (tmp_path / "tiny").symlink_to(tiny_folder)
    (tmp_path / "recipe.toml").write_text(RECIPE.replace("BASE", "tiny"))
    return tmp_path


def settings(work: Path) -> dict[str, str]:
    return environment(work / "store", OMP_NUM_THREADS="1")


def shell(work: Path, line: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        ["bash", "-c", f"set -eo pipefail; {line}"],
        cwd=work,
        env=settings(work),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done


def kinds(output: str) -> list[str]:
    return [line.partition("/")[0] for line in output.splitlines()]


def test_the_eleven_commands_form_one_pipeline(work):
    done = shell(
        work,
        f"{INGEST} | thinkrec augment | thinkrec synthesize --rows 20"
        " | thinkrec encode --encoder mf --epochs 3 --dim 8"
        f" | thinkrec train-global --base tiny {TRAIN} | thinkrec cluster -k 2"
        f" | thinkrec train-experts --layers 2 {TRAIN}"
        " | thinkrec fuse --projector off --dtype float32"
        " | thinkrec score --split test --dtype float32"
        " | thinkrec explain --user u1 --item i2 --max-new-tokens 8 --dtype float32"
        " | thinkrec eval --bootstrap-samples 40 --no-meteor",
    )
    assert kinds(done.stdout) == [
        "dataset",
        "keywords",
        "traces",
        "encoder",
        "adapter",
        "groups",
        "experts",
        "model",
        "scores",
        "explanation",
        "evaluation",
    ]


def test_a_recipe_runs_everything_and_its_second_run_nothing(work):
    first = shell(work, "thinkrec run recipe.toml")
    assert kinds(first.stdout)[-1] == "evaluation"
    assert "model/" in first.stderr
    assert "AUC" in first.stderr
    assert "u1" in first.stderr
    assert "next  thinkrec explain --user u2 --item i3" in first.stderr
    again = json.loads(shell(work, "thinkrec run recipe.toml --json").stdout)
    assert [step["hit"] for step in again] == [True] * 14
    explained = json.loads(
        shell(work, "thinkrec explain --user u2 --item i3 --max-new-tokens 4 --json").stdout
    )
    assert explained["answer"] in ("Yes", "No")
    assert explained["reason"].startswith(explained["answer"])
    ranked = json.loads(shell(work, "thinkrec score --user u2 --top 3 --json").stdout)
    assert [item["rank"] for item in ranked["items"]] == [1, 2, 3]
    joined = shell(
        work,
        'thinkrec sql --json "select s.artifact, count(*) as n, count(i.title) as titled'
        ' from scores s join items i using (item) group by all"',
    )
    rows = json.loads(joined.stdout)
    assert len(rows) == 4  # three scorers on the test split, one user's ranking
    assert all(row["n"] == row["titled"] > 0 for row in rows)


def test_a_recipe_killed_while_training_continues_to_the_same_artifacts(work):
    shell(work, "thinkrec --store whole run recipe.toml --until global")
    process = subprocess.Popen(
        [sys.executable, "-m", "thinkrec_cli", "run", "recipe.toml", "--until", "global"],
        cwd=work,
        env=settings(work),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    runs = work / "store" / "runs"
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if any(runs.glob("adapter-*/checkpoint-*")):
            os.kill(process.pid, signal.SIGKILL)
            break
        time.sleep(0.002)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, "it was done before it could be killed"
    goes_on = shell(work, "thinkrec run recipe.toml --until global --json")
    assert "train global: resumed at step" in goes_on.stderr
    done = json.loads(goes_on.stdout)
    assert [step["hit"] for step in done][:-1] == [True] * (len(done) - 1)

    def weights(store: str) -> list[str]:
        shown = shell(work, f"thinkrec --store {store} show adapter/global --json").stdout
        files = json.loads(shown)["files"]
        return [files[path]["sha256"] for path in sorted(files) if path.endswith(".safetensors")]

    assert weights("store") == weights("whole")
    assert len(weights("whole")) >= 2
