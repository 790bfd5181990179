"""SQL over the store: views, freshness, the exported copy, the index that may be lost, and no way out."""

import dataclasses
import shutil
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from artifacts import index as index_module
from artifacts import tables
from artifacts.errors import BadQuery, CorruptArtifact
from artifacts.kinds import Kinds
from artifacts.layout import open_layout
from artifacts.store import Store
from tests.artifacts.support import (
    KINDS,
    finish,
    open_store,
    publish_note,
    publish_table,
    run,
    start,
    work,
    write_rows,
)


def test_views_show_the_latest_versions_and_all_on_request(store: Store) -> None:
    publish_table(store, "a", 1, 2)
    publish_table(store, "a", 3)
    publish_table(store, "b", 4)
    assert store.query("select artifact, name, version, id from rows_of_tables order by id") == (
        ["artifact", "name", "version", "id"],
        [("table/a@2", "a", 2, 3), ("table/b@1", "b", 1, 4)],
    )
    assert store.query("select artifact, id, vector from rows_of_tables_all order by id")[1] == [
        ("table/a@1", 1, [1.0, 0.5]),
        ("table/a@1", 2, [2.0, 0.5]),
        ("table/a@2", 3, [3.0, 0.5]),
        ("table/b@1", 4, [4.0, 0.5]),
    ]
    assert store.query("from words order by 1")[1] == [("word 3",), ("word 4",)]


def test_views_without_any_artifact_are_empty_and_have_their_columns(store: Store) -> None:
    columns, rows = store.query("from rows_of_tables")
    assert (columns, rows) == (["artifact", "name", "version", "id", "word", "vector"], [])
    described = store.query("describe rows_of_tables_all")[1]
    assert [row[1] for row in described[3:]] == ["INTEGER", "VARCHAR", "FLOAT[]"]
    publish_table(store, "a", 1)  # without the file of this view, which is not required
    assert store.query("select * from extras") == (["artifact", "name", "version", "amount"], [])


def test_one_object_under_two_names_is_shown_under_both(store: Store) -> None:
    store.name_object(publish_table(store, "a", 1), "b")
    assert store.query("select artifact, id from rows_of_tables order by 1")[1] == [
        ("table/a@1", 1),
        ("table/b@1", 1),
    ]


def test_a_parent_is_called_as_it_was_when_its_child_was_made(store: Store) -> None:
    parent = publish_note(store, "first", 1)
    child = publish_table(store, "early", 1, inputs={"source": [parent.object_id]})
    again = store.name_object(parent, "second")
    late = publish_table(store, "late", 2, inputs={"source": [parent.object_id]})
    assert store.query("select child, parent from lineage order by child")[1] == [
        ("table/early@1", "note/first@1"),
        ("table/late@1", "note/second@1"),
    ]
    assert store.by_object(parent.object_id, child=child).reference == "note/first@1"
    assert store.by_object(parent.object_id, child=late) == again
    assert store.by_object(parent.object_id) == again
    (store.root / "refs/note/first/00000001.json").unlink()  # a later name is better than none
    left = Store.open(store.root, store.kinds, "test")
    assert left.by_object(parent.object_id, child=child) == again
    assert left.query("select parent from lineage where child = 'table/early@1'")[1] == [
        ("note/second@1",)
    ]


def test_tables_about_artifacts(store: Store) -> None:
    parent = publish_note(store, "parent", 1)
    child = publish_table(store, "child", 1, 2, inputs={"source": [parent.object_id]})
    found = store.query(
        "select reference, latest, key, rows, folder from artifacts order by created"
    )
    assert found[1] == [
        ("note/parent@1", True, parent.key, 0, str(parent.folder)),
        ("table/child@1", True, child.key, 2, str(child.folder)),
    ]
    assert store.query("select child, input, position, parent from lineage")[1] == [
        ("table/child@1", "source", 0, "note/parent@1")
    ]
    assert store.query("select name, value from parameters order by reference")[1] == [
        ("number", "1"),
        ("ids", "[1,2]"),
    ]
    assert store.query("select value from summary where name = 'seed'")[1] == [("1",)]
    sizes = dict(store.query("select path, bytes from files where reference = 'note/parent@1'")[1])
    assert sizes == {
        "note.json": parent.file("note.json").stat().st_size,
        "text/note.txt": parent.file("text/note.txt").stat().st_size,
    }


