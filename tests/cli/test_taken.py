"""What a command took that nobody named is said, where it could have been something else."""

import json
import shlex

import pytest
from typer.testing import CliRunner

from core.errors import RecipeError
from core.stages.recipe import Recipe, shipped_recipes
from core.stages.recipe_run import StepOutcome
from thinkrec_cli.app import app
from thinkrec_cli.commands import run
from thinkrec_cli.pages.pipeline import _suggestions


def test_a_scorer_that_nobody_named_is_told_where_there_are_several(thinkrec, shell, ingested):
    thinkrec("encode", "--encoder", "bias")
    alone = thinkrec("score", "--split", "test")
    assert alone.returncode == 0
    assert "for none was named" not in alone.stderr
    thinkrec("encode", "--encoder", "mf", "--dim", "4", "--epochs", "1")
    taken = thinkrec("score", "--split", "test")
    assert "scorer: encoder/mf@1, the latest that fits, for none was named" in taken.stderr
    named = thinkrec("score", "--split", "test", "--scorer", "bias")
    assert named.returncode == 0
    assert "for none was named" not in named.stderr
    piped = shell("echo encoder/bias | thinkrec score --split test")
    assert "for none was named" not in piped.stderr
    assert piped.stdout == "encoder/bias@1\nscores/bias-test@1\n"
    quiet = thinkrec("score", "--split", "valid", "--quiet")
    assert (quiet.returncode, quiet.stderr) == (0, "")


def test_an_encoder_that_scores_takes_no_other_to_pick_candidates(thinkrec, shell, ingested):
    thinkrec("encode", "--encoder", "bias", "--name", "a")
    ask = ("score", "--user", "u1", "--top", "3", "--seen")
    first = thinkrec(*ask, "--scorer", "encoder/a").stdout
    assert first == "scores/a-user-u1@1\n"
    thinkrec("encode", "--encoder", "bias", "--weight-decay", "2", "--name", "b")
    assert thinkrec(*ask, "--scorer", "encoder/a").stdout == first
    assert shell(f"echo encoder/a | thinkrec {' '.join(ask)}").stdout.splitlines()[-1:] == [
        first.strip()
    ]
    lineage = "select parent from lineage where child = 'scores/a-user-u1@1' order by all"
    assert thinkrec("sql", lineage).stdout.split() == ["parent", "dataset/table@1", "encoder/a@1"]
    by_b = thinkrec(*ask, "--scorer", "encoder/a", "--encoder", "b").stdout
    assert by_b == "scores/a-user-u1@2\n"


def test_a_later_state_of_the_data_is_told(thinkrec, ingested, ratings):
    thinkrec("encode", "--encoder", "bias")
    table = ratings / "ratings.csv"
    table.write_text(table.read_text() + "u1,i1,5,1100000000\n")
    name = json.loads(thinkrec("list", "dataset", "--json").stdout)[0]["reference"]
    word = name.partition("/")[2].partition("@")[0]
    thinkrec("ingest", "table", "--interactions", "ratings.csv", "--name", word)
    told = thinkrec("score", "--split", "test", "--scorer", "bias").stderr
    assert f"dataset: {name}, to which the scorer belongs; there is dataset/{word}@2" in told
    assert "--same-users" not in told  # which an encoder does not take


def test_an_evaluation_says_where_its_report_lies(thinkrec, ingested):
    thinkrec("encode", "--encoder", "bias")
    shown = thinkrec("score", "--split", "test") and thinkrec("eval", "--no-meteor")
    (line,) = [line for line in shown.stderr.splitlines() if line.startswith("report ")]
    assert line.endswith("report.html")


def test_rows_that_training_knows_nothing_of_are_told(thinkrec, ratings):
    by_time = thinkrec("ingest", "table", "--interactions", "ratings.csv").stderr
    assert "warm, with user and item in train: 100% of valid, 100% of test" in by_time
    table = ratings / "ratings.csv"
    lines = table.read_text().splitlines()
    # In the order of users, one after the other.
    users = [
        f"{line.rpartition(',')[0]},{1_000_000_000 + n}" for n, line in enumerate(sorted(lines[1:]))
    ]
    table.write_text("\n".join([lines[0], *users]) + "\n")
    sitting = thinkrec("ingest", "table", "--interactions", "ratings.csv").stderr
    assert "--split-by user-time cuts each user's own time line" in sitting
    own = thinkrec("ingest", "table", "--interactions", "ratings.csv", "--split-by", "user-time")
    assert own.returncode == 0
    assert "--split-by user-time" not in own.stderr


