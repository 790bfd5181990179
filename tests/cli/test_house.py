"""Looking at artifacts and keeping house."""

import csv
import io
import itertools
import json
import shutil
import sys
from collections import Counter

import duckdb
import pytest
from rich.console import Console
from typer.testing import CliRunner

from artifacts.errors import ArtifactNotFound, BadQuery, CorruptArtifact, StoreError
from artifacts.kinds import Kind, Kinds, Payload
from artifacts.store import Store
from core.data.tables import write_table
from core.errors import ConfigError, RecipeError
from core.stages.kinds import KEYWORDS, KINDS
from tests.cli.conftest import make
from thinkrec_cli import console
from thinkrec_cli.app import app
from thinkrec_cli.commands import sql
from thinkrec_cli.commands.list import _show
from thinkrec_cli.commands.show import DEPTH
from thinkrec_cli.session import Session, Switches


@pytest.fixture(scope="module")
def stocked_store(ingested_store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stocked")
    shutil.copytree(ingested_store, folder / "store")
    make(folder, "augment")
    make(folder, "synthesize", "--rows", "20", "--held-out", "5")
    return folder / "store"


@pytest.fixture
def stocked(thinkrec, stocked_store, store):
    """A store with a data set, keywords and traces."""
    shutil.copytree(stocked_store, store)
    return thinkrec


def test_list_shows_what_there_is(stocked):
    lines = stocked("list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == [
        "reference",
        "dataset/table@1",
        "keywords/tfidf@1",
        "traces/grounded@1",
    ]
    assert "180" in lines[1]
    assert "dataset/table@1 keywords/tfidf@1" in lines[3]


def test_list_takes_a_kind_either_way_and_a_limit(stocked):
    references = [e["reference"] for e in json.loads(stocked("list", "keywords", "--json").stdout)]
    assert references == ["keywords/tfidf@1"]
    assert stocked("list", "--kind", "keywords").stdout == stocked("list", "keywords").stdout
    newest = json.loads(stocked("list", "--limit", "1", "--json").stdout)
    assert [entry["reference"] for entry in newest] == ["traces/grounded@1"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["ingest", "table", "--interactions", "ratings.csv"],
        ["verify"],
        ["rebuild"],
        ["gc"],
        ["list"],
        ["run", "recipe.toml", "--dry-run"],
    ],
    ids=lambda words: words[0],
)
def test_json_is_one_value_and_nothing_else(ratings, store, monkeypatch, arguments):
    monkeypatch.chdir(ratings)
    (ratings / "recipe.toml").write_text(
        '[step.data]\ncommand = "ingest"\nsource = "table"\ninteractions = "ratings.csv"\n'
    )
    ingest = ["ingest", "table", "--interactions", "ratings.csv", "--items", "movies.csv"]
    for words in (ingest, arguments):
        done = CliRunner().invoke(app, ["--store", str(store), *words, "--json"])
        assert done.exit_code == 0, done.output
    assert isinstance(json.loads(done.stdout), (dict, list))


def test_list_of_an_empty_store_says_how_to_begin(thinkrec):
    done = thinkrec("list")
    assert (done.returncode, done.stdout) == (0, "")
    assert "thinkrec ingest" in done.stderr


def test_list_of_what_is_no_store_is_refused(thinkrec, ratings):
    for place in (ratings, ratings / "ratings.csv"):
        done = thinkrec("list", "--store", str(place))
        assert done.returncode == StoreError.exit_code
        assert f"there is no store at {place}" in done.stderr


def test_list_of_two_kinds_at_once_is_refused(thinkrec, ingested):
    done = thinkrec("list", "dataset", "--kind", "encoder")
    assert done.returncode == ConfigError.exit_code
    assert thinkrec("list", "dataset", "--kind", "dataset").returncode == 0


def test_show_tells_settings_files_and_lineage_both_ways(stocked):
    page = stocked("show", "keywords/tfidf").stdout
    assert "keywords/tfidf@1" in page
    assert "limit" in page
    assert "keywords.parquet" in page
    made_from, used_by = page.split("made from")[1].split("used by")
    assert "dataset/table@1" in made_from
    assert "traces/grounded@1" in used_by


