"""The stage `ingest` in a real store: what its key depends on, and what it leaves behind."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from artifacts.store import Store
from core.config.ingest import IngestConfig
from core.data.dataset import Dataset
from core.errors import BadValueError, MismatchError
from core.progress import Bar, Silent
from core.stages.base import Context, run_stage
from core.stages.ingest import STAGE
from core.stages.kinds import KINDS
from tests.conftest import Heard
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


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_folders_whose_names_duckdb_would_read_columns_from(tmp_path: Path, form: str) -> None:
    rows = ratings(30)
    folder = tmp_path / "user=anna" / "split=test" / "rating=[1]"
    folder.mkdir(parents=True)
    file = folder / f"r.{form}"
    columns = dict(zip(("user", "item", "rating", "time"), zip(*rows, strict=True), strict=True))
    if form == "csv":
        file.write_text(as_csv(rows))
    else:
        table = pa.table(columns)
        pq.write_table(table, file)
        if form == "jsonl":
            file.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    context = Context(store=Store.open(folder / "store", KINDS, "0.1.0"))
    artifact = run_stage(context, STAGE, _config(file)).artifact
    assert artifact.summary["splits"] == {"train": 21, "valid": 3, "test": 6}
    dataset = Dataset.open(artifact.folder)
    assert dataset.users == sorted(set(columns["user"]))
    assert [len(dataset.rows(split)) for split in ("train", "valid", "test")] == [21, 3, 6]
    _, found = context.store.query('select distinct "user" from interactions order by 1')
    assert [user for (user,) in found] == dataset.users
    assert context.store.query("select count(*) from interactions where split = 'test'")[1] == [
        (6,)
    ]


class _Writing(Silent):
    """Somebody who writes to a file as soon as it is read."""

    def __init__(self, path: Path, write: Callable[[Path], object]) -> None:
        self.path, self.write = path, write

    @contextmanager
    def bar(self, title: str, total: int | None, unit: str, *, done: int = 0) -> Iterator[Bar]:
        with super().bar(title, total, unit, done=done) as bar:
            yield bar
        self.write(self.path)


def _append(path: Path) -> None:
    with path.open("a") as file:
        file.write("u,i,4,1000000099\n")


def _put_another_in_its_place(path: Path) -> None:
    shutil.copyfile(path, path.with_suffix(".new"))
    path.with_suffix(".new").rename(path)


@pytest.mark.parametrize("write", [_append, _put_another_in_its_place])
def test_a_file_that_changes_while_it_is_read_makes_no_data_set(
    tmp_path: Path, context: Context, write: Callable[[Path], object]
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(as_csv(ratings(30)))
    context.progress = _Writing(path, write)
    with pytest.raises(MismatchError, match=r"a\.csv has changed while it was read"):
        run_stage(context, STAGE, _config(path))
    assert context.store.artifacts() == []
    context.progress = Silent()
    assert len(Dataset.open(run_stage(context, STAGE, _config(path)).artifact.folder)) >= 30


def test_the_report_is_utf_8_whatever_the_locale(tmp_path: Path) -> None:
    rows = [(*row, "train" if n < 20 else "test") for n, row in enumerate(ratings(30))]
    (tmp_path / "a.csv").write_text(as_csv(rows, header="user,item,rating,time,größe"), "utf-8")
    (tmp_path / "a.toml").write_text('interactions = "a.csv"\nsplit-by = "größe"\n', "utf-8")
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "thinkrec_cli", "ingest", "table", "--config", "a.toml"],
        cwd=tmp_path,
        env={**os.environ, **plain, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    (report,) = (tmp_path / ".thinkrec" / "objects").rglob("report.json")
    assert json.loads(report.read_bytes())["split_rule"] == "as the column 'größe' says"


def _said(context: Context, path: Path, **settings: object) -> str:
    context.progress = lines = Heard()
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
