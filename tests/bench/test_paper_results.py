"""The page of results: what it compares with what, and what it leaves out."""

import statistics
from pathlib import Path
from typing import Any

import pytest

from artifacts.store import Artifact
from bench.paper_results import main, page
from tests.core.evaluation.reporting import Showroom


@pytest.fixture
def shop(tmp_path: Path) -> Showroom:
    return Showroom(tmp_path / "store")


def lines_of(shop: Showroom, evaluation: Artifact) -> list[str]:
    return list(page(shop.store, [("Table", evaluation)]))


def rows_of(lines: list[str], head: str) -> dict[str, dict[str, str]]:
    """Return a table of the page, found by how its head begins: first cell -> column -> cell."""
    start = next(place for place, line in enumerate(lines) if line.startswith(head))
    table = []
    for line in lines[start:]:
        if not line:
            break
        table.append([cell.strip() for cell in line.strip("|").split("|")])
    columns, _, *rows = table
    return {row[0]: dict(zip(columns, row, strict=True)) for row in rows}


def counts_called(shop: Showroom, name: str) -> None:
    """Publish scores of a counts encoder that has a name of its own."""
    like = shop.encoder("bias")
    inputs = {"dataset": [shop.dataset_artifact.object_id]}

    def write(folder: Path) -> None:
        for path in like.folder.iterdir():
            if path.name != "manifest.json":
                (folder / path.name).write_bytes(path.read_bytes())

    parameters: dict[str, Any] = {"encoder": "bias", "again": name}
    key = shop.store.key(kind="encoder", parameters=parameters, inputs=inputs, resources={})
    with shop.store.publish(
        kind="encoder", name=name, key=key, parameters=parameters, inputs=inputs, resources={}
    ) as draft:
        write(draft.folder)
    assert draft.artifact is not None
    shop.scores_of(draft.artifact)


def test_counts_are_known_by_what_they_are_not_by_their_name(shop: Showroom) -> None:
    counts_called(shop, "yelp-counts")
    shop.scores("mf")
    lines = lines_of(shop, shop.evaluate("scores/mf", "scores/yelp-counts"))
    assert any("minus that of encoder/yelp-counts@1" in line for line in lines)
    rows = rows_of(lines, "| scorer | AUC")
    assert rows["encoder/mf@1"]["minus"]
    assert not rows["encoder/yelp-counts@1"]["minus"]


def test_papers_column_needs_the_papers_data(shop: Showroom) -> None:
    shop.scores("sasrec")
    lines = lines_of(shop, shop.evaluate("scores/sasrec"))
    assert "paper" not in rows_of(lines, "| scorer | AUC")["encoder/sasrec@1"]
    shop.as_papers("ml-1m")
    shop.scores("sasrec")
    shop.fused("thinkrec", style="evidence")
    lines = lines_of(shop, shop.evaluate("scores/sasrec", "scores/thinkrec"))
    rows = rows_of(lines, "| scorer | AUC")
    assert rows["encoder/sasrec@2"]["paper"] == "0.6956 / 0.6687 / 0.7663 / 0.4747 (SASRec)"
    assert rows["model/thinkrec@1"]["paper"] == (
        "0.7764 / 0.6775 / 0.7747 / 0.4774 (ThinkRec; ours is told counts (style evidence); ours has no projector)"
    )


def test_a_study_is_compared_with_what_it_names(shop: Showroom) -> None:
    shop.scores("mf")
    shop.scores("lightgcn", noise=3.0)
    lines = lines_of(shop, shop.evaluate("scores/lightgcn", against="scores/mf"))
    assert any("minus that of encoder/mf@1" in line for line in lines)
    rows = rows_of(lines, "| scorer | AUC")
    assert rows["encoder/mf@1"]["share"] == "100.0% / 100.0%"
    assert rows["encoder/lightgcn@1"]["share"] != rows["encoder/mf@1"]["share"]


def test_scorers_are_called_as_the_evaluation_called_them(shop: Showroom) -> None:
    shop.as_papers("ml-1m")
    shop.scores("sasrec")
    shop.scores("mf", noise=3.0)
    found = shop.evaluate("scores/mf", "scores/sasrec", against="scores/sasrec")
    before = rows_of(lines_of(shop, found), "| scorer | AUC")
    row = before["encoder/mf@1"]
    assert row["minus"]
    assert row["paper"]
    assert row["share"] != "- / -"
    for name in ("mf", "sasrec"):
        shop.store.name_object(shop.store.resolve(f"encoder/{name}"), f"{name}-again")
        shop.store.name_object(shop.store.resolve(f"scores/{name}"), f"{name}-again")
    assert rows_of(lines_of(shop, found), "| scorer | AUC") == before


def test_scores_that_cannot_be_found_again_are_told(shop: Showroom, tmp_path: Path) -> None:
    shop.store.name_object(shop.scores("mf"), "again")
    found = shop.evaluate("scores/mf")
    (shop.store.root / "refs/scores/mf/00000001.json").unlink()
    words = ["--store", str(shop.store.root), "--markdown", str(tmp_path / "page.md")]
    with pytest.raises(SystemExit, match="by scores/mf@1, which the store has no longer"):
        main([*words, f"All={found.reference}"])