def test_show_takes_the_beginning_of_a_key(stocked):
    shown = json.loads(stocked("show", "keywords/tfidf", "--json").stdout)
    assert shown["kind"] == "keywords"
    assert shown["ancestors"] == ["dataset/table@1"]
    assert shown["descendants"] == ["traces/grounded@1"]
    assert shown == json.loads(stocked("show", shown["key"][:8], "--json").stdout)
    several = json.loads(stocked("show", "keywords/tfidf", "traces/grounded", "--json").stdout)
    assert [entry["reference"] for entry in several] == ["keywords/tfidf@1", "traces/grounded@1"]
    assert several[0] == shown


def test_sql_prints_aligned_columns_csv_or_json(stocked):
    query = "select split, count(*) as n from interactions group by all order by n desc, split"
    lines = stocked("sql", query).stdout.splitlines()
    assert lines[0].split() == ["split", "n"]
    assert lines[1].split() == ["train", "126"]
    rows = list(csv.DictReader(io.StringIO(stocked("sql", "--csv", query).stdout)))
    assert rows[0] == {"split": "train", "n": "126"}
    assert json.loads(stocked("sql", "--json", query).stdout)[0] == {"split": "train", "n": 126}


def test_sql_spells_what_json_cannot(stocked):
    done = stocked("sql", "--json", "select 'nan'::double as a, [1, 2] as b, null as c, 'ü' as d")
    assert json.loads(done.stdout) == [{"a": None, "b": [1, 2], "c": None, "d": "ü"}]


def test_sql_keeps_all_digits_of_decimals(thinkrec, ingested):
    query = "select 0.12345678901234567891 as a, [1.5, 2] as b, 123456789012345678.5 as c"
    row = json.loads(thinkrec("sql", "--json", query).stdout)
    assert row == [{"a": "0.12345678901234567891", "b": [1.5, 2], "c": "123456789012345678.5"}]
    (values,) = csv.DictReader(io.StringIO(thinkrec("sql", "--csv", query).stdout))
    assert (values["a"], values["c"]) == (row[0]["a"], row[0]["c"])


def test_sql_reads_a_query_from_standard_input(shell, stocked):
    done = shell("echo 'select 1 as one' | thinkrec sql - --json")
    assert json.loads(done.stdout) == [{"one": 1}]


def test_sql_prints_all_rows_of_a_long_result(thinkrec, ingested):
    query = "select range as n, 'row ' || range as text from range(20000)"
    lines = thinkrec("sql", query).stdout.splitlines()
    assert (len(lines), lines[0].split(), lines[-1]) == (20_001, ["n", "text"], "19999  row 19999")
    rows = list(csv.reader(io.StringIO(thinkrec("sql", "--csv", query).stdout)))
    assert (len(rows), rows[-1]) == (20_001, ["19999", "row 19999"])
    found = json.loads(thinkrec("sql", "--json", query).stdout)
    assert (len(found), found[-1]) == (20_000, {"n": 19999, "text": "row 19999"})
    assert json.loads(thinkrec("sql", "--json", "select 1 where false").stdout) == []


def test_sql_in_a_terminal_shows_the_first_rows_and_asks_for_no_more(capsys):
    sql._show(Session(Switches()), ["n"], ((n,) for n in itertools.count()))
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 1 + sql.SHOWN_ROWS
    assert "the first 1,000 rows; --csv and --json print all" in printed.err
    assert "1,000 rows" in sql.DETAILS


def test_sql_in_a_terminal_shows_what_is_too_wide_row_by_row(capsys):
    columns, row = ["name", "note"], ("heat", "a long word " * 50)
    sql._show(Session(Switches()), columns, [row, row])
    block = ["name  heat", f"note  {row[1]}".rstrip()]
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert printed == [*block, "", *block]
    sql._show(Session(Switches()), ["name", "n"], [("heat", 3)])
    assert capsys.readouterr().out.splitlines()[1].split() == ["heat", "3"]


