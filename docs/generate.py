"""Write docs/artifacts.md and docs/commands.md from the code that they describe.

    python docs/generate.py            writes both pages
    python docs/generate.py --check    fails if a page is not what the code says

Kinds and columns come from core/stages/kinds.py (its comments are their explanations), tables from
artifacts/tables.py, options from the commands themselves, exit codes from the error classes.
"""

import ast
import inspect
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import artifacts.errors  # noqa: E402
import artifacts.tables  # noqa: E402
import core.errors  # noqa: E402
from artifacts.kinds import Payload  # noqa: E402
from core.config.base import literal_choices  # noqa: E402
from core.stages import kinds  # noqa: E402
from core.stages.commands import STAGE_COMMANDS, load_stage  # noqa: E402
from thinkrec_cli import boundary  # noqa: E402
from thinkrec_cli.app import load_command  # noqa: E402
from thinkrec_cli.commands import COMMANDS  # noqa: E402

NOTE = "<!-- Made by docs/generate.py from the code; change the code, then run it again. -->"


@dataclass
class Notes:
    """What the comments in kinds.py say of one payload file."""

    payload: list[str] = field(default_factory=list)
    columns: dict[str, str] = field(default_factory=dict)


def pages() -> dict[str, str]:
    """Return the generated pages: name of the file in docs/ -> its text."""
    return {
        "artifacts.md": "\n".join(_artifacts_page()) + "\n",
        "commands.md": "\n".join(_commands_page()) + "\n",
    }


def exit_codes() -> list[tuple[int, str, str]]:
    """Return (code, name, meaning) of every way in which a command can end, in order of the codes."""
    found = [
        (0, "", "Done; or nothing had to be done, because it was done before."),
        (1, "", "A bug in thinkrec; the traceback says where."),
        (2, "", "The command line cannot be read: an unknown command or option, a missing value."),
        (boundary.EXIT_INTERRUPTED, "", "Ctrl-C; the same command continues where it stopped."),
        (boundary.EXIT_BROKEN_PIPE, "", "The reader of the pipe went away."),
        (boundary.EXIT_TERMINATED, "", "SIGTERM; the same command continues where it stopped."),
    ]
    for module in (artifacts.errors, core.errors):
        for name, error in inspect.getmembers(module, inspect.isclass):
            if name == "ThinkRecError" or error.__module__ != module.__name__:
                continue
            found.append((error.exit_code, name, " ".join(str(error.__doc__).split())))
    return sorted(found)


# -- artifacts.md ------------------------------------------------------------------------------------


def _artifacts_page() -> Iterator[str]:
    yield from ("# Artifacts", "", NOTE, "")
    yield (
        "Every command of the pipeline makes one artifact of one kind. An artifact is a folder of "
        "payload files and a `manifest.json`; nothing in it ever changes. This page lists the kinds, "
        "their files, and the tables and views that `thinkrec sql` and `catalog.duckdb` show."
    )
    yield from ("", "| kind | made by | inputs | what it holds |", "|---|---|---|---|")
    stages = {load_stage(command).kind: load_stage(command) for command in STAGE_COMMANDS}
    for name in kinds.KINDS.names():
        stage = stages[name]
        inputs = ", ".join(
            input_name + ("" if wanted.required else "?")
            for input_name, wanted in stage.inputs.items()
        )
        about = kinds.KINDS[name].about
        yield f"| [{name}](#{name}) | `{stage.command}` | {inputs or '-'} | {about} |"
    yield from ("", "A question mark marks an input that may be left out with `none`.", "")
    yield from _tables_section()
    notes = kind_notes()
    for name in kinds.KINDS.names():
        kind = kinds.KINDS[name]
        yield from (f"## {name}", "", f"{kind.about[0].upper()}{kind.about[1:]}.")
        yield from (f"Schema version {kind.schema_version}.", "")
        for payload in kind.payloads:
            yield from _payload(payload, notes.get((name, payload.path), Notes()))


def _tables_section() -> Iterator[str]:
    docstring = inspect.cleandoc(str(artifacts.tables.__doc__))
    listing = docstring[docstring.index("Tables (") : docstring.index("The views are")].strip()
    yield from ("## Tables and views", "", "```text", *listing.splitlines(), "```", "")
    yield (
        "A payload table with a view gives two: `NAME` with the latest version of every artifact name, "
        "and `NAME_all` with every version. Both begin with the columns `artifact` (the reference), "
        "`name` and `version`. Two more views join them:"
    )
    yield ""
    for name, select in kinds.VIEWS.items():
        yield from (f"- `{name}`:", "", "  ```text", f"  {select}", "  ```", "")
    yield "The manifest of an artifact holds:"
    yield ""
    from artifacts.manifest import Manifest

    for manifest_field in Manifest.__dataclass_fields__:
        yield f"- `{manifest_field}`"
    yield ""


def _payload(payload: Payload, notes: Notes) -> Iterator[str]:
    view = f", view `{payload.view}`" if payload.view else ""
    missing = "" if payload.required else ", not always there"
    yield from (f"### `{payload.path}`", "", f"{payload.format}{view}{missing}.", "")
    if notes.payload:
        text = "; ".join(notes.payload)
        yield from (f"{text[0].upper()}{text[1:]}.", "")
    if payload.columns:
        yield from ("| column | type | |", "|---|---|---|")
        for column, kind in payload.columns.items():
            yield f"| {column} | {kind} | {notes.columns.get(column, '')} |"
        yield ""


