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
