"""`thinkrec eval --report DIR`."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.core.evaluation.reporting import Showroom
from thinkrec_cli.app import app


@pytest.fixture
def shop(tmp_path: Path) -> Showroom:
    shop = Showroom(tmp_path / "store")
    shop.scores("mf")
    return shop


def _eval(shop: Showroom, *words: str):  # type: ignore[no-untyped-def]
    command = ["eval", "--store", str(shop.store.root), "--bootstrap-samples", "40", "scores/mf"]
    return CliRunner().invoke(app, [*command, *words])


def test_the_report_goes_where_it_is_told_also_when_all_was_done_before(
    shop: Showroom, tmp_path: Path
) -> None:
    for folder in (tmp_path / "first", tmp_path / "second"):
        result = _eval(shop, "--report", str(folder))
        assert result.exit_code == 0, result.stderr
        assert result.stdout.splitlines()[-1] == "evaluation/mf@1"
        assert f"report: {folder / 'report.html'}" in result.stderr.replace("\n", "")
        text = (folder / "report.html").read_text(encoding="utf-8")
        assert text.startswith("<!doctype html>")
        assert "encoder/mf@1" in (folder / "report.md").read_text(encoding="utf-8")


def test_a_file_in_the_place_of_the_folder_is_told(shop: Showroom, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    result = _eval(shop, "--report", str(taken))
    assert result.exit_code != 0
    assert "is a file" in result.stderr
    assert taken.read_text() == "mine"
