"""The report of an evaluation: its numbers are those of the table, and nothing in it comes alive."""

import argparse
import dataclasses
import re
import shlex
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from artifacts.errors import CorruptArtifact
from artifacts.store import Artifact
from core.config.ingest import IngestConfig
from core.data.tables import read_rows
from core.errors import ConfigError
from core.evaluation.report import svg
from core.evaluation.report.numbers import name_of, span
from core.evaluation.report.render import _code, _code_in_cell, escape_markdown
from core.evaluation.report.training import POINTS, thinned
from core.stages.eval_report import copy_report
from core.stages.lineage import command_line
from tests.core.evaluation.reporting import HOSTILE, HOSTILE_USER, Page, Showroom


@pytest.fixture
def shop(tmp_path: Path) -> Showroom:
    return Showroom(tmp_path / "store")


@pytest.fixture
def evaluation(shop: Showroom) -> Artifact:
    """Of a fused model and two encoders, one of them the counts, with a hostile example."""
    model = shop.fused()
    shop.scores("bias", noise=2.0)
    shop.scores("mf")
    shop.explained(model, title=HOSTILE)
    return shop.evaluate("scores/bias", "scores/mf", "scores/thinkrec", "explanation/one")


def html_of(artifact: Artifact) -> str:
    return artifact.file("report.html").read_text(encoding="utf-8")


def markdown_of(artifact: Artifact) -> str:
    return artifact.file("report.md").read_text(encoding="utf-8")


def shown(value: float | None, *, signed: bool = False) -> str:
    if value is None:
        return "–"
    return (f"{value:+.4f}" if signed else f"{value:.4f}").replace("-", "−")


def test_every_number_of_the_main_table_is_the_metrics_tables(evaluation: Artifact) -> None:
    rows = read_rows(evaluation.file("metrics.parquet"))
    wanted = {(r["scorer"], name_of(r["metric"])): r for r in rows if r["slice"] == "all"}
    head, *body = Page(html_of(evaluation)).tables["overall"]
    metrics = [cell.parts["head"] for cell in head][1:]
    found = 0
    for scorer, *cells in body:
        for metric, cell in zip(metrics, cells, strict=True):
            line = wanted[scorer.parts["value"], metric]
            assert cell.number == line["value"]
            assert cell.parts["value"] == shown(line["value"])
            assert cell.parts.get("note", "") == span(line["low"], line["high"])
            assert scorer.parts["note"] == (
                line["scores"] or "baseline, computed by this evaluation"
            )
            found += 1
    scorers = {s for s, metric in wanted if metric == "AUC"}
    assert found == len(scorers) * len(metrics) == len(scorers) * 8


def gaps_of(evaluation: Artifact) -> dict[tuple[str, str, str], dict[str, Any]]:
    rows = read_rows(evaluation.file("comparisons.parquet"))
    return {(r["scorer"], r["other"], name_of(r["metric"])): r for r in rows if r["slice"] == "all"}


def check_difference(cell: Any, gap: dict[str, Any]) -> None:
    assert cell.number == gap["difference"]
    assert cell.parts["value"] == shown(gap["difference"], signed=True)
    drawn = gap["p"] is not None  # of the calibration error there are none
    told = span(gap["low"], gap["high"], signed=True) + f"p {gap['p']:.3f}" if drawn else ""
    assert cell.parts.get("note", "") == told


def test_every_difference_is_the_comparisons_tables(evaluation: Artifact) -> None:
    gaps = gaps_of(evaluation)
    page = Page(html_of(evaluation))
    head, *body = page.tables["differences"]
    assert len(body) == 4  # constant, recent, mf and thinkrec; bias is what is subtracted
    for scorer, *cells in body:
        for column, cell in zip(head[1:], cells, strict=True):
            key = (scorer.parts["value"], "encoder/bias@1", column.parts["head"])
            check_difference(cell, gaps[key])
    for table, metric in (("pairs-auc", "AUC"), ("pairs-uauc", "UAUC")):
        head, *body = page.tables[table]
        assert len(body) == len(head) - 1 == 4  # without the constant
        for scorer, *cells in body:
            for column, cell in zip(head[1:], cells, strict=True):
                one, other = scorer.parts["value"], column.parts["head"]
                if one == other:
                    assert cell.number is None
                else:
                    check_difference(cell, gaps[one, other, metric])