def test_every_table_and_view_is_listed(store: Store) -> None:
    names = {name for (name, *_) in store.query("show tables")[1]}
    assert names == {
        *("artifacts", "lineage", "parameters", "summary", "resources", "files"),
        *("rows_of_tables", "rows_of_tables_all", "extras", "extras_all", "words"),
    }


@pytest.mark.parametrize(
    "sql",
    [
        "select * from nowhere",
        "selec 1",
        "",
        "select 1; select 2",
        "select * from '/etc/passwd'",
        "select * from read_csv('/etc/passwd')",
        "select * from read_text('{root}/format.json')",
        "select * from glob('/*')",
        "copy (select 1) to '{root}/objects/x.csv'",
        "explain analyze copy (select 1) to '{root}/objects/x.csv'",
        "explain analyze /* select */ copy (select 1) to '{root}/objects/x.csv'",
        "/* */ explain analyze copy (select 1) to '{root}/objects/x.csv' -- */ explain select 1",
        "/* /* */ explain select 1 /* */, '*/ explain analyze copy (select 1) to $${root}/objects/x.csv$$ --'",
        "with x as (copy (select 1) to '{root}/objects/x.csv') select * from x",
        "(with x as (copy (select 1) to '{root}/objects/x.csv') from x)",
        "with y as (with x as (copy (select 1) to '{root}/objects/x.csv') from x) from y",
        "with x as (copy (select 1) to '{root}/objects/x.csv') from artifacts pivot (count(*) for kind in ('a'))",
        "explain analyze with x as (copy (select 1) to '{root}/objects/x.csv') select * from x",
        "explain (analyze) with x as (copy (select 1) to '{root}/objects/x.csv') values (1)",
        "from json_execute_serialized_sql(json_serialize_sql("
        "'with x as (copy (select 1) to ''{root}/objects/x.csv'') from x')::varchar)",
        "with x as (insert into artifacts from artifacts returning *) select * from x",
        "with x as (update artifacts set kind = 'a' returning *) select * from x",
        "with x as (delete from artifacts returning *) select * from x",
        "pivot artifacts on kind using count(*)",
        "select interval 1000000000 months",
        "attach '{root}/objects/x.duckdb'",
        "create table t as select 1",
        "drop table artifacts",
        "delete from artifacts",
        "set enable_external_access = true",
        "pragma database_list",
        "install httpfs",
        "load httpfs",
        "export database '{root}/objects/x'",
        "call enable_logging()",
    ],
)
def test_queries_that_fail_or_do_more_than_read_are_refused(store: Store, sql: str) -> None:
    publish_table(store, "a", 1)
    before = sorted(store.root.rglob("*"))
    with pytest.raises(BadQuery) as caught:
        store.query(sql.format(root=store.root))
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    assert sorted(store.root.rglob("*")) == before


@pytest.mark.parametrize(
    ("sql", "said", "hint"),
    [
        ("", "none was given", "show tables"),
        (" -- a remark", "none was given", "show tables"),
        ("select 1; select 2", "2 were given", "one by one"),
    ],
)
def test_one_statement_is_wanted(store: Store, sql: str, said: str, hint: str) -> None:
    with pytest.raises(BadQuery, match=said) as caught:
        store.query(sql)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "sql",
    [
        "with recursive x as (select 1 as n union all select n + 1 from x where n < 3) select max(n) from x",
        "with x as (select 3 as n) select n from (with y as (from x) from y)",
        """select 3 as "type" where '"type":"COPY_QUERY_NODE"' is not null union select 3""",
        "select a from (select 'a' as k) pivot (count(*) + 2 as a for k in ('a')) as t(a)",
    ],
)
def test_whatever_only_reads_is_run(store: Store, sql: str) -> None:
    assert store.query(sql)[1] == [(3,)]