def kind_notes() -> dict[tuple[str, str], Notes]:
    """Return the comments of kinds.py: (kind, path of the payload) -> notes."""
    source = Path(kinds.__file__).read_text(encoding="utf-8")
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    tree = ast.parse(source)
    shared = {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Dict)
    }
    found = {}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "Kind"
        ):
            given = {k.arg: k.value for k in node.keywords}
            kind_name = ast.literal_eval(given["name"])
            for call in ast.walk(given["payloads"]):
                if isinstance(call, ast.Call):
                    path, notes = _payload_notes(call, comments, shared)
                    found[kind_name, path] = notes
    return found


def _payload_notes(
    call: ast.Call, comments: dict[int, str], shared: dict[str, ast.Dict]
) -> tuple[str, Notes]:
    given = {k.arg: k.value for k in call.keywords}
    columns = given.get("columns")
    if isinstance(columns, ast.Name):
        columns = shared[columns.id]
    lines: dict[int, str] = {}
    if isinstance(columns, ast.Dict):
        lines = {key.lineno: ast.literal_eval(key) for key in columns.keys if key is not None}
    assert call.end_lineno is not None
    own = range(call.lineno, call.end_lineno + 1)
    return ast.literal_eval(given["path"]), Notes(
        payload=[comments[line] for line in own if line in comments and line not in lines],
        columns={name: comments[line] for line, name in lines.items() if line in comments},
    )


# -- commands.md -------------------------------------------------------------------------------------


def _commands_page() -> Iterator[str]:
    yield from ("# Commands", "", NOTE, "")
    yield "All commands, their options and defaults, as `thinkrec COMMAND --help` shows them."
    yield from ("", "| command | |", "|---|---|")
    for name, line in COMMANDS.items():
        yield f"| [{name}](#{name}) | {line.text} |"
    yield ""
    yield (
        "Every command takes `--store DIR` (or the environment variable `THINKREC_STORE`; the default "
        "is `.thinkrec` in the working folder), `--json`, `--quiet` and `--verbose`. Every command that "
        "makes an artifact takes `--name`, `--force` and `--config FILE`, too. "
        "[Exit codes](#exit-codes) stand at the end."
    )
    yield ""
    for name in COMMANDS:
        yield from _command(name)
    yield from ("## Exit codes", "", "| code | error | meaning |", "|---|---|---|")
    for code, name, meaning in exit_codes():
        yield f"| {code} | {name} | {meaning} |"


def _command(name: str) -> Iterator[str]:
    command = load_command(name)
    help_text, examples = str(command.help), str(command.epilog)
    yield from (f"## {name}", "", help_text.strip(), "")
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    usage = "".join(
        f" {p.metavar if str(p.metavar).startswith('[') or p.required else f'[{p.metavar}]'}"
        for p in arguments
    )
    yield from ("```text", f"thinkrec {name} [OPTIONS]{usage}", "```", "")
    for panel, options in _panels(command).items():
        yield from (f"{panel}:", "", "| option | values | default | |", "|---|---|---|---|")
        yield from (_option_row(option) for option in options)
        yield ""
    yield from ("Examples:", "", "```text")
    yield from (
        line.replace(r"\[", "[") for line in examples.splitlines() if line and line != "Examples:"
    )
    yield from ("```", "")


def _panels(command: Any) -> dict[str, list[Any]]:
    """Return title -> options; what every command has is left out."""
    panels: dict[str, list[Any]] = {}
    for parameter in command.params:
        name = parameter.name or ""
        if name.startswith(("common_", "run_")) or "--help" in parameter.opts:
            continue
        title = "Options" if parameter.param_type_name == "option" else "Arguments"
        panels.setdefault(getattr(parameter, "rich_help_panel", None) or title, []).append(
            parameter
        )
    return panels


def _option_row(parameter: Any) -> str:
    spelled = " ".join(f"`{s}`" for s in [*parameter.opts, *parameter.secondary_opts])
    if parameter.param_type_name == "argument":
        spelled = f"`{parameter.metavar}`"
    values = "" if _is_flag(parameter) else _values(parameter)
    text = re.sub(r"\s+", " ", str(parameter.help).replace(r"\[", "[")).replace("|", r"\|")
    return f"| {spelled} | {values} | {_shown(parameter)} | {text} |"


def _values(parameter: Any) -> str:
    annotation = parameter.type_descriptor.annotation
    if choices := literal_choices(annotation):
        return " ".join(f"`{choice}`" for choice in choices)
    if parameter.param_type_name == "argument":
        return ""
    annotation = next(iter(get_args(annotation)), annotation)  # of a list, what its entries are
    plain = {int: "whole number", float: "number", str: "text", Path: "path"}
    return f"`{parameter.metavar}`" if parameter.metavar else plain.get(annotation, "text")


def _is_flag(parameter: Any) -> bool:
    return parameter.type_descriptor.annotation is bool


def _shown(parameter: Any) -> str:
    default = parameter.default
    if callable(default):
        default = default()
    if default in (None, "") or parameter.required:
        return ""
    if _is_flag(parameter):
        yes, no = parameter.opts[0], next(iter(parameter.secondary_opts), "")
        shown = yes if default else no
        return f"`{shown}`" if shown else "off"
    if isinstance(default, (list, tuple)):
        return " ".join(f"`{value}`" for value in default)
    return f"`{getattr(default, 'value', default)}`"


def main(arguments: list[str]) -> int:
    """Write the pages, or with --check say which are out of date."""
    stale = []
    for name, text in pages().items():
        path = ROOT / "docs" / name
        if arguments == ["--check"]:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                stale.append(name)
        else:
            path.write_text(text, encoding="utf-8")
    if stale:
        sys.stderr.write(f"out of date: {', '.join(stale)}; run: python docs/generate.py\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