def test_the_best_of_several_seeds_is_their_mean(shop: Showroom) -> None:
    shop.scores("mf", seed=0, noise=0.5)
    shop.scores("mf", seed=1, noise=2.0)
    shop.scores("sasrec", noise=4.0)
    evaluation = shop.evaluate("scores/mf@1", "scores/mf@2", "scores/sasrec")
    rows = read_rows(evaluation.file("over_seeds.parquet"))
    (auc,) = [r for r in rows if (r["metric"], r["slice"]) == ("auc", "all")]
    told = f"Best AUC: encoder/mf with {auc['mean']:.4f} (± {auc['sd']:.4f}, mean of 2 seeds)."
    assert told in Page(html_of(evaluation)).text
    assert told in markdown_of(evaluation)


def test_what_differences_over_seeds_are_between_is_said(shop: Showroom) -> None:
    shop.scores("mf", seed=0)
    shop.scores("mf", seed=1, noise=2.0)
    shop.scores("sasrec", seed=0)
    shop.scores("sasrec", seed=1, noise=2.0)
    told = "each of two scorers with the same seed"
    one = shop.evaluate("scores/mf@1", "scores/mf@2")
    assert "of the differences, each minus the one bias." in Page(html_of(one)).text
    assert told not in Page(html_of(one)).text
    given = ("scores/mf@1", "scores/mf@2", "scores/sasrec@1", "scores/sasrec@2")
    both = shop.evaluate(*given, against="scores/mf@1")
    assert f"of the differences, {told}." in Page(html_of(both)).text


def test_what_recent_likes_explain_depends_on_the_histories(shop: Showroom) -> None:
    shop.scores("mf")
    rolling = "Such scores tend to a UAUC below 0.5"
    frozen = "that is one value for all rows of a user, and its UAUC is 0.5"
    text = Page(html_of(shop.evaluate("scores/mf"))).text
    assert rolling in text
    assert frozen not in text
    assert "frozen before each user's first row" not in text
    shop.scores("mf", frozen_history=True)
    text = Page(html_of(shop.evaluate("scores/mf@2"))).text
    assert rolling not in text
    assert frozen in text
    assert "frozen before each user's first row" in text


def test_users_that_metrics_leave_out_for_other_reasons_are_told_apart(shop: Showroom) -> None:
    data, test = shop.dataset, shop.dataset.rows("test")
    rows, several = [], 0
    for user in np.unique(data.user[test]):
        own = test[data.user[test] == user]
        _, first = np.unique(data.label[own], return_index=True)
        both = len(first) == 2 and several < 3
        rows += own[first if both else first[:1]].tolist()  # of three users a like and a dislike
        several += both
    left = len(np.unique(data.user[test])) - 3
    shop.scores("mf", rows=np.sort(rows))
    text = Page(html_of(shop.evaluate("scores/mf"))).text
    told = f"3 users count, {left} are left out"
    assert f"UAUC: {told} (they have one label only)." in text
    assert f"NDCG@5, MAP@5, HR@5: {told} (they have one row only)." in text


def test_scores_to_compare_with_take_the_place_of_the_counts(shop: Showroom) -> None:
    shop.scores("bias", noise=2.0)
    shop.scores("mf", noise=0.1)
    found = shop.evaluate("scores/bias", "scores/mf", against="scores/mf")
    page = Page(html_of(found))
    gaps = gaps_of(found)
    head, *body = page.tables["differences"]
    assert [row[0].parts["value"] for row in body] == ["constant", "recent", "encoder/bias@1"]
    for scorer, *cells in body:
        for column, cell in zip(head[1:], cells, strict=True):
            key = (scorer.parts["value"], "encoder/mf@1", column.parts["head"])
            check_difference(cell, gaps[key])
    assert "Minus encoder/mf@1" in page.text
    assert "encoder/mf@1 is above the honest counts (encoder/bias@1) in AUC" in page.text
    assert "No scorer is above encoder/mf@1 in AUC" in page.text


def test_without_draws_nothing_is_said_of_chance(shop: Showroom) -> None:
    shop.scores("mf")
    page = Page(html_of(shop.evaluate("scores/mf", bootstrap_samples=0)))
    assert "No intervals were drawn" in page.text
    assert "by more than chance" not in page.text


