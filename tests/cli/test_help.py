"""Every command explains itself, and does so without loading what it does not need."""

import dataclasses
import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from core.stages.commands import STAGE_COMMANDS, load_stage
from core.stages.recipe import load_recipe
from core.version import commit_of
from tests.cli.conftest import check_command, commands_of
from thinkrec_cli.app import app, load_command
from thinkrec_cli.commands import COMMANDS
from thinkrec_cli.commands.run import EXAMPLES as RUN_EXAMPLES

ROOT = Path(__file__).parents[2]
HEAVY = {"torch", "duckdb", "numpy", "pyarrow", "sklearn", "transformers", "peft", "matplotlib"}


def flat(text: str) -> str:
    """Return the words of a page without its frames."""
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", text).split())


def help_of(*arguments: str) -> str:
    result = CliRunner().invoke(
        app, [*arguments, "--help"], env={"COLUMNS": "300", "NO_COLOR": "1", "TERM": "dumb"}
    )
    assert result.exit_code == 0, result.output
    return flat(result.stdout)


def test_the_program_lists_every_command_with_its_line():
    page = help_of()
    for name, line in COMMANDS.items():
        assert f"{name} {line.text}" in page


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_lists_all_its_options_with_help(name):
    page = help_of(name)
    assert f"Usage: thinkrec {name}" in page
    assert COMMANDS[name].text in page
    parameters = load_command(name).params
    assert len(parameters) >= 4
    for parameter in parameters:
        assert parameter.help, f"{name}: {parameter.name} has no help"
        for spelling in parameter.opts if parameter.param_type_name == "option" else []:
            assert spelling in page, f"{name}: {spelling} is not on the page"


@pytest.mark.parametrize("name", STAGE_COMMANDS)
def test_every_setting_and_every_input_of_a_stage_is_a_parameter(name):
    stage = load_stage(name)
    names = {parameter.name for parameter in load_command(name).params}
    assert {f"set_{field.name}" for field in dataclasses.fields(stage.config)} <= names
    assert {f"input_{name}" for name in stage.inputs} <= names
    assert {"common_store", "common_json", "run_name", "run_force", "run_config"} <= names


@pytest.mark.parametrize("name", COMMANDS)
def test_no_two_parameters_of_a_command_share_a_spelling(name):
    parameters = [p for p in load_command(name).params if p.param_type_name == "option"]
    spellings = [s for p in parameters for s in [*p.opts, *p.secondary_opts]]
    assert sorted(spellings) == sorted(set(spellings))


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_of_a_command_are_commands(name):
    module = importlib.import_module(f"thinkrec_cli.commands.{name.replace('-', '_')}")
    assert module.EXAMPLES
    for example in module.EXAMPLES:
        commands = commands_of(example)
        assert name in [words[1] for words in commands]
        assert len(commands) == 1 + example.count("| thinkrec ")
        for words in commands:
            check_command(words)


def test_what_recipes_suggest_are_commands():
    lines = {line for path in (ROOT / "recipes").rglob("*.toml") for line in load_recipe(path).next}
    assert len(lines) >= 8
    for line in lines:
        (words,) = commands_of(line)
        check_command(words)


@pytest.mark.parametrize("line", ["thinkrec score --usr 42", "thinkrec score --top ten"])
def test_an_example_that_is_no_command_would_be_noticed(line):
    (words,) = commands_of(line)
    with pytest.raises(typer.TyperException):
        check_command(words)


@pytest.mark.parametrize("example", RUN_EXAMPLES)
def test_examples_of_run_can_be_planned(tmp_path, example):
    words = ["--store", str(tmp_path), *shlex.split(example)[1:], "--dry-run"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "to run" in result.stdout


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_loads_nothing_heavy(arguments):
    script = (
        "import sys\n"
        f"sys.argv = ['thinkrec', *{arguments!r}]\n"
        "from thinkrec_cli.app import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        f"print('HEAVY', sorted({HEAVY!r} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout.strip().endswith("HEAVY []"), done.stdout[-300:] + done.stderr


def test_what_goes_into_a_file_needs_no_rich(tmp_path):
    words = ["thinkrec", "--store", str(tmp_path / "store"), "list"]
    script = (
        f"import sys; sys.argv = {words!r}\n"
        "from thinkrec_cli.app import main\n"
        "try:\n    main()\nexcept SystemExit:\n    print(sorted({'rich'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout == "[]\n", done.stdout + done.stderr
    assert "no artifacts in" in done.stderr


def test_a_mistyped_command_gets_a_suggestion():
    result = CliRunner().invoke(app, ["trian-global"])
    assert result.exit_code == 2
    assert "train-global" in result.stderr


def test_the_version_is_printed():
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    number = r"\d+\.\d+\.\d+(\.dev\d+)?(\+g[0-9a-f]{7})?"
    assert re.fullmatch(rf"thinkrec {number}\n", result.stdout)


def test_a_checkout_knows_its_commit_however_git_keeps_it(tmp_path):
    # In a hook these name the repository at work, and win over -C: the test would commit there.
    outside = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}

    def git(*words, folder=tmp_path / "tree"):
        settings = ("-c", "user.name=n", "-c", "user.email=e@x", "-c", "commit.gpgsign=false")
        command = ["git", "-C", str(folder), *settings, *words]
        return subprocess.run(
            command, env=outside, check=True, capture_output=True, text=True
        ).stdout.strip()

    (tmp_path / "tree").mkdir()
    git("init", "-q", "-b", "main")
    assert commit_of(tmp_path / "tree") is None  # nothing is committed
    git("commit", "-q", "--allow-empty", "-m", "one")
    commit = git("rev-parse", "HEAD")
    assert commit_of(tmp_path / "tree") == commit
    git("pack-refs", "--all")
    assert commit_of(tmp_path / "tree") == commit
    git("worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    git("commit", "-q", "--allow-empty", "-m", "two", folder=tmp_path / "side")
    assert commit_of(tmp_path / "side") == git("rev-parse", "side") != commit
    git("checkout", "-q", "--detach")
    assert commit_of(tmp_path / "tree") == commit
    assert commit_of(tmp_path) is None