def test_sql_keeps_the_digits_before_the_point(thinkrec, ingested):
    query = "select 123456789.5::double a, 1000000001.0::double b, 1/3 c, true d"
    assert thinkrec("sql", query).stdout.splitlines()[1].split() == [
        "123456789.5", "1000000001", "0.333333", "True",
    ]  # fmt: skip
    assert thinkrec("sql", "--csv", query).stdout.splitlines()[1].endswith(",true")


@pytest.mark.parametrize(
    "query",
    [
        "explain select 1",
        "-- why\n/* and\nhow */ explain select 1",
        "explain (format json) select 1",
    ],
)
def test_sql_explains_a_query(thinkrec, ingested, query):
    done = thinkrec("sql", "--json", "--", query)
    assert done.returncode == 0, done.stderr


def test_sql_does_not_let_values_command_the_terminal(thinkrec, ingested):
    query = "select chr(27) || '[31m' || chr(9) || chr(10) || 'x' as c"
    assert thinkrec("sql", query).stdout.splitlines()[1:] == ["[31m  x"]
    assert thinkrec("sql", "--csv", query).stdout == 'c\n"\x1b[31m\t\nx"\n'
    assert json.loads(thinkrec("sql", "--json", query).stdout) == [{"c": "\x1b[31m\t\nx"}]


def test_sql_whose_reader_leaves_ends_at_once(shell, ingested):
    done = shell("thinkrec sql --csv 'from range(1000000000000)' | head -n 2")
    assert done.stdout.splitlines() == ["range", "0"]


def test_sql_with_a_missing_file_names_the_artifact(stocked, store):
    next((store / "objects" / "traces").glob("*/traces.parquet")).unlink()
    assert "traces" in stocked("sql", "show tables").stdout
    done = stocked("sql", "select count(*) from traces")
    assert (done.returncode, done.stdout) == (CorruptArtifact.exit_code, "")
    assert "traces/grounded@1: traces.parquet is missing" in done.stderr
    assert "thinkrec verify traces/grounded@1" in done.stderr


def test_the_catalog_file_shows_every_artifact_after_its_command(stocked, store):
    with duckdb.connect(str(store / "catalog.duckdb"), read_only=True) as catalog:
        found = catalog.execute("select reference from artifacts order by 1").fetchall()
        items = catalog.execute("select count(*) from keywords").fetchall()
    assert found == [("dataset/table@1",), ("keywords/tfidf@1",), ("traces/grounded@1",)]
    assert items == [(15,)]


def test_a_catalog_held_open_for_writing_stops_nobody(stocked, store):
    with duckdb.connect(str(store / "catalog.duckdb")) as held:
        held.execute("create table mine as select 1")
        done = stocked("augment", "--limit", "2", "--name", "few")
        assert (done.returncode, done.stdout) == (0, "keywords/few@1\n")
        assert "keywords/few@1" in stocked("sql", "select reference from artifacts").stdout


def test_verify_is_content_with_a_whole_store(stocked):
    done = stocked("verify")
    assert (done.returncode, done.stdout) == (0, "")
    assert "3 artifacts" in done.stderr


def test_verify_names_a_damaged_file_and_fails(stocked, store):
    damaged = next((store / "objects" / "keywords").glob("*/keywords.parquet"))
    damaged.chmod(0o644)
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    done = stocked("verify")
    assert done.returncode == CorruptArtifact.exit_code
    assert "keywords/tfidf@1: keywords.parquet" in done.stdout
    assert stocked("verify", "dataset/table").returncode == 0


def test_a_version_that_cannot_be_read_is_told_though_another_is_taken_for_it(stocked, store):
    damaged = store / "refs" / "traces" / "grounded" / "00000001.json"
    damaged.chmod(0o644)
    damaged.write_text("{")
    done = stocked("list")
    assert done.returncode == 0
    assert "traces/grounded" not in done.stdout
    assert done.stderr.startswith("warning: traces/grounded@1 cannot be read")
    assert "thinkrec verify" in done.stderr


