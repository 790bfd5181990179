"""The page of an evaluation: every figure in full, however narrow the terminal is."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from tests.core.evaluation.reporting import Showroom
from thinkrec_cli.pages.evaluation import render_evaluation
from thinkrec_cli.pages.metrics import read_metrics

LONG = "thinkrec-without-reasons-limit-500"


@pytest.mark.parametrize("width", [60, 80, 100, 118, 200])
def test_figures_and_intervals_are_shown_in_full(tmp_path: Path, width: int) -> None:
    shop = Showroom(tmp_path / "store")
    shop.fused(LONG)
    evaluation = shop.evaluate(f"scores/{LONG}")
    target = Console(width=width, file=io.StringIO(), highlight=False)
    render_evaluation(target, evaluation)
    assert isinstance(target.file, io.StringIO)
    shown = target.file.getvalue()
    assert "…" not in shown
    assert max(len(line) for line in shown.splitlines()) <= width
    for figure in read_metrics(evaluation):
        if figure.slice == "all" and figure.scorer.endswith(f"{LONG}@1") and figure.metric == "auc":
            assert f"{figure.value:.4f}" in shown
            assert f"{figure.low:.3f}-" in shown
            assert f"{figure.high:.3f}" in shown
    folded = "".join(line.split(" ")[0] for line in shown.splitlines())
    assert f"model/{LONG}@1" in folded


@pytest.mark.parametrize("width", [60, 80, 200])
def test_many_cut_offs_go_into_several_tables(tmp_path: Path, width: int) -> None:
    shop = Showroom(tmp_path / "store")
    shop.scores("mf")
    cut_offs = (50, 1, 5, 10, 20, 100)
    target = Console(width=width, file=io.StringIO(), highlight=False)
    render_evaluation(target, shop.evaluate("scores/mf", k=cut_offs))
    assert isinstance(target.file, io.StringIO)
    lines = target.file.getvalue().splitlines()
    heads = [line.split()[1:] for line in lines if line.startswith("scorer ")]
    wanted = [f"{name}@{k}" for name in ("NDCG", "MAP") for k in sorted(cut_offs)]
    assert [word for head in heads for word in head] == ["AUC", "UAUC", *wanted, "log", "loss"]
    assert (len(heads) == 1) == (width == 200)
    assert max(len(line) for line in lines) <= width
    for line in lines:
        if line.startswith("encoder/mf@1"):
            assert all(
                len(word.partition(".")[2]) == 4 for word in line.split()[1:] if "-" not in word
            )


def test_frozen_histories_are_told_under_the_table(tmp_path: Path) -> None:
    shop = Showroom(tmp_path / "store")
    shop.scores("mf", frozen_history=True)
    shop.scores("sasrec")
    for scores, is_told in (("scores/mf", True), ("scores/sasrec", False)):
        target = Console(width=100, file=io.StringIO(), highlight=False)
        render_evaluation(target, shop.evaluate(scores))
        assert isinstance(target.file, io.StringIO)
        assert ("histories are frozen before" in target.file.getvalue()) == is_told