def test_a_projector_that_was_not_kept_has_no_kept_step(shop: Showroom) -> None:
    shop.fused("kept", projector={"kept": True})
    shop.fused(
        "gone", projector={"kept": False, "valid_auc_gain": 0.001, "gain_standard_error": 0.02}
    )
    for name, kept in (("kept", True), ("gone", False)):
        training = html_of(shop.evaluate(f"scores/{name}")).partition(f"Training of model/{name}")[
            2
        ]
        assert ("projector at 12: 0.7123 (kept)" in training) == kept
        assert ("The projector was not kept: valid AUC gained 0.0010" in training) != kept


@pytest.mark.parametrize("metric", ["auc", "uauc"])
def test_every_number_of_the_slices_is_the_metrics_tables(
    evaluation: Artifact, metric: str
) -> None:
    rows = read_rows(evaluation.file("metrics.parquet"))
    wanted = {(r["scorer"], r["slice"]): r for r in rows if r["metric"] == metric}
    head, *body = Page(html_of(evaluation)).tables[f"slices-{metric}"]
    scorers = [cell.parts["head"] for cell in head][3:]
    names = {name.replace("=", " "): name for _, name in wanted}
    assert {row[0].parts["value"] for row in body} == set(names)
    for name, count, users, *cells in body:
        for scorer, cell in zip(scorers, cells, strict=True):
            line = wanted[scorer, names[name.parts["value"]]]
            assert cell.number == line["value"]
            assert cell.parts["value"] == shown(line["value"])
            assert count.parts["value"] == f"{line['rows']:,}"
            assert users.parts["value"] == f"{line['users']:,}"


def test_markdown_has_the_same_figures(evaluation: Artifact) -> None:
    text = markdown_of(evaluation)
    page = Page(html_of(evaluation))
    for table in (
        "overall",
        "differences",
        "pairs-auc",
        "slices-auc",
        "slices-uauc",
        "reason-metrics",
    ):
        for row in page.tables[table][1:]:
            values = [cell.parts["value"] for cell in row if cell.number is not None]
            pattern = r"[^\n]*".join(re.escape(value) for value in values)
            assert re.search(pattern, text), values


def test_marks_stand_where_the_interval_of_the_difference_leaves_out_zero(
    evaluation: Artifact,
) -> None:
    gaps = gaps_of(evaluation)
    head, *body = Page(html_of(evaluation)).tables["overall"]
    marks = set()
    for scorer, *cells in body:
        for column, cell in zip(head[1:], cells, strict=True):
            metric = column.parts["head"]
            gap = gaps.get((scorer.parts["value"], "encoder/bias@1", metric))
            mark = cell.parts.get("mark", "")
            if (
                gap is None
                or gap["p"] is None
                or gap["low"] <= 0 <= gap["high"]
                or gap["p"] >= 0.05
            ):
                assert mark == ""
            else:
                less_is_better = metric in ("log loss", "Brier")
                assert mark == ("▲" if (gap["low"] > 0) != less_is_better else "▼")
            marks.add(mark)
    assert marks == {"", "▲", "▼"}


def test_hostile_titles_are_text_in_html(evaluation: Artifact) -> None:
    page = Page(html_of(evaluation))
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "iframe", "object", "embed", "link", "form", "b"}
    assert HOSTILE in page.text
    assert HOSTILE_USER in page.text
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]


def test_the_page_loads_nothing_from_elsewhere(evaluation: Artifact) -> None:
    html = html_of(evaluation)
    page = Page(html)
    loading = {"src", "href", "xlink:href", "srcset", "data", "action", "poster", "background"}
    for tag, attributes in page.tags:
        for name in loading & attributes.keys():
            assert attributes[name].startswith(("#", "data:image/svg+xml;base64,")), (
                tag,
                attributes,
            )
    assert "@import" not in html
    assert "url(" not in html
    policy = [a["content"] for tag, a in page.tags if tag == "meta" and "http-equiv" in a]
    assert policy[0].startswith("default-src 'none'")


def test_links_inside_the_page_have_targets(evaluation: Artifact) -> None:
    page = Page(html_of(evaluation))
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    links = {a["href"].removeprefix("#") for tag, a in page.tags if tag == "a"}
    assert links
    assert links <= set(ids)
    parts = {"comparison", "calibration", "slices", "reasons", "examples", "groups", "training"}
    assert links == parts | {"origins"}