def test_verify_counts_what_cannot_be_read_at_all(stocked, store):
    (store / "refs" / "traces" / "grounded" / "00000001.json").unlink()
    damaged = store / "refs" / "keywords" / "tfidf" / "00000001.json"
    damaged.chmod(0o644)
    damaged.write_text("{")
    done = stocked("verify")
    assert "1 of 2 artifacts damaged" in done.stderr
    assert done.stdout.startswith("keywords/tfidf@1: cannot be read")


def test_remove_lists_what_it_would_and_removes_with_yes(stocked, store):
    refused = stocked("remove", "keywords/tfidf", "--yes")
    assert (refused.returncode, refused.stdout) == (StoreError.exit_code, "")
    assert "traces/grounded@1 was made from keywords/tfidf@1" in refused.stderr
    assert "thinkrec remove keywords/tfidf@1 traces/grounded@1" in refused.stderr
    together = ("remove", "keywords/tfidf", "traces/grounded")
    listed = stocked(*together)
    assert [line.split()[0] for line in listed.stdout.splitlines()] == [
        "traces/grounded@1",
        "keywords/tfidf@1",
    ]
    assert "2 artifacts" in listed.stderr
    assert "--yes" in listed.stderr
    assert len(json.loads(stocked("list", "--json").stdout)) == 3
    done = json.loads(stocked(*together, "--yes", "--json").stdout)
    assert done["removed"]
    assert done["bytes"] == sum(entry["bytes"] for entry in done["artifacts"]) > 0
    assert [e["reference"] for e in json.loads(stocked("list", "--json").stdout)] == [
        "dataset/table@1"
    ]
    with duckdb.connect(str(store / "catalog.duckdb"), read_only=True) as catalog:
        assert catalog.execute("select reference from artifacts").fetchall() == [
            ("dataset/table@1",)
        ]
    assert stocked("verify").returncode == 0


def test_gc_removes_only_when_told_to(stocked, store):
    leftover = store / "objects" / "keywords" / ("0" * 64)
    leftover.mkdir()
    (leftover / "keywords.parquet").write_bytes(b"x" * 100)
    listed = stocked("gc")
    assert str(leftover) in listed.stdout
    assert "gc --yes" in listed.stderr
    assert leftover.exists()
    assert stocked("gc", "--yes").returncode == 0
    assert not leftover.exists()
    assert len(json.loads(stocked("list", "--json").stdout)) == 3


def test_gc_tells_of_unfinished_work_and_removes_it_when_told_how_old(stocked, store):
    unfinished = store / "runs" / ("adapter-" + "1" * 64)
    (unfinished / "checkpoint-00000001").mkdir(parents=True)
    (unfinished / "checkpoint-00000001" / "tensors").write_bytes(b"x" * 2000)
    kept = stocked("gc", "--yes")
    assert "2.0 kB of unfinished work kept (1); thinkrec gc --unfinished DAYS" in kept.stderr
    assert json.loads(stocked("gc", "--json").stdout)["unfinished"] == [
        {"path": str(unfinished), "bytes": 2000}
    ]
    assert unfinished.exists()
    assert stocked("gc", "--unfinished", "1", "--yes").returncode == 0
    assert unfinished.exists()
    assert str(unfinished) in stocked("gc", "--unfinished", "0", "--yes").stdout
    assert not unfinished.exists()
    assert "unfinished" not in stocked("gc").stderr


def test_rebuild_says_what_to_do_about_a_damaged_file(stocked, store):
    damaged = next((store / "objects" / "keywords").glob("*/keywords.parquet"))
    damaged.unlink()
    duckdb.sql(f"copy (select 1 as other) to '{damaged}' (format parquet)")
    done = stocked("rebuild")
    assert done.returncode == StoreError.exit_code
    assert "keywords/tfidf@1: keywords.parquet is damaged" in done.stderr
    assert "with: thinkrec verify" in done.stderr.splitlines()[-1]


def test_rebuild_makes_the_catalog_anew(stocked, store):
    (store / "catalog.duckdb").unlink()
    assert stocked("rebuild").returncode == 0
    with duckdb.connect(str(store / "catalog.duckdb"), read_only=True) as catalog:
        assert catalog.execute("select count(*) from artifacts").fetchall() == [(3,)]