def test_times_with_a_zone_are_answered(store: Store) -> None:
    ((moment,),) = store.query("select timestamptz '2001-06-01 00:00:00+00'")[1]
    assert moment == datetime(2001, 6, 1, tzinfo=UTC)


def test_a_name_found_only_by_duckdb_is_found_all_the_same(store: Store) -> None:
    publish_table(store, "a", 1)
    assert store.query("select count(*) from query_table('rows_of' || '_tables')")[1] == [(1,)]
    assert store.query('select count(*) from "ARTIFACTS"')[1] == [(1,)]


def test_rows_are_computed_as_they_are_asked_for(store: Store) -> None:
    with store.answer("select range as n from range(1_000_000_000_000)") as (columns, batches):
        assert columns == ["n"]
        assert next(batches)[:2] == [(0,), (1,)]
    late = (
        "select if(range = 20_000, error('too late'), null), repeat('x', 1000) from range(30_000)"
    )
    with store.answer(late) as (_, batches):
        assert len(next(batches)) > 1000
        with pytest.raises(BadQuery, match="too late"):
            list(batches)


@pytest.mark.parametrize("position", range(4))
def test_a_missing_file_fails_the_queries_that_need_it_and_no_other(
    store: Store, position: int
) -> None:
    made = [publish_table(store, f"t{number}", number) for number in range(4)]
    made[position].file("rows.parquet").unlink()
    store = open_store(store.root)
    assert len(store.query("show tables")[1]) == 11
    assert len(store.query("select reference from artifacts")[1]) == 4
    assert [row[0] for row in store.query("describe words")[1]] == ["word"]
    assert store.query("select * from extras")[1] == []
    wanted = f"table/t{position}@1: rows.parquet is missing"
    for sql in (
        "select count(*) from rows_of_tables",
        "select id from rows_of_tables_all where word = 'word 9'",
        "select * from words",
        "select * from query_table('rows_of' || '_tables')",
    ):
        with pytest.raises(CorruptArtifact, match=wanted) as caught:
            store.query(sql)
        assert f"thinkrec verify table/t{position}@1" in caught.value.hint


@pytest.mark.parametrize("damage", ["start", "middle", "footer"])
def test_a_damaged_file_is_an_artifacts_fault_not_the_querys(store: Store, damage: str) -> None:
    path = publish_table(store, "a", *range(500)).file("rows.parquet")
    content = bytearray(path.read_bytes())
    where = {"start": 2, "middle": 40, "footer": len(content) - 200}[damage]
    content[where : where + 100] = bytes(255 - byte for byte in content[where : where + 100])
    path.chmod(0o644)
    path.write_bytes(content)
    with pytest.raises(CorruptArtifact) as caught:
        store.query("select sum(id), max(word), max(vector) from rows_of_tables")
    assert "thinkrec verify" in caught.value.hint
    assert len(store.query("show tables")[1]) == 11


@pytest.mark.parametrize("name", ["a", "b"])
def test_a_file_with_other_columns_is_an_artifacts_fault(store: Store, name: str) -> None:
    made = {name: publish_table(store, name, 1) for name in "ab"}
    path = made[name].file("rows.parquet")
    path.unlink()
    duckdb.sql(f"copy (select 1 as other) to '{path}' (format parquet)")
    wanted = f"table/{name}@1: rows.parquet is damaged"
    with pytest.raises(CorruptArtifact, match=wanted):
        store.query("select id from rows_of_tables")
    assert len(store.query("select reference from artifacts")[1]) == 2
    assert len(store.query("show tables")[1]) == 11