def test_hostile_titles_are_text_in_markdown(evaluation: Artifact) -> None:
    text = markdown_of(evaluation)
    assert not re.search(r"(?<!\\)<(?!br>)", re.sub(r"`[^`\n]*`", "", text))
    row = next(line for line in text.splitlines() if line.startswith("| \\<script"))
    assert len(re.findall(r"(?<!\\)\|", row)) == 4
    assert not re.search(r"(?<!\\)\[", re.sub(r"`[^`\n]*`", "", text))


def test_explanations_that_nobody_named_are_passed_over_where_they_are_damaged(
    shop: Showroom,
) -> None:
    model = shop.fused(traces=False)
    shop.explained(model, title="A Film That Is Whole")
    orphan = {
        "scorer": [model.object_id],
        "traces": [shop.traces().object_id],
        "dataset": [shop.dataset_artifact.object_id],
    }
    two = shop.explained(model, title="Film Two", name="two", item="i8")

    def write(folder: Path) -> None:
        for name in ("explanation.json", "explanations.parquet", "influences.parquet"):
            (folder / name).write_bytes(two.file(name).read_bytes())

    shop.publish("explanation", "orphan", orphan, write)
    (shop.store.root / "refs/traces/grounded/00000001.json").unlink()
    path = two.file("explanation.json")
    path.chmod(0o644)
    size = path.stat().st_size
    for seed, damage in enumerate((b"{", b"{" * size)):
        path.write_bytes(damage)
        page = html_of(shop.evaluate("scores/thinkrec", seed=seed))
        assert "A Film That Is Whole" in page
        assert "Film Two" not in page
        with pytest.raises(
            CorruptArtifact, match=r"explanation/two@1: explanation\.json is damaged"
        ):
            shop.evaluate("scores/thinkrec", "explanation/two")


def test_escaped_markdown_keeps_the_text_on_one_line() -> None:
    assert escape_markdown("a\nb | *c*\u202e <d>") == r"a b \| \*c\*  \<d\>"


def test_code_keeps_what_would_end_it() -> None:
    assert _code("--delimiter '|'") == "`--delimiter '|'`"
    assert _code_in_cell("--delimiter '|'") == r"`--delimiter '\|'`"
    assert _code("a ``b`") == "``` a ``b` ```"
    assert _code(" ") == ""


def test_a_narrow_interval_has_the_digits_of_its_value() -> None:
    assert span(0.00481, 0.00483) == "0.0048 to 0.0048"
    assert span(0.61, 0.72) == "0.610 to 0.720"


def test_addresses_in_titles_become_no_links_in_markdown() -> None:
    told = escape_markdown("see https://a.example/b or WWW.c.example, not: this")
    assert told == r"see https\://a.example/b or WWW\.c.example, not: this"


@pytest.mark.parametrize("value", [0.5, 0.7])
def test_numbers_that_differ_in_the_last_bit_have_an_axis(value: float) -> None:
    marks = svg.ticks(value, np.nextafter(value, 1))
    assert marks[0] < value < marks[-1]
    assert len(set(marks)) == len(marks)


def test_long_names_keep_their_end() -> None:
    assert svg.shortened("encoder/mf@1", 32) == "encoder/mf@1"
    short = {svg.shortened(f"scores/global-evidence-test-limit-500@{n}", 32) for n in (1, 12)}
    assert len(short) == 2
    assert all(len(name) == 32 for name in short)


def test_explanations_of_different_rows_are_said_to_be(shop: Showroom) -> None:
    model = shop.fused()
    shop.explained(model)
    shop.explained(model, name="again")
    note = "The explanations are of different rows"
    alike = shop.evaluate("scores/thinkrec", "explanation/one", "explanation/again")
    assert note not in Page(html_of(alike)).text
    shop.explained(model, name="other", item="i8")
    found = shop.evaluate("scores/thinkrec", "explanation/one", "explanation/other")
    assert note in Page(html_of(found)).text


def test_what_is_named_twice_is_measured_once(shop: Showroom) -> None:
    shop.scores("mf")
    found = shop.evaluate("scores/mf", "scores/mf")
    assert found.summary["scores"] == ["scores/mf@1"]
    assert {r["scorer"] for r in read_rows(found.file("metrics.parquet"))} >= {"encoder/mf@1"}


