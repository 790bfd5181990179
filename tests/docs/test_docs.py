"""Every command is documented, generated pages are current, and what README and guide show runs."""

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.stages.recipe import load_recipe
from docs.generate import ROOT, exit_codes, pages
from tests.cli.conftest import check_command, commands_of
from tests.core.llm.tiny import tiny_folder  # noqa: F401
from tests.docs.sample import write_sample
from thinkrec_cli.app import load_command
from thinkrec_cli.commands import COMMANDS

GUIDE, README = ROOT / "docs" / "guide.md", ROOT / "README.md"
_FENCE = re.compile(
    r"(?:<!-- not run by tests: (?P<why>[^\n]+?) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    code: str
    skipped: str | None
    """Why it is not run, as the marker before it says."""


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            page=page.name,
            line=text.count("\n", 0, match.start("language")) + 1,
            language=match["language"],
            code=match["code"],
            skipped=match["why"],
        )
        for match in _FENCE.finditer(text)
    ]


def runnable(page: Path) -> list[Block]:
    shown = [block for block in blocks_of(page) if block.language in ("sh", "python")]
    return [block for block in shown if block.skipped is None]


@pytest.mark.parametrize("name", sorted(pages()))
def test_generated_pages_are_what_the_code_says(name):
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == pages()[name], (
        "run: python docs/generate.py"
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_in_the_reference_with_its_help(name):
    page = pages()["commands.md"]
    section = page.split(f"\n## {name}\n")[1].split("\n## ")[0]
    assert COMMANDS[name].text in section
    for parameter in load_command(name).params:
        if parameter.name.startswith(("set_", "input_")) and parameter.param_type_name == "option":
            row = next(line for line in section.splitlines() if f"| `{parameter.opts[0]}`" in line)
            assert len(row.split(" | ")[-1].strip(" |").split()) >= 2, f"{row} says nothing"


def test_the_sample_of_the_guide_is_what_its_commands_are_run_on(tmp_path):
    write_sample(tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    shown = [block.code for block in blocks_of(GUIDE) if block.language == "csv"]
    assert names == sorted(path.name for path in (ROOT / "docs" / "sample").iterdir())
    for name in names:
        text = (tmp_path / name).read_text()
        assert (ROOT / "docs" / "sample" / name).read_text() == text
        assert any(text.startswith(code) for code in shown), f"{name} is not shown"


def test_every_command_is_in_the_guide():
    shown = "\n".join(block.code for block in blocks_of(GUIDE) if block.language == "sh")
    assert {name for name in COMMANDS if f"thinkrec {name}" not in shown} == set()


def test_readme_covers_every_exit_code():
    table = README.read_text(encoding="utf-8").split("## Exit codes")[1].split("\n## ")[0]
    covered: set[int] = set()
    for first, last in re.findall(r"^\| (\d+)(?: to (\d+))? \|", table, re.MULTILINE):
        covered |= set(range(int(first), int(last or first) + 1))
    assert {code for code, _, _ in exit_codes()} <= covered


def test_links_between_pages_lead_somewhere():
    for page in [README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = page.read_text(encoding="utf-8")
        for target, place in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", text):
            if target.startswith("http"):
                continue
            led_to = page.parent / target if target else page
            assert led_to.exists(), f"{page.name}: {target}"
            assert not place or place in anchors(led_to), f"{page.name}: {target}#{place}"


def anchors(page: Path) -> set[str]:
    """Return what the headings of a page are called in links."""
    text = re.sub(
        r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", re.sub(r"\]\([^)]*\)", "]", one)) for one in headings)
    return {one.lower().replace(" ", "-") for one in plain}


def test_what_is_shown_runs(tiny_folder, tmp_path):  # noqa: F811
    """All blocks of the guide, then of the README, in one folder: each finds what those before it made."""
    write_sample(tmp_path)
    guide, readme = runnable(GUIDE), runnable(README)
    assert len(guide) >= 24
    assert len(readme) >= 5
    script = ["set -euo pipefail"]
    for number, block in enumerate([*guide, *readme]):
        script.append(f"echo '>>> {block.page}, line {block.line}' | tee -a ran >&2")
        if block.language == "python":
            (tmp_path / f"block{number}.py").write_text(block.code)
            script.append(f"python block{number}.py")
        else:
            script.append(block.code)
    status, said = _run_in_bash("\n".join(script), tmp_path, _environment(tiny_folder))
    assert status == 0, f"exit code {status} in {said.rpartition('>>> ')[2]}"
    assert len((tmp_path / "ran").read_text().splitlines()) == len(guide) + len(readme)
    assert "this is a bug in thinkrec" not in said


def test_blocks_that_are_not_run_say_why():
    skipped = [b for page in (GUIDE, README) for b in blocks_of(page) if b.skipped is not None]
    assert skipped
    assert all(len(block.skipped.split()) >= 2 for block in skipped)


def test_commands_that_are_shown_and_not_run_are_commands():
    shown = []
    for page in (README, *sorted((ROOT / "docs").glob("*.md"))):
        for block in blocks_of(page):
            if block.language == "sh" and (block.skipped or page not in (GUIDE, README)):
                shown += commands_of(block.code)
    assert len(shown) >= 12
    for words in shown:
        parameters = check_command(words)
        if words[1] == "run":
            assert load_recipe(parameters["recipe"], parameters["changes"] or ()).steps


def _run_in_bash(script: str, folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Run a script; return its exit code and what it said. Whatever it started is killed with it."""
    process = subprocess.Popen(
        ["bash", "-c", script],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            _, said = process.communicate(timeout=600)
        finally:
            with suppress(ProcessLookupError):  # all of it has ended
                os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, said


def _environment(base: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "THINKREC_STORE")}
    scripts = str(Path(sys.executable).parent)
    return {
        **kept,
        "PATH": f"{scripts}{os.pathsep}{kept.get('PATH', '')}",
        "PYTHONPATH": str(ROOT),
        "BASE": str(base),
        "NO_COLOR": "1",
        "OMP_NUM_THREADS": "1",
        "THINKREC_CACHE": str(base.parent / "cache"),  # nothing that was fetched may be needed
    }