def test_what_a_recipe_suggests_names_a_pair_of_its_data(thinkrec, ingested, ratings):
    (ratings / "recipe.toml").write_text(
        'next = ["thinkrec explain --user USER --item ITEM"]\n'
        '[step.data]\ncommand = "ingest"\nsource = "table"\ninteractions = "ratings.csv"\n'
    )
    told = thinkrec("run", "recipe.toml").stderr
    (line,) = [line for line in told.splitlines() if "thinkrec explain" in line]
    user, item = shlex.split(line)[-3], shlex.split(line)[-1]
    rows = json.loads(
        thinkrec(
            "sql", "--json", "select \"user\", item from interactions where split = 'test'"
        ).stdout
    )
    assert {"user": user, "item": item} in rows


def test_without_data_a_suggestion_stays_as_it_is():
    recipe = Recipe(name="r", about="", steps=(), next=("thinkrec explain --user USER",))
    outcomes: list[StepOutcome] = []
    assert _suggestions(recipe, outcomes) == ["thinkrec explain --user USER"]


def test_settings_without_effect_are_told(thinkrec, ingested, ratings):
    told = thinkrec("encode", "--encoder", "bias", "--dim", "16", "--weight-decay", "0.5").stderr
    assert "without effect here: --dim\n" in told
    (ratings / "pairs.csv").write_text("user,item\nu1,i1\n")
    told = thinkrec(
        "score", "--pairs", "pairs.csv", "--seen", "--limit", "1", "--block-rows", "5"
    ).stderr
    assert "without effect here: --limit, --seen\n" in told
    assert "without effect" not in thinkrec("score", "--limit", "1").stderr
    told = thinkrec("score", "--limit", "2", "--encoder", "bias", "--dtype", "bfloat16").stderr
    assert "without effect here: --dtype, --encoder\n" in told


def test_changes_of_a_recipe_without_effect_are_told(thinkrec, ratings):
    (ratings / "r.toml").write_text(
        '[step.data]\ncommand = "ingest"\nsource = "table"\ninteractions = "ratings.csv"\n'
        '[step.counts]\ncommand = "encode"\nencoder = "bias"\nepochs = 3\n'
        '[step.scores]\ncommand = "score"\n'
    )
    planned = ("run", "r.toml", "--dry-run")
    told = thinkrec(*planned, "--set", "scores.sample_seed=3", "--set", "counts.dim=8")
    assert told.returncode == 0
    assert told.stderr == "without effect here: counts.dim, scores.sample_seed\n"
    assert thinkrec(*planned, "--set", "scores.limit=3").stderr == ""
    seeded = thinkrec(*planned, "--seed", "3")
    assert seeded.returncode == RecipeError.exit_code
    assert "no step depends on a seed" in seeded.stderr


def test_settings_of_an_endpoint_that_is_not_asked_are_told(thinkrec, ingested):
    endpoint = ("--endpoint", "http://127.0.0.1:9/v1", "--concurrency", "3", "--max-requests", "2")
    for command in (("synthesize", "--rows", "5", "--held-out", "0"), ("augment",)):
        told = thinkrec(*command, *endpoint).stderr
        assert "without effect here: --concurrency, --endpoint, --max-requests\n" in told


def test_recipes_of_the_program_are_listed(thinkrec):
    listed = thinkrec("run", "--list")
    assert listed.returncode == 0
    assert [line.split()[0] for line in listed.stdout.splitlines()] == list(shipped_recipes())
    assert "MovieLens-100K, from a ratings file to an explained recommendation" in listed.stdout
    found = json.loads(thinkrec("run", "--list", "--json").stdout)
    assert [recipe["name"] for recipe in found] == list(shipped_recipes())
    assert all(recipe["about"] for recipe in found)
    unnamed = thinkrec("run")
    assert unnamed.returncode == RecipeError.exit_code
    assert "thinkrec run --list" in unnamed.stderr


@pytest.mark.parametrize("force", [False, True])
def test_an_interrupted_recipe_says_how_to_go_on(ratings, store, monkeypatch, force):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.chdir(ratings)
    monkeypatch.setattr(run, "_tell", interrupted)
    (ratings / "recipe.toml").write_text(
        '[step.data]\ncommand = "ingest"\nsource = "table"\ninteractions = "ratings.csv"\n'
    )
    words = ["--store", str(store), "run", "recipe.toml", *(["--force"] if force else [])]
    told = CliRunner().invoke(app, words).stderr.splitlines()[-1]
    how = "without --force goes on with what was made" if force else "continues where it stopped"
    assert told == f"interrupted; the same command {how}"


@pytest.mark.parametrize("words", [("ingest", "ratings.csv"), ("ingest", "table", "ratings.csv")])
def test_a_file_as_it_is_gets_the_command_that_reads_it(thinkrec, ratings, words):
    done = thinkrec(*words)
    assert done.returncode == 2
    assert done.stderr.endswith("hint: thinkrec ingest table --interactions ratings.csv\n")
    assert "--help" in thinkrec(*words[:-1], "nofile.csv").stderr
