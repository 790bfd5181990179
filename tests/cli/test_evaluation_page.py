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


def test_frozen_histories_are_told_under_the_table(tmp_path: Path) -> None:
    shop = Showroom(tmp_path / "store")
    shop.scores("mf", frozen_history=True)
    shop.scores("sasrec")
    for scores, is_told in (("scores/mf", True), ("scores/sasrec", False)):
        target = Console(width=100, file=io.StringIO(), highlight=False)
        render_evaluation(target, shop.evaluate(scores))
        assert isinstance(target.file, io.StringIO)
        assert ("histories are frozen before" in target.file.getvalue()) == is_told
