"""The report in a real browser: it runs nothing, asks for nothing and shows its numbers."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.core.evaluation.reporting import HOSTILE, Showroom

CHROMIUM = next(
    (
        found
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (found := shutil.which(name))
    ),
    "",
)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium on this machine")
def test_a_browser_shows_the_page_and_runs_nothing_of_it(tmp_path: Path) -> None:
    shop = Showroom(tmp_path / "store")
    model = shop.fused()
    title = HOSTILE + "<script>document.title = 'taken over'</script>"
    shop.explained(model, title=title)
    page = shop.evaluate("scores/thinkrec").file("report.html")
    picture = tmp_path / "page.png"
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    command = [CHROMIUM, *FLAGS, profile, "--window-size=1280,2000"]
    shown = subprocess.run(
        [*command, "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert "<title>Evaluation on dataset/small@1</title>" in shown.stdout
    assert "<script" not in shown.stdout.lower()
    assert shown.stdout.count("<svg") >= 8
    subprocess.run(
        [*command, f"--screenshot={picture}", page.as_uri()],
        capture_output=True,
        check=True,
        timeout=120,
    )
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert picture.stat().st_size > 50_000  # a blank page of this size takes less than a tenth