def test_the_catalog_shows_the_rest_where_a_file_is_missing(store: Store) -> None:
    gone = publish_table(store, "a", 1).file("rows.parquet")
    content = gone.read_bytes()
    gone.unlink()
    for _ in range(2):
        warning = store.export_catalog()
        assert warning is not None
        assert "table/a@1: rows.parquet is missing" in warning
    with duckdb.connect(str(store.root / "catalog.duckdb"), read_only=True) as connection:
        assert connection.execute("select count(*) from artifacts").fetchall() == [(1,)]
        with pytest.raises(duckdb.Error, match=r"rows\.parquet is missing"):
            connection.execute("select * from rows_of_tables").fetchall()
    gone.write_bytes(content)
    assert store.export_catalog() is None
    with duckdb.connect(str(store.root / "catalog.duckdb"), read_only=True) as connection:
        assert connection.execute("select id from rows_of_tables").fetchall() == [(1,)]


def test_the_catalog_shows_the_rest_where_a_file_has_other_columns(store: Store) -> None:
    path = publish_table(store, "a", 1).file("rows.parquet")
    path.unlink()
    duckdb.sql(f"copy (select 1 as other) to '{path}' (format parquet)")
    assert "table/a@1: rows.parquet is damaged" in (store.export_catalog() or "")
    with duckdb.connect(str(store.root / "catalog.duckdb"), read_only=True) as connection:
        assert connection.execute("select count(*) from artifacts").fetchall() == [(1,)]
        with pytest.raises(duckdb.Error, match=r"rows\.parquet is damaged"):
            connection.execute("select * from rows_of_tables").fetchall()


def test_exported_catalog_answers_in_another_process_and_says_what_it_covers(store: Store) -> None:
    publish_table(store, "a", 1)
    assert store.export_catalog() is None
    assert not Path(f"{store.root}/catalog.duckdb.wal").exists()
    with duckdb.connect(str(store.root / "catalog.duckdb"), read_only=True) as connection:
        assert connection.execute("select artifact, id from rows_of_tables").fetchall() == [
            ("table/a@1", 1)
        ]
        assert connection.execute("select versions, store from catalog_info").fetchall() == [
            (1, str(store.root))
        ]


def test_catalog_is_written_again_only_when_something_changed(store: Store) -> None:
    catalog = store.root / "catalog.duckdb"
    publish_note(store, "a", 1)
    store.export_catalog()
    first = catalog.stat().st_ino
    open_store(store.root).export_catalog()
    assert catalog.stat().st_ino == first
    publish_note(store, "a", 2)
    store.export_catalog()
    assert catalog.stat().st_ino != first
    catalog.write_bytes(b"damaged")
    store.export_catalog()
    with duckdb.connect(str(catalog), read_only=True) as connection:
        assert connection.execute("select count(*) from artifacts").fetchall() == [(2,)]


def test_catalog_that_somebody_writes_to_is_left_alone_until_rebuild(store: Store) -> None:
    publish_note(store, "a", 1)
    store.export_catalog()
    log = Path(f"{store.root}/catalog.duckdb.wal")
    log.write_bytes(b"log of another program")
    before = (store.root / "catalog.duckdb").read_bytes()
    assert publish_note(store, "a", 2).version == 2
    warning = store.export_catalog()
    assert warning is not None
    assert "thinkrec rebuild" in warning
    assert (store.root / "catalog.duckdb").read_bytes() == before
    assert store.query("select count(*) from artifacts")[1] == [(2,)]
    assert store.rebuild() is None
    assert not log.exists()
    with duckdb.connect(str(store.root / "catalog.duckdb"), read_only=True) as connection:
        assert connection.execute("select count(*) from artifacts").fetchall() == [(2,)]


