"""A recipe is checked as a whole before anything runs, and runs only what was not done before."""

import dataclasses
import tomllib
from pathlib import Path

import pytest

from artifacts.errors import ArtifactNotFound
from artifacts.store import Store
from core.errors import (
    BadValueError,
    ConfigError,
    MismatchError,
    MissingFileError,
    ModelFolderError,
    RecipeError,
    ThinkRecError,
    UnknownKeyError,
)
from core.stages.base import Context
from core.stages.commands import STAGE_COMMANDS, load_stage
from core.stages.kinds import KINDS
from core.stages.overrides import idle_changes
from core.stages.recipe import load_recipe, read_recipe
from core.stages.recipe_run import plan_recipe, run_recipe
from tests.cli.conftest import write_ratings

RECIPE = """
name = "small"
about = "a table of ratings"
next = ["thinkrec list"]

[settings]
seed = 3

[step.keywords]
command = "augment"
dataset = "data"
limit = 4

[step.data]
command = "ingest"
source = "table"
interactions = "ratings.csv"
items = "movies.csv"

[step.reasons]
command = "synthesize"
rows = 20
held-out = 0
artifact = "twenty"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    """Working folder with ratings and a recipe."""
    write_ratings(tmp_path)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def context(folder: Path) -> Context:
    """A real store."""
    return Context(store=Store.open(folder / "store", KINDS, "test"))


def read(text: str):
    return read_recipe(tomllib.loads(text), where="recipe.toml")


def problem_of(text: str, kind: type[ThinkRecError] = RecipeError) -> tuple[str, str]:
    with pytest.raises(kind) as caught:
        read(text)
    return str(caught.value), caught.value.hint


def test_steps_stand_in_an_order_in_which_they_can_run():
    recipe = read(RECIPE)
    assert [step.id for step in recipe.steps] == ["data", "keywords", "reasons"]
    assert (recipe.name, recipe.next) == ("small", ("thinkrec list",))


def test_shared_settings_reach_the_steps_that_know_them():
    by_id = {step.id: step.config for step in read(RECIPE).steps}
    assert by_id["keywords"].seed == by_id["reasons"].seed == 3
    assert by_id["keywords"].limit == 4
    assert by_id["reasons"].held_out == 0


def test_inputs_nobody_names_come_from_the_one_earlier_step_that_fits():
    by_id = {step.id: step.inputs for step in read(RECIPE).steps}
    assert by_id["reasons"] == {"dataset": ("data",), "keywords": ("keywords",)}


def test_what_would_come_through_an_input_that_is_left_out_comes_from_a_step():
    text = DATA + "".join(
        f"[step.{name}]\ncommand = '{command}'\n{more}\n"
        for name, command, more in (
            ("sasrec", "encode", "encoder = 'sasrec'"),
            ("groups", "cluster", ""),
            ("global", "train-global", ""),
            ("experts", "train-experts", ""),
            ("more", "train-experts", "experts = 'experts'\nadd_group = 1"),
        )
    )
    by_id = {step.id: step.inputs for step in read(text).steps}
    # No experts are kept whose adapter it could be.
    assert by_id["experts"]["adapter"] == ("global",)
    # All is that of the experts kept, at the end of the chain as well: their reasons come through their adapter.
    assert not {"adapter", "dataset", "traces"} & set(by_id["more"])


DATA = '[step.data]\ncommand = "ingest"\n'


def steps_of(*steps: tuple[str, str]) -> str:
    """Return a recipe of steps, each an id and its lines parted by semicolons; the command stands first."""
    return "".join(
        f"[step.{name}]\ncommand = " + lines.replace(";", "\n") + "\n" for name, lines in steps
    )


def inputs_of(*steps: tuple[str, str]) -> dict[str, dict[str, tuple[str, ...]]]:
    return {step.id: dict(step.inputs) for step in read(steps_of(*steps)).steps}


INGEST = ("data", "'ingest'; artifact = 'other'")
STRANGER = ("s", "'score'; scorer = 'encoder/bias'")


def test_a_scorer_of_the_store_is_asked_about_the_data_that_the_recipe_makes():
    assert inputs_of(INGEST, STRANGER)["s"] == {"scorer": ("encoder/bias",), "dataset": ("data",)}
    assert read(steps_of(INGEST, STRANGER)).needed_for(["s"]) == {"s", "data"}
    # Its own data set only where the recipe makes none, or where it is named.
    assert inputs_of(STRANGER)["s"] == {"scorer": ("encoder/bias",)}
    named = ("s", STRANGER[1] + "; dataset = 'dataset/films'")
    assert inputs_of(INGEST, named)["s"]["dataset"] == ("dataset/films",)
    text = steps_of(INGEST, ("more", "'ingest'"), STRANGER)
    assert problem_of(text) == (
        "recipe.toml [step.s]: several steps could be its dataset: data, more",
        'Name one: dataset = "more"',
    )


def test_a_scorer_that_steps_lead_to_is_asked_about_the_data_behind_it():
    found = inputs_of(
        INGEST,
        ("more", "'ingest'"),
        ("mf", "'encode'; dataset = 'data'; encoder = 'mf'"),
        ("s", "'score'; scorer = 'mf'"),
    )
    assert found["s"] == {"scorer": ("mf",)}


TRAINED = ("global", "'train-global'; traces = 'none'; keywords = 'none'")
ASKED = ("s", "'score'; scorer = 'global'; user = 'u1'")


def test_what_a_scorer_was_not_made_from_comes_from_the_recipe():
    explain = "'explain'; scorer = 'global'; "
    found = inputs_of(
        INGEST,
        ("reasons", "'synthesize'"),
        ("mf", "'encode'; encoder = 'mf'"),
        TRAINED,
        ("five", explain + "sample = 5"),
        ("one", explain + "user = 'u1'; item = 'i1'"),
        ASKED,
        ("rows", "'score'; scorer = 'global'"),
        ("by-mf", "'score'; scorer = 'mf'; user = 'u1'"),
    )
    assert found["five"] == {"scorer": ("global",), "traces": ("reasons",)}
    assert found["s"] == {"scorer": ("global",), "encoder": ("mf",)}
    # Where it is of no use, or the scorer itself is one, nothing is added.
    assert found["one"] == found["rows"] == {"scorer": ("global",)}
    assert found["by-mf"] == {"scorer": ("mf",)}
    encoders = [(name, f"'encode'; encoder = '{name}'") for name in ("bias", "mf")]
    problem, hint = problem_of(steps_of(INGEST, *encoders, TRAINED, ASKED))
    assert "several steps could be its encoder: bias, mf" in problem
    assert 'or "none"' in hint


def test_what_a_scorer_was_made_from_goes_before_what_the_recipe_makes_besides():
    found = inputs_of(
        INGEST,
        ("reasons", "'synthesize'"),
        ("more", "'synthesize'; artifact = 'more'"),
        ("bias", "'encode'; encoder = 'bias'"),
        ("mf", "'encode'; encoder = 'mf'"),
        ("global", "'train-global'; traces = 'reasons'; prior = 'bias'"),
        ("five", "'explain'; scorer = 'global'; sample = 5"),
        ASKED,
    )
    assert found["five"] == found["s"] == {"scorer": ("global",)}


def test_what_was_made_from_other_data_is_not_taken_unasked():
    found = inputs_of(
        INGEST,
        ("films", "'ingest'"),
        ("mf", "'encode'; dataset = 'films'; encoder = 'mf'"),
        ("bias", "'encode'; dataset = 'data'; encoder = 'bias'"),
        ("global", TRAINED[1] + "; dataset = 'data'"),
        ASKED,
        ("abroad", ASKED[1] + "; dataset = 'films'"),
    )
    assert found["s"]["encoder"] == ("bias",)
    assert found["abroad"]["encoder"] == ("mf",)


def test_experts_are_fused_with_the_encoder_and_the_data_they_are_of():
    found = inputs_of(
        INGEST, ("mf", "'encode'; encoder = 'mf'"), ("fused", "'fuse'; experts = 'experts/old'")
    )
    assert found["fused"] == {"adapter": ("none",), "experts": ("experts/old",)}


def test_scores_of_a_file_need_no_encoder():
    encoders = [(name, f"'encode'; encoder = '{name}'") for name in ("bias", "mf")]
    found = inputs_of(INGEST, *encoders, ("s", "'score'; given = 'scores.csv'"))
    assert found["s"] == {"dataset": ("data",), "keywords": ("none",)}


def test_another_data_set_than_the_scorer_s_is_not_passed_over(folder, context):
    own = steps_of(
        ("data", "'ingest'; source = 'table'; interactions = 'ratings.csv'; artifact = 'films'"),
        ("bias", "'encode'; encoder = 'bias'; artifact = 'bias'"),
    )
    list(run_recipe(context, read(own)))
    (folder / "more.csv").write_text((folder / "ratings.csv").read_text() + "u1,i1,5,1100000000\n")

    def asked(file: str):
        data = f"'ingest'; source = 'table'; interactions = '{file}'; artifact = 'other'"
        return run_recipe(context, read(steps_of(("data", data), STRANGER)), until=["s"])

    *_, scores = [done.outcome.artifact for done in asked("ratings.csv")]
    (home,) = scores.manifest.inputs["dataset"]
    assert (
        context.store.resolve("dataset/other@1").object_id == home
    )  # the same data by another name
    with pytest.raises(MismatchError, match=r"encoder/bias@1 knows .* not of dataset/other@2"):
        list(asked("more.csv"))


def test_an_evaluation_takes_no_rankings_unasked():
    scored = [
        ("mf", "'encode'; encoder = 'mf'"),
        ("rows", "'score'; scorer = 'mf'"),
        ("one", "'score'; scorer = 'mf'; user = 'u1'"),
        ("several", "'score'; scorer = 'mf'; users = 'users.csv'"),
        ("new", "'score'; scorer = 'mf'; history = 'history.csv'"),
    ]
    table = ("table", "'eval'")
    assert inputs_of(INGEST, *scored, table)["table"]["scores"] == ("rows",)
    named = ("table", "'eval'; scores = ['rows', 'one']")
    assert inputs_of(INGEST, *scored, named)["table"]["scores"] == ("rows", "one")
    del scored[1]
    problem, _ = problem_of(steps_of(INGEST, *scored, table))
    assert "no earlier step makes scores with labels" in problem
    assert "one, several, new" in problem


def test_whether_pairs_of_a_file_are_measured_beside_a_split_has_to_be_said():
    mf, table = ("mf", "'encode'; encoder = 'mf'"), ("table", "'eval'")
    pairs = ("pairs", "'score'; scorer = 'mf'; pairs = 'pairs.csv'")
    rows = ("rows", "'score'; scorer = 'mf'")
    problem, hint = problem_of(steps_of(INGEST, mf, pairs, rows, table))
    assert "[step.table]: it is open whether pairs, of a file of pairs, can be measured" in problem
    assert hint == 'Name what to measure: scores = ["rows"].'
    assert inputs_of(INGEST, mf, pairs, table)["table"]["scores"] == ("pairs",)


@pytest.mark.parametrize(
    ("text", "kind", "problem", "hint"),
    [
        ("", RecipeError, "has no steps", "[step.data]"),
        ("step = 3", RecipeError, "has no steps", "[step.data]"),
        ("nme = 'x'\n" + DATA, RecipeError, "unknown key 'nme'", "'name'"),
        ("[step.a]\n", RecipeError, "[step.a] has no command", "ingest"),
        ("[step.a]\ncommand = 'encod'", RecipeError, "unknown command 'encod'", "'encode'"),
        (DATA + "sorce = 'x'", RecipeError, "[step.data]: unknown key 'sorce'", "'source'"),
        (DATA + "source = 'imdb'", ConfigError, "source = 'imdb'", "Use"),
        (DATA + "threshold = 'x'", ConfigError, "threshold = 'x' is not a number", "a number"),
        ("[settings]\nsed = 1\n" + DATA, RecipeError, "unknown setting 'sed'", "Did you mean"),
        (
            DATA + "[step.k]\ncommand = 'augment'\ndataset = 'dta'",
            RecipeError,
            "unknown step 'dta'",
            "'data'",
        ),
        (
            DATA + "[step.k]\ncommand = 'augment'\n[step.g]\ncommand = 'cluster'\nencoder = 'k'",
            RecipeError,
            "encoder takes encoder, not step 'k', which makes keywords",
            "makes encoder",
        ),
        (
            DATA + "[step.g]\ncommand = 'cluster'\nencoder = 'dataset/x'",
            RecipeError,
            "encoder takes encoder, not 'dataset/x'",
            "makes encoder",
        ),
        ("[step.k]\ncommand = 'augment'", RecipeError, "no earlier step makes dataset", "dataset/"),
        ("settings = 3\n" + DATA, RecipeError, "settings = 3 is no table", "[settings]"),
        ("settings = 0\n" + DATA, RecipeError, "settings = 0 is no table", "[settings]"),
        ("next = 'thinkrec list'\n" + DATA, RecipeError, "is no list of commands", "brackets"),
        ("next = [3]\n" + DATA, RecipeError, "next = [3] is no list of commands", "brackets"),
        (DATA + "artifact = 3", RecipeError, "[step.data]: artifact = 3 is not", "artifact = "),
        (DATA + "artifact = 'Bad Name'", RecipeError, "'Bad Name' is not a name", "a-z, 0-9"),
        (
            DATA + "[step.g]\ncommand = 'train-global'\ntarget_modules = ['q_proj', 1]",
            ConfigError,
            "target_modules[1] = 1 is not a text in quotes",
            "a text",
        ),
        (
            DATA + "[step.e]\ncommand = 'encode'\nsearch = true\nsearch_dims = [8, 1.5]",
            ConfigError,
            "search_dims[1] = 1.5 is not a whole number",
            "whole number",
        ),
        (DATA + "after = 3", RecipeError, "after = 3 names no step", "list of steps"),
        (
            DATA + "[step.k]\ncommand = 'augment'\ndataset = []",
            RecipeError,
            "[step.k]: dataset = [] names nothing",
            "Leave the line out",
        ),
        (
            DATA + "[step.s]\ncommand = 'score'\nscorer = ['encoder/a', 'encoder/b']",
            RecipeError,
            "scorer takes one, not 2: encoder/a, encoder/b",
            "encoder/a",
        ),
        (
            DATA + "[step.s]\ncommand = 'score'\nscorer = 'encoder/'",
            RecipeError,
            "scorer: 'encoder/' has no name",
            "encoder/NAME",
        ),
        (
            "[step.e]\ncommand = 'eval'\nscores = 'scores/x'\nexplanations = ['none', 'explanation/x']",
            RecipeError,
            'explanations names "none" among others',
            '"none"',
        ),
        (
            "[step.f]\ncommand = 'fuse'\nadapter = 'none'\nencoder = 'encoder/mf'",
            RecipeError,
            "needs an input experts",
            "experts/NAME",
        ),
        (
            "[settings]\nbatch_size = 8\nbatch-size = 16\n[step.g]\ncommand = 'train-global'",
            ConfigError,
            "[settings]: batch_size is set twice",
            "Remove",
        ),
        (
            DATA + "[step.g]\ncommand = 'train-global'\nbatch_size = 8\nbatch-size = 16",
            ConfigError,
            "[step.g]: batch_size is set twice",
            "Remove",
        ),
        (DATA + "after = ['x']", RecipeError, "unknown step 'x'", "data"),
        (
            DATA + "after = ['k']\n[step.k]\ncommand = 'augment'",
            RecipeError,
            "steps wait for each other: data, k",
            "circle",
        ),
    ],
)
def test_a_recipe_that_cannot_work_is_refused_as_a_whole(text, kind, problem, hint):
    found, advice = problem_of(text, kind)
    assert problem in found
    assert hint in advice


def test_an_input_that_could_be_several_steps_has_to_be_named():
    text = DATA
    for name in ("mf", "sasrec"):
        text += f'[step.{name}]\ncommand = "encode"\nencoder = "{name}"\n'
    found, advice = problem_of(text + '[step.g]\ncommand = "cluster"\n')
    assert "several steps could be its encoder: mf, sasrec" in found
    assert 'encoder = "sasrec"' in advice


def test_an_input_of_many_takes_all_earlier_steps_that_fit():
    text = DATA
    for name in ("mf", "bias"):
        text += f'[step.{name}]\ncommand = "encode"\nencoder = "{name}"\n'
        text += f'[step.{name}-scores]\ncommand = "score"\nscorer = "{name}"\n'
    recipe = read(text + '[step.table]\ncommand = "eval"\n')
    assert recipe.steps[-1].inputs["scores"] == ("mf-scores", "bias-scores")


@pytest.mark.parametrize("content", ["name = \n", "name = 'a'\nname = 'b'\n"])
def test_broken_toml_is_told_with_its_place(folder, content):
    (folder / "broken.toml").write_text(content)
    with pytest.raises(RecipeError, match="line"):
        load_recipe(folder / "broken.toml")


def test_a_missing_recipe_names_those_that_are_there(folder):
    with pytest.raises(MissingFileError) as caught:
        load_recipe(folder / "recpe.toml")
    assert "recipe.toml" in caught.value.hint


@pytest.mark.parametrize("name", ["quickstart", "ml-1m/thinkrec-paper", "ml-1m/studies/experts"])
def test_recipes_of_the_program_go_by_name(folder, monkeypatch, name):
    monkeypatch.chdir(folder)
    assert load_recipe(Path(name)).name == name.rpartition("/")[2]


@pytest.mark.parametrize("name", [".", "..", "folder"])
def test_a_folder_is_no_recipe(folder, name):
    (folder / "folder").mkdir()
    with pytest.raises(RecipeError, match="is a folder, not a recipe") as problem:
        load_recipe(Path(name))
    assert "quickstart" in problem.value.hint


def test_a_file_is_meant_before_a_recipe_of_the_program(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "ml-1m").mkdir()
    (folder / "ml-1m" / "bias").write_text((folder / "recipe.toml").read_text())
    assert load_recipe(Path("ml-1m/bias")).steps == load_recipe(Path("recipe.toml")).steps
    (folder / "quickstart").mkdir()
    assert load_recipe(Path("quickstart")).name == "quickstart"


@pytest.mark.parametrize(
    ("name", "near"),
    [("quikstart", "quickstart"), ("ml-1m/tabel", "ml-1m/table"), ("films", "your-ratings")],
)
def test_an_unknown_name_is_answered_with_recipes_of_the_program(folder, monkeypatch, name, near):
    monkeypatch.chdir(folder)
    with pytest.raises(MissingFileError) as caught:
        load_recipe(Path(name))
    assert near in caught.value.hint


def test_settings_can_be_changed_from_outside(folder):
    recipe = load_recipe(
        folder / "recipe.toml", ["keywords.limit=2", "reasons.held-out=7", "data.source=table"]
    )
    by_id = {step.id: step.config for step in recipe.steps}
    assert (by_id["keywords"].limit, by_id["reasons"].held_out) == (2, 7)


def test_an_input_can_be_changed_to_several(folder):
    (folder / "recipe.toml").write_text(
        """
        step.data = {command = "ingest", source = "table", interactions = "ratings.csv"}
        step.mf = {command = "encode", encoder = "bias"}
        step.one = {command = "score", scorer = "mf"}
        step.two = {command = "score", scorer = "mf", limit = 5}
        step.result = {command = "eval", scores = ["one"]}
        """
    )
    for change in ('["two", "one"]', "two"):
        recipe = load_recipe(folder / "recipe.toml", [f"result.scores={change}"])
        (inputs,) = (step.inputs for step in recipe.steps if step.id == "result")
        assert inputs["scores"] == (("two", "one") if "one" in change else ("two",))


@pytest.mark.parametrize("target", ["data", "settings", "*"])
def test_a_text_needs_no_quotes_wherever_it_is_changed(folder, target):
    changes = [f"{target}.since=2001-06-01", f"{target}.user_column=1"]
    (data,) = (
        step.config
        for step in load_recipe(folder / "recipe.toml", changes).steps
        if step.id == "data"
    )
    assert (data.since, data.user_column) == ("2001-06-01", "1")


def test_settings_of_all_steps_can_be_changed_at_once(folder):
    path = TABLE / "table.toml"
    steps = load_recipe(path, ["settings.sample_users=0", "settings.seed=3"]).steps
    scores = [step for step in steps if step.stage.command == "score"]
    assert len(scores) > 10
    assert {step.config.sample_users for step in scores} == {0}
    assert {step.config.seed for step in steps if hasattr(step.config, "seed")} == {3}
    with pytest.raises(RecipeError, match="unknown setting 'sample_user'"):
        load_recipe(path, ["settings.sample_user=0"])


def test_a_change_of_all_steps_that_none_would_take_is_refused():
    with pytest.raises(RecipeError, match=r"train_rows=9 changes nothing: .*tallrec") as caught:
        load_recipe(TABLE / "tallrec.toml", ["settings.train_rows=9"])
    assert "--set '*.train_rows=...'" in caught.value.hint


def test_a_star_changes_every_step_that_has_the_setting():
    steps = load_recipe(TABLE / "table.toml", ["*.train-rows=9", "collm.train_rows=8"]).steps
    rows = {s.id: s.config.train_rows for s in steps if hasattr(s.config, "train_rows")}
    assert rows.pop("collm") == 8
    assert len(rows) > 10
    assert set(rows.values()) == {9}
    with pytest.raises(RecipeError, match="unknown setting 'train_row'"):
        load_recipe(TABLE / "table.toml", ["*.train_row=9"])


def test_a_recipe_saved_with_a_byte_order_mark_is_read(folder):
    path = folder / "recipe.toml"
    path.write_text(path.read_text(), encoding="utf-8-sig")
    assert load_recipe(path).steps


@pytest.mark.parametrize("change", ["keywords.limit", "limit=3", "keyword.limit=3", "=", "a.=1"])
def test_a_change_that_changes_nothing_is_refused(folder, change):
    with pytest.raises(RecipeError):
        load_recipe(folder / "recipe.toml", [change])


@pytest.mark.parametrize(
    ("changes", "idle"),
    [
        (["scores.sample-seed=3"], ["scores.sample-seed"]),
        (["scores.sample_seed=3", "scores.limit=5"], []),
        (["settings.sample_seed=3", "*.sample_seed=3"], ["*.sample_seed", "settings.sample_seed"]),
        (["*.dim=8"], []),
        (["settings.learning_rate=0.1"], ["settings.learning_rate"]),  # mf has its own
        (["counts.dim=8", "factors.dim=8", "counts.artifact=c"], ["counts.dim"]),
        (["scores.device=cpu", "scores.scorer=counts"], []),
        (["scores.limit=0", "scores.frozen_history=false"], []),
    ],
)
def test_changes_without_effect_are_found(folder, changes, idle):
    # Whatever the file itself has is not told.
    text = steps_of(
        ("data", "'ingest'; source = 'table'; interactions = 'ratings.csv'"),
        ("counts", "'encode'; encoder = 'bias'; epochs = 3"),
        ("factors", "'encode'; encoder = 'mf'; learning-rate = 0.01"),
        ("scores", "'score'; scorer = 'factors'; seen = true"),
    )
    (folder / "recipe.toml").write_text(text)
    steps = load_recipe(folder / "recipe.toml", changes).steps
    assert idle_changes(changes, steps) == idle


def test_a_change_to_steps_without_names_leaves_it_to_the_reader_to_refuse_them(folder):
    (folder / "recipe.toml").write_text('[[step]]\ncommand = "ingest"\n')
    with pytest.raises(RecipeError, match="has no steps"):
        load_recipe(folder / "recipe.toml", ["data.source=table"])


def test_a_change_of_an_unknown_setting_is_refused(folder):
    with pytest.raises((RecipeError, UnknownKeyError), match="limt"):
        load_recipe(folder / "recipe.toml", ["keywords.limt=3"])


def test_a_second_run_does_no_work(folder, context):
    recipe = load_recipe(folder / "recipe.toml")
    assert [s.state for s in plan_recipe(context, recipe)] == ["to run", "waits", "waits"]
    first = list(run_recipe(context, recipe))
    assert [done.outcome.hit for done in first] == [False, False, False]
    assert [done.outcome.artifact.reference for done in first] == [
        "dataset/table@1",
        "keywords/tfidf@1",
        "traces/twenty@1",
    ]
    assert [s.state for s in plan_recipe(context, recipe)] == ["cached"] * 3
    assert [done.outcome.hit for done in run_recipe(context, recipe)] == [True, True, True]


def test_a_changed_setting_redoes_its_step_and_what_follows_alone(folder, context):
    list(run_recipe(context, load_recipe(folder / "recipe.toml")))
    changed = load_recipe(folder / "recipe.toml", ["keywords.limit=2"])
    assert [s.state for s in plan_recipe(context, changed)] == ["cached", "to run", "waits"]
    assert [done.outcome.hit for done in run_recipe(context, changed)] == [True, False, False]


def test_what_a_forced_run_made_is_gone_on_with_when_force_is_left_out(folder, context):
    recipe = load_recipe(folder / "recipe.toml")
    old = [done.outcome.artifact for done in run_recipe(context, recipe)]
    forced = run_recipe(dataclasses.replace(context, force=True), recipe)
    remade = next(forced).outcome.artifact
    forced.close()
    done = [done.outcome for done in run_recipe(context, recipe)]
    assert (done[0].hit, done[0].artifact) == (True, remade)
    assert [outcome.hit for outcome in done[1:]] == [False, False]
    assert not {outcome.artifact.object_id for outcome in done} & {a.object_id for a in old}


def test_a_step_fails_with_its_name_and_the_next_run_continues_there(folder, context):
    broken = (folder / "ratings.csv").read_text()
    recipe = load_recipe(folder / "recipe.toml")
    (folder / "ratings.csv").write_text(broken.replace(",5,", ",five,", 1))
    with pytest.raises(BadValueError) as caught:
        list(run_recipe(context, recipe))
    assert caught.value.__notes__ == ["in step 'data' (ingest) of recipe small"]
    (folder / "ratings.csv").write_text(broken)
    assert len(list(run_recipe(context, recipe))) == 3


WAITING = (
    RECIPE
    + """
