"""Settings come from defaults, a file and the command line, in this order; unknown ones are refused."""

import json
from pathlib import Path

import pytest

from core.errors import ConfigError, UnknownKeyError
from core.stages import encode
from thinkrec_cli.settings_file import read_settings


def settings(shell_or_run, reference: str) -> dict:
    shown = json.loads(shell_or_run("show", reference, "--json").stdout)
    return shown["parameters"]


def test_the_command_line_wins_over_the_file_and_the_file_over_the_default(
    thinkrec, ingested, ratings
):
    (ratings / "settings.toml").write_text("rows = 40\nhistory-length = 2\n")
    thinkrec("synthesize", "--config", "settings.toml", "--rows", "30")
    parameters = settings(thinkrec, "traces/grounded")
    assert (parameters["rows"], parameters["history_length"], parameters["seed"]) == (30, 2, 0)


def test_an_option_that_takes_one_value_is_refused_where_it_is_given_twice(thinkrec, ingested):
    done = thinkrec("score", "--user", "1", "--scorer", "mf", "--user", "2")
    assert done.returncode == 2
    assert "--user takes one value and is given 2 times" in done.stderr
    done = thinkrec("sql", "--csv", "--csv", "select 1 as one")  # a switch says the same twice
    assert done.stdout.split() == ["one", "1"]
    assert thinkrec("eval", "--k", "5", "--k", "10", "--help").returncode == 0  # which collects


def test_one_file_may_hold_settings_of_several_commands(thinkrec, ingested, ratings):
    (ratings / "settings.toml").write_text(
        "seed = 7\n[synthesize]\nrows = 40\n[train_global]\nrank = 8\n"
    )
    assert thinkrec("synthesize", "--config", "settings.toml").returncode == 0
    parameters = settings(thinkrec, "traces/grounded")
    assert (parameters["rows"], parameters["seed"]) == (40, 7)


def test_a_setting_of_a_file_stands_there_in_one_spelling(tmp_path):
    file = tmp_path / "settings.toml"
    for table, where in (("", ""), ("[encode]\n", r" \[encode\]")):
        file.write_text(f"{table}batch_size = 8\nbatch-size = 16\n")
        with pytest.raises(ConfigError, match=f"settings.toml{where}: batch_size is set twice"):
            read_settings(file, encode.STAGE)
    file.write_text("batch_size = 8\n[encode]\nbatch-size = 16\n")
    assert read_settings(file, encode.STAGE) == {"batch_size": 16}


def test_a_settings_file_may_begin_with_a_byte_order_mark(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text("batch_size = 8\n", encoding="utf-8-sig")
    assert read_settings(file, encode.STAGE) == {"batch_size": 8}


@pytest.mark.parametrize("content", ["limt = 4\n", "[augment]\nlimt = 4\n"])
def test_an_unknown_setting_is_refused_with_the_nearest(thinkrec, ingested, ratings, content):
    (ratings / "settings.toml").write_text(content)
    done = thinkrec("augment", "--config", "settings.toml")
    assert done.returncode == UnknownKeyError.exit_code
    assert "unknown key 'limt'" in done.stderr
    assert "Did you mean 'limit'?" in done.stderr


def test_a_command_s_name_that_is_no_table_is_an_unknown_setting(thinkrec, ratings):
    (ratings / "settings.toml").write_text("encode = 'mf'\n")
    done = thinkrec("encode", "--config", "settings.toml")
    assert done.returncode == UnknownKeyError.exit_code
    assert "unknown key 'encode'" in done.stderr
    assert "Did you mean 'encoder'?" in done.stderr


@pytest.mark.parametrize(
    ("content", "problem"),
    [("limit = 'four'\n", "is not a whole number"), ("limit =\n", "is not TOML")],
)
def test_a_setting_that_cannot_be_read_is_refused(thinkrec, ingested, ratings, content, problem):
    (ratings / "settings.toml").write_text(content)
    done = thinkrec("augment", "--config", "settings.toml")
    assert done.returncode == ConfigError.exit_code
    assert problem in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [["--store", "other", "list"], ["list", "--store", "other"]],
    ids=["before", "after"],
)
def test_the_store_may_be_named_before_or_after_the_command(thinkrec, ratings, arguments):
    done = thinkrec(*arguments, THINKREC_STORE="")
    assert (done.returncode, done.stdout) == (0, "")
    assert f"no artifacts in {ratings / 'other'};" in done.stderr


def test_a_named_store_wins_over_the_environment(thinkrec, ratings):
    assert f"no artifacts in {ratings / 'other'};" in thinkrec("--store", "other", "list").stderr


@pytest.mark.parametrize(
    "arguments",
    [["--store", "", "list"], ["list", "--store", ""], ["list", "--store="]],
    ids=["before", "after", "in one word"],
)
def test_a_store_without_a_name_is_refused(thinkrec, ratings, arguments):
    before = sorted(ratings.iterdir())
    done = thinkrec(*arguments)
    assert (done.returncode, done.stdout) == (ConfigError.exit_code, "")
    assert "--store is an empty text" in done.stderr
    assert sorted(ratings.iterdir()) == before


def test_an_empty_variable_names_no_store(thinkrec, ratings):
    done = thinkrec("list", THINKREC_STORE="")
    assert f"no artifacts in {ratings / '.thinkrec'};" in done.stderr


def test_without_a_name_the_store_is_in_the_working_folder(shell, ratings):
    done = shell("unset THINKREC_STORE; thinkrec ingest table --interactions ratings.csv")
    assert done.returncode == 0, done.stderr
    assert (ratings / ".thinkrec" / "format.json").exists()


def test_json_may_stand_before_the_command(thinkrec, ingested):
    assert json.loads(thinkrec("--json", "augment").stdout)["kind"] == "keywords"


def test_an_artifact_can_be_named(thinkrec, ingested):
    assert thinkrec("augment", "--name", "mine").stdout == "keywords/mine@1\n"
    again = thinkrec("augment", "--name", "yours")
    assert again.stdout == "keywords/yours@1\n"
    assert "cached" in again.stderr


def test_force_makes_a_new_version(thinkrec, ingested):
    assert thinkrec("augment").stdout == "keywords/tfidf@1\n"
    assert thinkrec("augment").stdout == "keywords/tfidf@1\n"
    assert thinkrec("augment", "--force").stdout == "keywords/tfidf@2\n"


def test_quiet_says_nothing_and_verbose_says_the_settings(thinkrec, ingested):
    assert thinkrec("augment", "--quiet").stderr == ""
    loud = thinkrec("augment", "--force", "-v").stderr
    assert "limit = 10" in loud
    assert "dataset: dataset/table@1" in loud


def test_an_optional_input_can_be_left_out(thinkrec, ingested):
    thinkrec("augment")
    thinkrec("synthesize", "--rows", "20", "--keywords", "none")
    shown = json.loads(thinkrec("show", "traces/grounded", "--json").stdout)
    assert shown["inputs"]["keywords"] == []


def test_a_choice_outside_the_list_is_a_usage_error(thinkrec):
    done = thinkrec("ingest", "imdb")
    assert done.returncode == 2
    assert "ml-100k" in done.stderr


def test_paths_are_not_part_of_the_key(thinkrec, ingested, ratings):
    (ratings / "moved").mkdir()
    for name in ("ratings.csv", "movies.csv"):
        Path(ratings / name).rename(ratings / "moved" / name)
    again = thinkrec(
        "ingest", "table", "--interactions", "moved/ratings.csv", "--items", "moved/movies.csv"
    )
    assert again.stdout.strip() == ingested