def test_a_program_that_has_the_catalog_open_for_writing_stops_no_publish(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    publish_note(store, "a", 1)
    store.export_catalog()
    with duckdb.connect(str(tmp_path / "catalog.duckdb")) as writer:
        writer.execute("create table mine as select 1")
        assert run("publish", tmp_path, "a", 2)[:2] == (0, "note/a@2\n")
        status, out, err = finish(start("export", tmp_path))
        assert (status, err) == (0, "")
        assert "open for writing" in out
    assert store.rebuild() is None


@pytest.fixture
def many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store with a generation of the index, tables kept for it, and versions younger than both."""
    monkeypatch.setattr(index_module, "TAIL_LIMIT", 4)
    monkeypatch.setattr(tables, "CACHED_FROM", 5)
    store = open_store(tmp_path / "store")
    parent = publish_note(store, "first", 0)
    for number in range(1, 7):
        publish_note(store, f"n{number % 2}", number, inputs={"p": [parent.object_id]})
    fresh = open_store(store.root)
    fresh.query("select 1 from artifacts")
    assert len(list(store.root.glob("index/gen-*"))) == 1
    assert len(list(store.root.glob("index/tables-*/*.parquet"))) == 6
    publish_note(store, "n0", 7)
    fresh.remove("note/n1@1")
    return store


_EVERYTHING = {
    "artifacts": "select * from artifacts order by reference",
    "lineage": "select * from lineage order by child",
    "parameters": "select * from parameters order by reference, name",
    "summary": "select * from summary order by reference, name",
    "files": "select * from files order by reference, path",
    "listing": "select count(*), count(*) filter (latest) from artifacts",
}


def _all_rows(root: Path) -> dict[str, object]:
    store = open_store(root)
    with duckdb.connect() as connection:
        tables.fill(connection, index_module.Index(open_layout(root)).refresh(), KINDS)
        rows = {what: connection.execute(sql).fetchall() for what, sql in _EVERYTHING.items()}
    return {**rows, "list": [a.reference for a in store.artifacts()]}


def _files_of_index(root: Path) -> list[Path]:
    return sorted(path for path in (root / "index").rglob("*") if path.is_file())


def test_kept_tables_and_tables_made_anew_are_the_same_row_for_row(many: Store) -> None:
    kept = _all_rows(many.root)
    assert kept["listing"] == [(7, 3)]
    shutil.rmtree(many.root / "index")
    assert _all_rows(many.root) == kept


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) * 3 // 4] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [Path.unlink, _truncate, _flip, lambda p: p.write_bytes(b"")])
def test_a_damaged_index_is_made_again_unseen(many: Store, damage: object) -> None:
    assert callable(damage)
    expected = _all_rows(many.root)
    for number in range(len(_files_of_index(many.root))):
        files = _files_of_index(many.root)
        damage(files[min(number, len(files) - 1)])
        assert _all_rows(many.root) == expected
    for path in _files_of_index(many.root):
        damage(path)
    assert _all_rows(many.root) == expected


def test_what_a_program_that_copies_files_puts_beside_the_index_is_left_aside(many: Store) -> None:
    expected = _all_rows(many.root)
    (generation,) = many.root.glob("index/gen-*")
    shutil.copy(generation, generation.with_name(f"{generation.stem} (conflicted copy).jsonl"))
    assert _all_rows(many.root) == expected
    assert many.rebuild() is None
    many.gc()


@pytest.mark.parametrize("kept", [True, False], ids=["open", "opened anew"])
def test_a_number_given_again_after_its_commit_was_deleted_by_hand_shows_what_it_is_now(
    many: Store, kept: bool
) -> None:
    many.query("select 1 from artifacts")
    for version in (3, 4):
        (many.root / f"refs/note/n0/{version:08d}.json").unlink()
    again = publish_note(open_store(many.root), "n0", 33)
    publish_note(open_store(many.root), "n0", 44)
    publish_note(open_store(many.root), "n0", 55)
    assert (again.reference, len(list(many.root.glob("index/gen-*")))) == ("note/n0@3", 1)
    store = many if kept else open_store(many.root)
    assert store.resolve("note/n0@3").object_id == again.object_id
    found = store.query("select value from parameters where reference like 'note/n0@%' order by 1")
    assert found[1] == [("2",), ("33",), ("4",), ("44",), ("55",)]
    expected = _all_rows(many.root)
    shutil.rmtree(many.root / "index")
    assert _all_rows(many.root) == expected


def test_a_store_that_was_copied_is_listed_as_the_first(many: Store) -> None:
    expected = _all_rows(many.root)
    shutil.copytree(many.root, many.root.parent / "copy", copy_function=shutil.copyfile)
    copied = _all_rows(many.root.parent / "copy")
    assert (copied["list"], copied["lineage"]) == (expected["list"], expected["lineage"])


def test_a_store_that_was_moved_works_and_its_catalog_after_rebuild(many: Store) -> None:
    publish_table(many, "t", 5)
    many.export_catalog()
    # DuckDB would see patterns and columns in this path, `id` of the view and `reference` of the kept tables.
    moved = many.root.parent / "id=7" / "reference=8" / "else where [1] it's"
    moved.parent.mkdir(parents=True)
    many.root.rename(moved)
    store = open_store(moved)
    assert store.query("select id from rows_of_tables")[1] == [(5,)]
    assert store.resolve("table/t").file("rows.parquet").is_relative_to(moved)
    assert store.query("select folder from artifacts where kind = 'table'")[1] == [
        (str(store.resolve("table/t").folder),)
    ]
    assert store.query("select count(*) from artifacts where reference like 'note/%'")[1] == [(7,)]
    assert store.verify() == []
    assert store.rebuild() is None
    with duckdb.connect(str(moved / "catalog.duckdb"), read_only=True) as connection:
        assert connection.execute("select id from rows_of_tables").fetchall() == [(5,)]


def test_a_table_is_checked_in_a_folder_with_an_odd_name(tmp_path: Path) -> None:
    store = open_store(tmp_path / "a*b?[c]'d")
    with store.publish(name="a", **work(store, "table")) as draft:
        write_rows(tmp_path / "rows.parquet", 1, 2)
        shutil.copy(tmp_path / "rows.parquet", draft.folder)
    assert store.query("select id from rows_of_tables order by id")[1] == [(1,), (2,)]


@pytest.mark.parametrize("anew", [False, True])
def test_columns_that_an_older_schema_had_not_are_null(tmp_path: Path, anew: bool) -> None:
    publish_table(open_store(tmp_path), "old", 1)
    table = KINDS["table"]
    rows, *others = table.payloads
    wider = dataclasses.replace(rows, columns={**rows.columns, "note": "VARCHAR"})
    kinds = Kinds(
        KINDS["note"],
        dataclasses.replace(table, schema_version=3, payloads=(wider, *others)),
        views=KINDS.views,
    )
    store = Store.open(tmp_path, kinds, "10")
    if anew:
        with store.publish(name="new", **work(store, "table", ids=[2])) as draft:
            write_rows(draft.folder / "narrow.parquet", 2)
            duckdb.sql(
                f"copy (select *, 'hello' as note from '{draft.folder}/narrow.parquet') "
                f"to '{draft.folder}/rows.parquet' (format parquet)"
            )
            (draft.folder / "narrow.parquet").unlink()
    names, found = store.query("select name, id, note from rows_of_tables order by id")
    assert names == ["name", "id", "note"]
    assert found == [("old", 1, None), ("new", 2, "hello")][: 1 + anew]
    assert store.export_catalog() is None
    with duckdb.connect(str(tmp_path / "catalog.duckdb"), read_only=True) as catalog:
        shown = catalog.execute("select note from rows_of_tables order by id").fetchall()
    assert shown == [(None,), ("hello",)][: 1 + anew]