[step.factors]
command = "encode"
encoder = "mf"

[step.scores]
command = "score"
scorer = "factors"

[step.global]
command = "train-global"
"""
)


@pytest.mark.parametrize(
    ("change", "kind", "problem"),
    [
        ("scores.pairs=missing.csv", MissingFileError, "no file missing.csv"),
        ("global.base=no-such-model", ModelFolderError, "no language model 'no-such-model'"),
        ("global.traces=traces/nothing-there", ArtifactNotFound, "traces/nothing-there"),
    ],
)
def test_what_is_not_there_is_told_though_its_step_waits(folder, context, change, kind, problem):
    (folder / "recipe.toml").write_text(WAITING)
    recipe = load_recipe(folder / "recipe.toml", [change])
    with pytest.raises(kind, match=problem) as caught:
        plan_recipe(context, recipe)
    assert caught.value.__notes__[0].startswith(f"in step '{change.partition('.')[0]}'")
    assert plan_recipe(
        context, recipe, until=["keywords"]
    )  # what is not asked for is not looked at


def test_a_plan_downloads_no_base_model(folder, context, monkeypatch):
    from core.llm import identity

    def download(*asked):
        raise AssertionError(asked)

    monkeypatch.setattr(identity, "_hub_folder", download)
    (folder / "recipe.toml").write_text(WAITING)
    changes = ["global.base=owner/model", "global.keywords=none", "global.traces=none"]
    recipe = load_recipe(folder / "recipe.toml", changes)

    def planned():
        states = plan_recipe(context, recipe, until=["global"])
        return [(one.step.id, one.state, one.key is None) for one in states]

    assert planned() == [("data", "to run", False), ("global", "waits", True)]
    list(run_recipe(context, recipe, until=["data"]))
    assert planned() == [("data", "cached", False), ("global", "to run", True)]


def test_until_leaves_out_what_is_not_needed(folder, context):
    recipe = load_recipe(folder / "recipe.toml")
    done = list(run_recipe(context, recipe, until=["keywords"]))
    assert [one.step.id for one in done] == ["data", "keywords"]
    with pytest.raises(RecipeError, match="unknown step 'keyword'"):
        plan_recipe(context, recipe, until=["keyword"])


def test_only_needs_the_steps_before_to_be_done(folder, context):
    recipe = load_recipe(folder / "recipe.toml")
    with pytest.raises(RecipeError, match="step 'data' was not run yet"):
        list(run_recipe(context, recipe, only=["keywords"]))
    list(run_recipe(context, recipe, until=["data"]))
    done = list(run_recipe(context, recipe, only=["keywords"]))
    assert [one.step.id for one in done] == ["keywords"]


def test_only_names_its_result_as_the_whole_run_would(folder, context):
    recipe = load_recipe(folder / "recipe.toml")
    list(run_recipe(context, recipe, until=["data"]))
    context.store.name_object(context.store.resolve("dataset/table"), "alias")
    (done,) = run_recipe(context, recipe, only=["keywords"])
    (source,) = done.outcome.artifact.manifest.inputs["dataset"]
    assert context.store.resolve("dataset/table").object_id == source
    with pytest.raises(RecipeError, match="--only and --until"):
        plan_recipe(context, recipe, only=["keywords"], until=["data"])


def test_ids_and_dates_need_no_quotes_that_a_shell_would_take_away(folder):
    changes = ["data.since=2001-06-01", "data.user-column=4"]
    (data, *_) = load_recipe(folder / "recipe.toml", changes).steps
    assert (data.config.since, data.config.user_column) == ("2001-06-01", "4")
    quoted = load_recipe(folder / "recipe.toml", ['data.user_column="4"']).steps[0]
    assert quoted.config.user_column == "4"


def test_what_lies_in_the_store_does_not_leak_into_a_recipe(folder, context):
    recipe = read(
        RECIPE.replace("[step.keywords]", "[step.other]").replace(
            '[step.reasons]\ncommand = "synthesize"',
            '[step.reasons]\ncommand = "synthesize"\nkeywords = "none"',
        )
    )
    list(run_recipe(context, load_recipe(folder / "recipe.toml")))
    reasons = list(run_recipe(context, recipe))[-1].outcome.artifact
    assert reasons.manifest.inputs["keywords"] == []


@pytest.mark.parametrize("command", STAGE_COMMANDS)
def test_no_setting_or_input_of_a_stage_hides_a_key_of_a_step(command):
    import dataclasses

    stage = load_stage(command)
    settings = {field.name for field in dataclasses.fields(stage.config)}
    assert stage.command == command
    assert not settings & set(stage.inputs)
    assert not (settings | set(stage.inputs)) & {"command", "artifact", "after"}


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[3] / "recipes").rglob("*.toml")), ids=lambda p: p.stem
)
def test_every_recipe_of_the_project_is_sound(path):
    assert load_recipe(path).steps


TABLE = Path(__file__).parents[3] / "recipes" / "ml-1m"


@pytest.mark.parametrize("path", sorted(TABLE.rglob("*.toml")), ids=lambda p: p.stem)
def test_every_recipe_of_the_paper_s_table_can_be_planned(path, context, folder):
    (folder / "ratings.dat").write_text("1::1::5::1000000000\n")
    (folder / "movies.dat").write_text("1::Heat (1995)::Crime\n")
    (folder / "cities.csv").write_text("item,city\n7,Nashville\n")
    changes = [f"data.path={folder}"]
    if path.stem == "cross-domain":
        changes += ["yelp.interactions=ratings.csv", "yelp.items=cities.csv"]
    recipe = load_recipe(path, changes)
    states = plan_recipe(context, recipe)
    assert len(states) == len(recipe.steps)
    assert {s.step.id: s.state for s in states if not s.step.inputs}["data"] == "to run"
    waits = {s.step.id for s in states if s.state == "waits"}
    assert {"evaluation", "bias-scores", "bias-on-films-scores", "evaluation-films"} & waits


def test_recipes_of_one_table_share_their_steps():
    """A step of one name has one meaning in all of them, so that what one recipe computed serves the others."""
    meanings: dict[str, dict[str, list[str]]] = {}
    for path in sorted(TABLE.rglob("*.toml")):
        for step in load_recipe(path).steps:
            if step.stage.command == "eval":
                continue
            # The data set is what is left where nobody names one.
            inputs = {k: v for k, v in step.inputs.items() if k != "dataset" and v != ("none",)}
            meaning = repr((step.stage.command, step.config, sorted(inputs.items()), step.artifact))
            meanings.setdefault(step.id, {}).setdefault(meaning, []).append(path.stem)
    assert meanings["tallrec"]
    assert {name: found for name, found in meanings.items() if len(found) > 1} == {}


def test_the_quickstart_uses_every_command():
    recipe = load_recipe(Path(__file__).parents[3] / "recipes" / "quickstart.toml")
    assert {step.stage.command for step in recipe.steps} == set(STAGE_COMMANDS)
