"""A recipe with several seeds: what a seed changes is done with each, and the evaluation tells how far it matters."""

import io
import statistics
import tomllib
from pathlib import Path

import pytest
from rich.console import Console

from artifacts.store import Store
from core.data.tables import read_rows
from core.errors import ConfigError, RecipeError
from core.stages.base import Context, run_stage
from core.stages.eval import STAGE as EVAL
from core.stages.kinds import KINDS
from core.stages.recipe import Recipe, read_recipe
from core.stages.recipe_run import plan_recipe, run_recipe
from core.stages.replicas import _shared_name, over_seeds, replicas
from core.stages.seeds import with_seeds
from tests.cli.conftest import write_ratings
from tests.core.evaluation.reporting import Page
from thinkrec_cli.pages.evaluation import render_evaluation
from thinkrec_cli.pages.metrics import nested

RECIPE = """
name = "small"

[settings]
seed = 7

[step.data]
command = "ingest"
source = "table"
interactions = "ratings.csv"
items = "movies.csv"

[step.bias]
command = "encode"
encoder = "bias"

[step.mf]
command = "encode"
encoder = "mf"
dim = 4
epochs = 2

[step.groups]
command = "cluster"
encoder = "mf"
k = 2

[step.bias-scores]
command = "score"
scorer = "bias"

[step.mf-scores]
command = "score"
scorer = "mf"
after = "groups"

[step.evaluation]
command = "eval"
scores = ["bias-scores", "mf-scores"]
against = "mf-scores"
bootstrap_samples = 40
"""
SEEDS = (1, 2, 4)
WITHOUT_SEED = RECIPE[: RECIPE.index("[step.mf]")]
OWN_SEED = "[step.mf]\ncommand = 'encode'\nencoder = 'mf'\nseed = 3\n"
EVALUATION = "[step.e]\ncommand = 'eval'\n"


def recipe(text: str = RECIPE) -> Recipe:
    return read_recipe(tomllib.loads(text), where="recipe.toml")


@pytest.fixture
def context(tmp_path: Path, monkeypatch) -> Context:
    """A real store, in a folder with ratings."""
    write_ratings(tmp_path)
    monkeypatch.chdir(tmp_path)
    return Context(store=Store.open(tmp_path / "store", KINDS, "test"))


def test_steps_that_a_seed_changes_stand_once_per_seed_with_what_they_need():
    found = {step.id: step for step in with_seeds(recipe(), SEEDS).steps}
    several = [f"{name}.seed-{seed}" for name in ("mf", "groups", "mf-scores") for seed in SEEDS]
    assert set(found) == {"data", "bias", "bias-scores", "evaluation", *several}
    assert [found[f"mf.seed-{seed}"].config.seed for seed in SEEDS] == [1, 2, 4]
    assert found["groups.seed-2"].inputs["encoder"] == ("mf.seed-2",)
    assert found["mf-scores.seed-4"].inputs["scorer"] == ("mf.seed-4",)
    assert found["mf-scores.seed-4"].after == ("groups.seed-4",)
    assert found["mf.seed-4"].artifact == recipe().steps[2].artifact
    evaluation = found["evaluation"]
    assert evaluation.inputs["scores"] == ("bias-scores", *several[-3:])
    assert evaluation.inputs["against"] == ("mf-scores.seed-1",)
    assert evaluation.config.seed == 7  # draws of users, the same for all


def test_one_seed_takes_the_place_of_the_recipes_own():
    changed = with_seeds(recipe(), [5])
    assert [step.id for step in changed.steps] == [step.id for step in recipe().steps]
    seeds = {step.id: step.config.seed for step in changed.steps if hasattr(step.config, "seed")}
    assert seeds["mf"] == seeds["groups"] == 5


@pytest.mark.parametrize(
    ("text", "seeds", "kind", "problem"),
    [
        (RECIPE, [1, 2, 1], RecipeError, "seed 1 is given twice"),
        (WITHOUT_SEED, [1, 2], RecipeError, "no step depends on a seed"),
        (WITHOUT_SEED, [1], RecipeError, "no step depends on a seed"),
        # An evaluation keeps the recipe's.
        (f"{WITHOUT_SEED}[step.s]\ncommand = 'score'\n{EVALUATION}", [1], RecipeError, "no step"),
        (f"{WITHOUT_SEED}{OWN_SEED}", [1], RecipeError, "--seed changes no step: mf set their own"),
        (RECIPE, [1, -2], ConfigError, "seed = -2 is below 0"),
    ],
)
def test_seeds_that_cannot_be_used_are_refused(text, seeds, kind, problem):
    with pytest.raises(kind, match=problem):
        with_seeds(recipe(text), seeds)