def test_each_artifact_of_the_lineage_is_listed_with_its_key_and_command(
    shop: Showroom, evaluation: Artifact
) -> None:
    listed = {
        row[0].parts["value"]: row for row in Page(html_of(evaluation)).tables["artifacts"][1:]
    }
    names = {"dataset/small@1", "encoder/sasrec@1", "groups/thinkrec-groups@1"}
    names |= {"adapter/thinkrec-global@1", "experts/thinkrec-experts@1", "model/thinkrec@1"}
    names |= {"scores/bias@1", "scores/mf@1", "scores/thinkrec@1", "explanation/one@1"}
    names |= {"encoder/bias@1", "encoder/mf@1", "traces/grounded@1"}
    assert set(listed) == names
    for reference, row in listed.items():
        assert row[0].parts["note"] == shop.store.resolve(reference).key[:12]
    command = listed["groups/thinkrec-groups@1"][1].parts["value"]
    assert command == "thinkrec cluster --encoder encoder/sasrec@1"


def test_examples_come_from_what_is_given_and_else_from_the_store(shop: Showroom) -> None:
    model = shop.fused()
    shop.explained(model, title="Film of the store", name="kept")
    other = shop.encoder("mf")
    shop.explained(other, title="Film of another scorer", name="other")
    found = shop.evaluate("scores/thinkrec")
    assert found.summary["examples"] == ["explanation/kept@1"]
    text = Page(html_of(found)).text
    assert "Film of the store" in text
    assert "Film of another scorer" not in text
    assert shop.evaluate("scores/thinkrec", examples=0).summary["examples"] == []


def test_influence_is_not_promised_where_none_was_measured(shop: Showroom) -> None:
    model = shop.fused()
    shop.explained(model)
    moved = "how far each item of the history moved the score"
    text = markdown_of(shop.evaluate("scores/thinkrec", "explanation/one"))
    assert moved in text
    assert "| the user | moved the score by |\n|---|---|---:|\n" in text
    assert "| Film 7 | liked it | +0.250 |\n| Film 2 | did not like it | −0.500 |\n" in text
    other = shop.fused("other")
    shop.explained(other, name="sample", influence=False)
    found = shop.evaluate("scores/other", "explanation/sample")
    text = markdown_of(found)
    assert "moved the score" not in text + html_of(found)
    assert "| history, oldest first | the user |\n|---|---|\n" in text
    assert "| Film 7 | liked it |\n| Film 2 | did not like it |\n" in text


def test_how_to_read_a_drawing_is_said_where_it_is_shown(evaluation: Artifact) -> None:
    told = f"Where there are more than {POINTS} steps, each faint point is the mean of neighbours."
    assert told in Page(html_of(evaluation)).text
    assert "faint" not in markdown_of(evaluation)


def test_models_of_different_numbers_of_experts_are_a_study(shop: Showroom) -> None:
    shop.fused("thinkrec-3", experts=3)
    adapter = shop.store.resolve("adapter/thinkrec-3-global")
    shop.fused("thinkrec-2", experts=2, adapter=adapter)
    found = shop.evaluate("scores/thinkrec-3", "scores/thinkrec-2")
    rows = Page(html_of(found)).tables["experts"][1:]
    assert [row[1].parts["value"] for row in rows] == ["2", "3"]
    assert {row[3].number for row in rows} == {1.25}
    html = html_of(found)
    for metric in ("AUC", "UAUC"):
        assert f'aria-label="{metric} over experts: grouped by sasrec, kmeans from ' in html


def test_models_of_other_adapters_are_no_study_of_experts(shop: Showroom) -> None:
    """The full method beside its ablation: experts differ, and so does everything else."""
    shop.fused("thinkrec", experts=2)
    shop.fused("without-think", experts=3)
    html = html_of(shop.evaluate("scores/thinkrec", "scores/without-think"))
    assert "experts" not in Page(html).tables
    assert "over experts" not in html


