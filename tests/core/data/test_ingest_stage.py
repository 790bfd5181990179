"""The stage `ingest` in a real store: what its key depends on, and what it leaves behind."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from artifacts.store import Store
from core.config.ingest import IngestConfig
from core.data.dataset import Dataset
from core.errors import BadValueError
from core.progress import Silent
from core.stages.base import Context, run_stage
from core.stages.ingest import STAGE
from core.stages.kinds import KINDS
from tests.core.data.ingesting import as_csv, ratings


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(store=Store.open(tmp_path / "store", KINDS, "0.1.0"))


def _config(path: Path, **settings: object) -> IngestConfig:
    return IngestConfig(source="table", interactions=str(path), **settings)  # type: ignore[arg-type]


def test_same_content_is_a_hit_wherever_the_file_lies(tmp_path: Path, context: Context) -> None:
    (tmp_path / "a.csv").write_text(as_csv(ratings(30)))
    first = run_stage(context, STAGE, _config(tmp_path / "a.csv"))
    shutil.move(tmp_path / "a.csv", tmp_path / "b.csv")
    second = run_stage(context, STAGE, _config(tmp_path / "b.csv", threads=1))
    assert (first.hit, second.hit) == (False, True)
    assert second.artifact.object_id == first.artifact.object_id
    assert first.artifact.reference == "dataset/table@1"
    (tmp_path / "b.csv").write_text(as_csv(ratings(29)))
    third = run_stage(context, STAGE, _config(tmp_path / "b.csv"))
    assert not third.hit
    assert third.artifact.reference == "dataset/table@2"
    assert len(Dataset.open(third.artifact.folder)) == 29
    assert third.artifact.summary["rows"]["kept"] == 29


def test_setting_that_changes_rows_changes_the_key(tmp_path: Path, context: Context) -> None:
    (tmp_path / "a.csv").write_text(as_csv(ratings(30)))
    run_stage(context, STAGE, _config(tmp_path / "a.csv"))
    assert run_stage(context, STAGE, _config(tmp_path / "a.csv", train_fraction=0.7)).hit
    assert not run_stage(context, STAGE, _config(tmp_path / "a.csv", threshold=2.0)).hit


class _Lines(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


def _said(context: Context, path: Path, **settings: object) -> str:
    context.progress = lines = _Lines()
    run_stage(context, STAGE, _config(path, **settings))
    return "\n".join(lines.lines)


@pytest.mark.parametrize(
    ("values", "threshold", "said"),
    [
        ("01", None, "labels are 0: no rating is above the threshold 3; ratings are 0 to 1; part them, for "
         "instance with --threshold 0"),
        ("45", 3.5, "labels are 1: every rating is above the threshold 3.5; ratings are 4 to 5; part them, for "
         "instance with --threshold 4"),
        ("11", None, "ratings are 1 to 1, so no threshold can part them"),
        ("01", 0.0, None),
    ],
)  # fmt: skip
def test_labels_that_are_all_alike_are_told(
    tmp_path: Path, context: Context, values: str, threshold: float | None, said: str | None
) -> None:
    rows = [(*row[:2], values[k % 2], row[3]) for k, row in enumerate(ratings(30))]
    (tmp_path / "a.csv").write_text(as_csv(rows, header="user,item,label,timestamp"))
    lines = _said(context, tmp_path / "a.csv", threshold=threshold)
    assert ("warning: all " in lines) == (said is not None)
    assert said is None or said in lines
    assert ("; 50.0% liked" in lines) == (said is None)


def test_items_that_are_not_found_are_counted(tmp_path: Path, context: Context) -> None:
    (tmp_path / "a.csv").write_text(as_csv(ratings(30)))
    (tmp_path / "i.csv").write_text("item,title\ni0,A\ni1,B\ni2\n")
    lines = _said(
        context, tmp_path / "a.csv", items=str(tmp_path / "i.csv"), bad_rows="reject"
    ).splitlines()
    assert "1 of 3 rows of i.csv left out" in lines
    assert "2 of 6 rated items are in i.csv; the others have their id for a title" in lines


def test_failed_ingest_leaves_no_artifact(tmp_path: Path, context: Context) -> None:
    (tmp_path / "a.csv").write_text("user,item,rating,time\nu,i,x,1\n")
    with pytest.raises(BadValueError):
        run_stage(context, STAGE, _config(tmp_path / "a.csv"))
    assert context.store.artifacts() == []


def test_importing_the_stage_loads_nothing_heavy() -> None:
    code = (
        "import sys, core.stages.ingest, core.config.ingest; "
        "print([m for m in ('duckdb', 'numpy', 'pyarrow', 'torch') if m in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.strip() == "[]"