def test_an_evaluation_tells_how_far_figures_depend_on_the_seed(context):
    done = list(run_recipe(context, with_seeds(recipe(), SEEDS)))
    evaluation = done[-1].outcome.artifact
    members = ["encoder/mf@1", "encoder/mf@2", "encoder/mf@3"]
    lines = read_rows(evaluation.file("metrics.parquet"))
    rows = read_rows(evaluation.file("over_seeds.parquet"))
    assert {(row["scorer"], *row["scorers"]) for row in rows} == {("encoder/mf", *members)}
    varies = 0
    for row in rows:
        place = ("split", "slice", "metric")
        values = [
            line["value"]
            for line in lines
            if line["scorer"] in members and all(line[p] == row[p] for p in place)
        ]
        assert row["mean"] == pytest.approx(statistics.fmean(values))
        assert row["sd"] == pytest.approx(statistics.stdev(values))
        assert (row["least"], row["most"]) == (min(values), max(values))
        varies += row["sd"] > 0
    assert varies
    overall = {row["metric"]: row for row in rows if row["slice"] == "all"}
    assert {"auc", "uauc", "log_loss"} <= set(overall)

    told = nested(evaluation)
    assert told["encoder/mf@2"]["over_seeds"]["auc"]["mean"] == overall["auc"]["mean"]
    assert told["encoder/mf@2"]["scorers"] == members
    assert "over_seeds" not in told["encoder/bias@1"]
    page = Page(evaluation.file("report.html").read_text(encoding="utf-8"))
    head, (scorer, *cells) = page.tables["over-seeds"]
    assert scorer.parts["value"] == "encoder/mf"
    column = [cell.parts["head"] for cell in head].index("AUC")
    assert cells[column - 1].number == overall["auc"]["mean"]
    target = Console(width=60, file=io.StringIO(), highlight=False)
    render_evaluation(target, evaluation)
    assert isinstance(target.file, io.StringIO)
    shown = target.file.getvalue()
    assert "encoder/mf x 3" in shown
    assert f"{overall['auc']['mean']:.4f}" in shown
    assert f"±{overall['auc']['sd']:.4f}" in shown
    context.store.export_catalog()
    _, found = context.store.query(
        "select mean from over_seeds where metric = 'auc' and slice = 'all'"
    )
    assert found == [(overall["auc"]["mean"],)]


def test_a_run_with_more_seeds_goes_on_from_one_with_fewer(context):
    list(run_recipe(context, with_seeds(recipe(), [7]), until=["mf-scores"]))
    several = with_seeds(recipe(), [7, 8])
    states = {state.step.id: state.state for state in plan_recipe(context, several)}
    assert states["mf.seed-7"] == states["mf-scores.seed-7"] == "cached"
    assert states["mf.seed-8"] == "to run"
    done = list(run_recipe(context, several, until=["mf-scores"]))
    assert [one.step.id for one in done if not one.outcome.hit] == [
        "mf.seed-8",
        "groups.seed-8",
        "mf-scores.seed-8",
    ]


def test_an_id_of_the_file_means_all_its_copies_and_an_id_of_the_plan_one(context):
    several = with_seeds(recipe(), [7, 8])
    done = list(run_recipe(context, several, until=["mf"]))
    assert [one.step.id for one in done] == ["data", "mf.seed-7", "mf.seed-8"]
    done = list(run_recipe(context, several, only=["groups"]))
    assert [one.step.id for one in done] == ["groups.seed-7", "groups.seed-8"]
    done = list(run_recipe(context, several, only=["mf-scores.seed-8"]))
    assert [one.step.id for one in done] == ["mf-scores.seed-8"]
    with pytest.raises(RecipeError, match="unknown step 'mf-score'"):
        plan_recipe(context, several, until=["mf-score"])


def test_a_step_with_a_seed_of_its_own_keeps_it():
    text = RECIPE.replace("dim = 4", "dim = 4\nseed = 3")
    found = {step.id: step for step in with_seeds(recipe(text), SEEDS).steps}
    assert found["mf"].config.seed == 3
    assert found["groups.seed-4"].inputs["encoder"] == ("mf",)
    assert found["groups.seed-4"].config.seed == 4