def test_what_differs_in_seeds_alone_is_told_with_its_spread(shop: Showroom) -> None:
    shop.scores("mf", seed=0, noise=0.5)
    shop.scores("mf", seed=1, noise=3.0)
    shop.scores("sasrec")
    lines = lines_of(shop, shop.evaluate("scores/mf@1", "scores/mf@2", "scores/sasrec"))
    figures = [
        float(row["AUC"].split()[0])
        for scorer, row in rows_of(lines, "| scorer | AUC").items()
        if scorer.startswith("encoder/mf@")
    ]
    (row,) = rows_of(lines, "| scorer | seeds").values()
    assert "Minus: AUC and UAUC minus those of the one bias." in lines
    assert (row["scorer"], row["seeds"]) == ("encoder/mf", "2")
    mean, plus, sd, span = row["AUC"].replace(",", "").split()
    assert plus == "±"
    assert float(mean) == pytest.approx(statistics.fmean(figures), abs=1e-4)
    assert float(sd) == pytest.approx(statistics.stdev(figures), abs=1e-4)
    assert span == f"{min(figures):.3f}-{max(figures):.3f}"
    alone = lines_of(shop, shop.evaluate("scores/mf@1", "scores/sasrec"))
    assert not any(line.startswith("Over seeds") for line in alone)


def test_trainings_are_told_as_they_went(shop: Showroom) -> None:
    shop.fused("off", experts=3)
    dropped: dict[str, Any] = {
        "kept": False,
        "steps": 12,
        "best_step": None,
        "tokens_per_second": None,
    }
    dropped |= {"valid_auc": 0.71, "valid_auc_without": 0.72, "gain_standard_error": 0.003}
    shop.fused("dropped", projector=dropped)
    lines = lines_of(shop, shop.evaluate("scores/off", "scores/dropped"))
    rows = rows_of(lines, "| artifact |")
    assert rows["model/off@1"]["what else"].endswith("; no projector")
    thrown_away = rows["model/dropped@1"]
    assert thrown_away["valid AUC"] == "0.7200"  # of what stays
    assert (
        "projector thrown away: valid AUC 0.7100 with it, 0.7200 without"
        in thrown_away["what else"]
    )
    assert rows["experts/off-experts@1"]["what else"] == "3 experts, 1 of them taken over"
    assert rows["experts/off-experts@1"]["steps, best"] == "12, 12; 12, -"
    assert "3 groups" in rows["groups/off-groups@1"]["what else"]
    assert "Cohen's d 1.2500" in rows["groups/off-groups@1"]["what else"]
    by_group = rows_of(lines, "| scorer | group=0")
    assert set(by_group) >= {"model/off@1", "model/dropped@1"}


def test_without_draws_there_are_no_intervals(shop: Showroom) -> None:
    shop.scores("mf")
    lines = lines_of(shop, shop.evaluate("scores/mf", bootstrap_samples=0))
    assert not any("Intervals" in line for line in lines)
    row = rows_of(lines, "| scorer | AUC")["encoder/mf@1"]
    assert float(row["AUC"]) > 0.5
    assert float(row["minus"]) != 0


def test_reasons_and_commands_are_listed_after_what_they_were_made_from(shop: Showroom) -> None:
    shop.scores("mf")
    shop.explanation()
    lines = lines_of(shop, shop.evaluate("scores/mf", "explanation/one"))
    (row,) = rows_of(lines, "| scorer | meteor").values()
    assert row["rows"] == "1"
    assert row["bleurt"] == "-"
    commands = [line for line in lines if line.startswith("thinkrec ")]
    words = [line.split()[1] for line in commands]
    assert words.index("encode") < words.index("score") < words.index("eval")


def test_the_page_is_a_file_with_its_notes(shop: Showroom, tmp_path: Path) -> None:
    shop.scores("mf")
    found = shop.evaluate("scores/mf")
    notes, target = tmp_path / "notes.md", tmp_path / "page.md"
    notes.write_text("Read with care.\n")
    words = ["--store", str(shop.store.root), "--markdown", str(target), "--notes", str(notes)]
    main([*words, f"All=of it={found.reference}"])
    text = target.read_text()
    assert text.startswith("# The paper's table on MovieLens-1M\n\nRead with care.\n\n- command: ")
    assert "## All=of it" in text
    assert "- data: dataset/small@1, 420 / 60 / 120 rows of train / valid / test\n" in text


@pytest.mark.parametrize("word", ["Table=evaluation/none", "Table=scores/mf"])
def test_what_is_no_evaluation_is_refused(shop: Showroom, tmp_path: Path, word: str) -> None:
    shop.scores("mf")
    words = ["--store", str(shop.store.root), "--markdown", str(tmp_path / "page.md")]
    with pytest.raises(SystemExit) as told:
        main([*words, word])
    assert "\n" in str(told.value)
    assert not (tmp_path / "page.md").exists()