def test_the_report_is_copied_where_it_is_wanted(evaluation: Artifact, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "report"
    copies = copy_report(evaluation, target)
    assert [copy.name for copy in copies] == ["report.html", "report.md"]
    assert copies[0].read_bytes() == evaluation.file("report.html").read_bytes()
    assert copy_report(evaluation, target) == copies
    with pytest.raises(ConfigError, match="is a file"):
        copy_report(evaluation, copies[0])


def test_the_same_evaluation_gives_the_same_report(shop: Showroom) -> None:
    shop.fused()
    first = shop.evaluate("scores/thinkrec")
    shop.context.force = True
    second = shop.evaluate("scores/thinkrec")
    assert second.version == first.version + 1
    assert html_of(first) == html_of(second)


def test_a_command_names_what_is_not_the_default() -> None:
    parameters = {"encoder": "mf", "patience": 6, "seed": 3}
    assert command_line("encoder", parameters, {"dataset": ["dataset/my-data@1"]}) == (
        "thinkrec encode --encoder mf --seed 3 --dataset dataset/my-data@1"
    )
    given = {"scores": ["scores/a@1", "scores/b@2"], "explanations": []}
    assert command_line("evaluation", {"slices": False, "k": 5}, given) == (
        "thinkrec eval --no-slices --scores scores/a@1 --scores scores/b@2"
    )
    # Typed without "none", the command would take the latest keywords and traces of the store.
    given = {"dataset": ["dataset/my-data@1"], "keywords": [], "traces": [], "prior": []}
    assert command_line("explanation", {"user": "4", "item": "2"}, {}) == (
        "thinkrec explain --user 4 --item 2 --no-grounded"  # from before it could be set
    )
    assert "grounded" not in command_line("explanation", {"grounded": True}, {})
    assert "frozen" not in command_line("scores", {}, {})
    assert command_line("adapter", {"rank": 8}, given) == (
        "thinkrec train-global --dataset dataset/my-data@1 --keywords none --traces none"
    )
    assert command_line("dataset", {"source": "ml-1m", "threshold": 4.0}, {}) == (
        "thinkrec ingest ml-1m --threshold 4.0"
    )


@pytest.mark.parametrize(
    ("source", "given"),
    [
        ("ml-1m", {}),
        ("ml-1m", {"train_fraction": 0.7}),
        ("ml-1m", {"split_by": "user-time", "unrated_items": False}),
        ("ml-1m", {"valid_from": "2002-05-01", "test_from": "2002-10-01"}),
        ("yelp", {"train_fraction": 0.6, "min_user_rows": 5}),
        ("amazon", {}),
        ("table", {"threshold": 4.0, "valid_from": "2002-05-01", "test_from": "2002-10-01"}),
    ],
)
def test_the_command_of_a_data_set_makes_the_same_data_set(
    source: Literal["ml-1m", "yelp", "amazon", "table"], given: dict[str, Any]
) -> None:
    where = {"interactions": "FILE"} if source == "table" else {"path": "FOLDER"}
    made = IngestConfig(source=source, **where, **given).parameters()
    words = shlex.split(command_line("dataset", made, {}, ["file:interactions"]))
    parser = argparse.ArgumentParser()
    parser.add_argument("source")
    for field in dataclasses.fields(IngestConfig):
        if field.name == "unrated_items":
            parser.add_argument("--unrated-items", action=argparse.BooleanOptionalAction)
        elif field.name != "source":
            kind = {"float": float, "int": int}.get(str(field.type).partition(" ")[0], str)
            parser.add_argument(f"--{field.name.replace('_', '-')}", type=kind)
    typed = {k: v for k, v in vars(parser.parse_args(words[2:])).items() if v is not None}
    assert IngestConfig(**typed).parameters() == made


def test_ticks_are_round_and_enclose_the_values() -> None:
    assert svg.ticks(0.51, 0.83) == [0.5, 0.6, 0.7, 0.8, 0.9]
    assert svg.ticks(0, 55) == [0, 20, 40, 60]
    alone = svg.ticks(0.7, 0.7)
    assert alone[0] < 0.7 < alone[-1]


def test_a_long_curve_is_thinned_to_means() -> None:
    points = [(float(n), 2.0 * n) for n in range(1000)]
    short = thinned(points)
    assert len(short) <= POINTS
    assert short[0] == (4.0, 8.0)
    assert thinned(points[:5]) == points[:5]


@pytest.mark.parametrize(
    ("source", "resources", "files"),
    [
        ("table", ["file:interactions", "file:items"], " --interactions FILE --items FILE"),
        ("table", ["file:interactions"], " --interactions FILE"),
        ("ml-1m", ["file:interactions", "file:items"], " --path FOLDER"),
        ("ml-100k", ["resource:ml-100k"], ""),
    ],
)
def test_the_command_of_a_data_set_says_where_files_belong(
    source: str, resources: list[str], files: str
) -> None:
    command = command_line("dataset", {"source": source}, {}, resources)
    assert command == f"thinkrec ingest {source}{files}"