def test_scorers_are_compared_seed_by_seed(context):
    text = RECIPE.replace(
        "[step.groups]",
        "[step.wide]\ncommand = 'encode'\nencoder = 'mf'\ndim = 8\nepochs = 2\nartifact = 'wide'\n\n[step.groups]",
    ).replace(
        "[step.evaluation]",
        "[step.wide-scores]\ncommand = 'score'\nscorer = 'wide'\n\n[step.evaluation]",
    )
    text = text.replace('scores = ["bias-scores", ', 'scores = ["wide-scores", "bias-scores", ')
    done = list(run_recipe(context, with_seeds(recipe(text), SEEDS)))
    evaluation = done[-1].outcome.artifact
    rows = read_rows(evaluation.file("over_seeds.parquet"))
    values = {
        line["scorer"]: line["value"]
        for line in read_rows(evaluation.file("metrics.parquet"))
        if (line["metric"], line["slice"]) == ("auc", "all")
    }
    found = {r["scorer"]: r for r in rows if (r["metric"], r["slice"]) == ("auc", "all")}
    assert found["encoder/mf"]["other"] is None  # what the others are compared with
    wide = found["encoder/wide"]
    gaps = [values[f"encoder/wide@{n}"] - values[f"encoder/mf@{n}"] for n in (1, 2, 3)]
    assert wide["other"] == "encoder/mf"
    assert wide["difference"] == pytest.approx(statistics.fmean(gaps))
    assert wide["difference_sd"] == pytest.approx(statistics.stdev(gaps))
    page = Page(evaluation.file("report.html").read_text(encoding="utf-8"))
    head, (scorer, *cells) = page.tables["over-seeds-minus"]
    assert scorer.parts["value"] == "encoder/wide"
    column = [cell.parts["head"] for cell in head].index("AUC")
    assert cells[column - 1].number == wide["difference"]
    # Against each other scorers are shown with their first seed; all pairs are in the catalog.
    shown = [scorer.parts["value"] for scorer, *_ in page.tables["pairs-auc"][1:]]
    assert sorted(shown) == ["encoder/bias@1", "encoder/mf@1", "encoder/wide@1", "recent"]


def test_seeds_that_do_not_match_are_not_subtracted(context):
    store = context.store
    scores = {}
    for name, seeds in (("mf", (1, 2)), ("wide", (1, 3))):
        text = RECIPE.replace("dim = 4", f"dim = {len(name)}\nartifact = '{name}'")
        several = with_seeds(recipe(text), seeds)
        for one in run_recipe(context, several, until=["mf-scores"]):
            if one.outcome.artifact.kind == "scores":
                scorer = store.by_object(one.outcome.artifact.manifest.inputs["scorer"][0])
                scores[scorer.reference] = one.outcome.artifact
    groups = replicas(store, scores)
    assert [group.called for group in groups] == ["encoder/mf", "encoder/wide"]
    assert groups[1].seeds == (frozenset({1}), frozenset({3}))
    lines = [
        {"scorer": name, "split": "test", "slice": part, "metric": "auc", "value": 0.5 + 0.1 * n}
        for n, name in enumerate(scores)
        for part in ("all", "group=0 by groups/mf-2@1")
    ]
    rows = list(over_seeds(groups, lines, "encoder/mf@1"))
    assert [(row["scorer"], row["slice"], row["other"]) for row in rows] == [
        ("encoder/mf", "all", None),
        ("encoder/wide", "all", None),
    ]
    (row,) = over_seeds(groups[1:], lines, "encoder/mf@1")  # one alone serves all seeds
    assert row["other"] == "encoder/mf@1"
    assert row["difference"] == pytest.approx(0.25)


def test_the_same_work_done_twice_is_one_seed(context):
    several = with_seeds(recipe(), [1, 2])
    list(run_recipe(context, several, until=["mf-scores"]))
    context.force = True
    list(run_recipe(context, several, only=["mf.seed-2"]))
    context.force = False
    list(run_recipe(context, several, until=["mf-scores"]))
    listed = [a.reference for a in context.store.artifacts("scores")]
    assert len(listed) == 3
    outcome = run_stage(context, EVAL, several.steps[-1].config, references={"scores": listed})
    rows = read_rows(outcome.artifact.file("over_seeds.parquet"))
    assert {len(row["scorers"]) for row in rows} == {2}


@pytest.mark.parametrize(
    ("names", "called"),
    [
        (["encoder/mf@1", "encoder/mf@2"], "encoder/mf"),
        (["adapter/seed-1@1", "adapter/seed-2@1"], "adapter/seed"),
        (["adapter/one@1", "adapter/two@1"], "adapter/one"),
    ],
)
def test_scorers_are_called_by_what_their_names_share(names, called):
    assert _shared_name(names) == called


def test_other_settings_are_no_other_seed(context):
    text = RECIPE.replace(
        "[step.groups]",
        "[step.wide]\ncommand = 'encode'\nencoder = 'mf'\ndim = 8\nepochs = 2\n\n[step.groups]",
    ).replace(
        "[step.evaluation]",
        "[step.wide-scores]\ncommand = 'score'\nscorer = 'wide'\n\n[step.evaluation]",
    )
    text = text.replace('scores = ["bias-scores", ', 'scores = ["wide-scores", ')
    done = list(run_recipe(context, with_seeds(recipe(text), [1, 2])))
    rows = read_rows(done[-1].outcome.artifact.file("over_seeds.parquet"))
    # Equal names are told apart by the version of the first.
    assert {(row["scorer"], *row["scorers"]) for row in rows} == {
        ("encoder/mf@3", "encoder/mf@3", "encoder/mf@4"),
        ("encoder/mf@1", "encoder/mf@1", "encoder/mf@2"),
    }


def test_an_evaluation_of_one_seed_has_no_such_table(context):
    *_, last = run_recipe(context, recipe())
    assert not (last.outcome.artifact.folder / "over_seeds.parquet").exists()
    assert "over-seeds" not in last.outcome.artifact.file("report.html").read_text()