def test_show_of_a_long_chain_ends_and_json_names_all_of_it(thinkrec, store):
    opened = Store.open(store, KINDS, program_version="test")
    parent: list[str] = []
    for number in range(DEPTH + 5):
        key = opened.key(
            kind="keywords", parameters={"n": number}, inputs={"dataset": parent}, resources={}
        )
        with opened.publish(
            kind="keywords",
            name=f"k{number}",
            key=key,
            parameters={"n": number},
            inputs={"dataset": parent},
            resources={},
        ) as draft:
            write_table(
                draft.folder / "keywords.parquet",
                {"item": ["a"], "item_index": [0], "keywords": [["b"]]},
                KEYWORDS.payload("keywords.parquet").columns,
            )
        parent = [key]
    for end, title in ((f"keywords/k{DEPTH + 4}", "made from"), ("keywords/k0", "used by")):
        tree = thinkrec("show", end).stdout.split(title)[1]
        assert tree.count("keywords/") == 1 + DEPTH
        assert tree.rstrip().endswith("…")
    shown = json.loads(thinkrec("show", "keywords/k0", "--json").stdout)
    assert len(shown["descendants"]) == DEPTH + 4


def test_sql_json_keeps_columns_of_one_name_apart(stocked):
    query = "select 1 as x, 0.5 as x, 3 as x_1"
    assert json.loads(stocked("sql", "--json", query).stdout) == [{"x": 1, "x_2": 0.5, "x_1": 3}]


def test_sql_that_is_not_utf_8_is_refused(shell, stocked):
    query = "printf \"select 'caf\\xe9'\" | thinkrec sql -"
    done = shell(query, PYTHONIOENCODING="utf-8:strict")  # what most locales come with
    assert done.returncode == BadQuery.exit_code
    assert "not UTF-8" in done.stderr


@pytest.mark.parametrize("command", ["augment", "score --split test", "explain --user 1 --item 2"])
def test_what_takes_an_artifact_makes_no_store(thinkrec, tmp_path, command):
    done = thinkrec(*command.split(), "--store", str(tmp_path / "typo"))
    assert done.returncode == StoreError.exit_code
    assert f"there is no store at {tmp_path / 'typo'}" in done.stderr
    assert not (tmp_path / "typo").exists()


def test_a_dry_run_makes_no_store_and_changes_none(thinkrec, ratings, store):
    (ratings / "r.toml").write_text(
        '[step.data]\ncommand = "ingest"\nsource = "table"\ninteractions = "ratings.csv"\n'
        '[step.words]\ncommand = "augment"\n'
    )
    planned = thinkrec("run", "r.toml", "--dry-run").stdout
    assert "0 cached, 1 to run, 1 wait" in planned
    assert not store.exists()
    done = thinkrec("run", "r.toml", "--only", "words", "--dry-run")
    assert done.returncode == RecipeError.exit_code
    assert "step 'data' was not run yet" in done.stderr
    assert thinkrec("run", "r.toml", "--until", "data").returncode == 0
    planned = thinkrec("run", "r.toml", "--only", "words", "--dry-run").stdout
    assert "1 cached, 1 to run" in planned


@pytest.mark.parametrize(
    "command", ["verify", "gc", "rebuild", "show dataset/a", "sql artifacts", "list", "list scores"]
)
def test_looking_and_keeping_house_make_no_store(thinkrec, tmp_path, command):
    done = thinkrec(*command.split(), "--store", str(tmp_path / "typo"))
    assert not (tmp_path / "typo").exists()
    if command.startswith("list"):
        assert (done.returncode, done.stdout) == (0, "")
        assert f"in {tmp_path / 'typo'}; begin with: thinkrec ingest" in done.stderr
        return
    assert done.returncode == StoreError.exit_code
    assert "there is no store at" in done.stderr


def test_show_of_a_kind_that_only_a_later_version_knows(thinkrec, store):
    later = Kind(
        name="forecast",
        schema_version=1,
        payloads=(Payload(path="a.json", format="json"),),
        about="",
    )
    opened = Store.open(store, Kinds(later), program_version="9")
    facts = {"parameters": {}, "inputs": {}, "resources": {}}
    key = opened.key(kind="forecast", **facts)
    with opened.publish(kind="forecast", name="a", key=key, **facts) as draft:
        (draft.folder / "a.json").write_text("{}")
    done = thinkrec("show", "forecast/a")
    assert done.returncode == 0, done.stderr
    assert "of a kind that this version lacks" in done.stdout


def test_a_damaged_version_that_is_named_is_said_to_be_damaged(stocked, store):
    artifact = Store.open(store, KINDS, program_version="test").resolve("keywords/tfidf")
    manifest = artifact.folder / "manifest.json"
    manifest.chmod(0o644)
    manifest.write_text("{")
    for command in ("verify", "show"):
        done = stocked(command, "keywords/tfidf@1")
        assert done.returncode == CorruptArtifact.exit_code
        assert "keywords/tfidf@1 cannot be read" in done.stderr


def test_an_older_version_is_not_taken_for_one_that_is_damaged(stocked, store):
    assert stocked("augment", "--limit", "3").returncode == 0
    artifact = Store.open(store, KINDS, program_version="test").resolve("keywords/tfidf@2")
    manifest = artifact.folder / "manifest.json"
    manifest.chmod(0o644)
    manifest.write_text("{")
    done = stocked("show", "keywords/tfidf")
    assert done.returncode == CorruptArtifact.exit_code
    assert "keywords/tfidf@2 cannot be read" in done.stderr
    assert "The one before is keywords/tfidf@1." in done.stderr
    assert stocked("show", "keywords/tfidf@1").returncode == 0
    assert stocked("augment").stdout == "keywords/tfidf@1\n"


@pytest.mark.parametrize("word", ["deadbeef", "deadbeef@2"])
def test_a_name_that_looks_like_a_key_is_suggested(stocked, word):
    assert stocked("augment", "--name", "deadbeef").returncode == 0
    done = stocked("show", word)
    assert done.returncode == ArtifactNotFound.exit_code
    assert "Did you mean keywords/deadbeef?" in done.stderr


def test_a_hit_that_is_not_the_latest_is_told(stocked):
    assert stocked("augment", "--limit", "3").returncode == 0
    done = stocked("augment")
    assert done.stdout == "keywords/tfidf@1\n"
    assert "the latest is keywords/tfidf@2: say keywords/tfidf@1 to use this one" in done.stderr


@pytest.mark.parametrize("width", [200, 80, 70, 60, 40, 10])
def test_a_list_in_a_terminal_cuts_no_reference(stocked, store, monkeypatch, width):
    screen = Console(file=io.StringIO(), width=width)
    monkeypatch.setattr(console, "results", lambda: screen)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    opened = Store.open(store, KINDS, program_version="test")
    artifacts = opened.artifacts()
    _show(opened, artifacts)
    text = screen.file.getvalue()
    words = Counter(text.split())
    made_from = ["dataset/table@1"] * 2 + ["keywords/tfidf@1"]
    wanted = Counter([*(a.reference for a in artifacts), *made_from])
    assert {word: words[word] for word in wanted} == wanted
    assert ("reference" in words) == (width >= 70)  # a table where it fits
    longest = max(map(len, wanted))
    assert all(len(line.rstrip()) <= max(width, 4 + longest) for line in text.splitlines())


def test_a_list_for_a_program_is_one_line_each_however_long(thinkrec, ingested):
    name = "of-a-" + "very-" * 10 + "long-name"
    assert (
        thinkrec("ingest", "table", "--interactions", "ratings.csv", "--name", name).returncode == 0
    )
    assert thinkrec("augment", "--dataset", name, "--name", name).returncode == 0
    lines = thinkrec("list", COLUMNS="40").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [
        "dataset/table@1",
        f"dataset/{name}@1",
        f"keywords/{name}@1",
    ]
    assert lines[-1].endswith(f"  dataset/{name}@1")
    assert not [line for line in lines if line != line.rstrip()]
