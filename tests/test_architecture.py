"""Imports go one way: thinkrec_cli -> core.stages -> core subjects, and core.stages -> artifacts."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# What any package may use: errors, settings, progress and the version are words all layers share.
SHARED = ("core.errors", "core.config", "core.progress", "core.version")
TERMINAL = ("typer", "rich", "click")
HEAVY = ("torch", "duckdb", "numpy", "pyarrow", "sklearn", "transformers", "peft", "matplotlib")


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(path: Path, *, top_level_only: bool = False) -> set[str]:
    """Return the full names of all modules a file imports."""
    tree = ast.parse(path.read_text())
    found = set()
    for node in _top_level(tree) if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _top_level(tree: ast.Module) -> list[ast.stmt]:
    """Statements that run on import; `if TYPE_CHECKING:` does not."""
    found = []
    for node in tree.body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        found.append(node)
    return found


def below(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def subjects() -> list[Path]:
    return [path for path in modules("core") if "stages" not in path.relative_to(ROOT).parts]


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def test_the_packages_are_where_this_test_looks():
    assert min(len(modules(p)) for p in ("thinkrec_cli", "core", "artifacts")) > 5
    assert len(subjects()) > 20
    assert len(modules("core/stages")) > 10


@pytest.mark.parametrize("path", names(modules("artifacts")))
def test_the_store_knows_nothing_of_recommending(path):
    wrong = {n for n in imports(ROOT / path) if below(n, ("core", "thinkrec_cli", *TERMINAL))}
    assert not wrong


@pytest.mark.parametrize("path", names(subjects()))
def test_a_subject_knows_neither_stages_nor_the_terminal(path):
    forbidden = ("core.stages", "thinkrec_cli", *TERMINAL)
    # The text of an error of the store may be needed to tell it; the store itself is not.
    wrong = {n for n in imports(ROOT / path) if below(n, forbidden) or below(n, ("artifacts",))}
    assert not wrong


@pytest.mark.parametrize("path", names(modules("core/stages")))
def test_a_stage_knows_nothing_of_the_terminal(path):
    wrong = {n for n in imports(ROOT / path) if below(n, ("thinkrec_cli", *TERMINAL))}
    assert not wrong


@pytest.mark.parametrize("path", names(modules("thinkrec_cli")))
def test_the_terminal_reaches_subjects_only_through_stages(path):
    allowed = (*SHARED, "core.stages", "core.evaluation.summary")
    used = {n for n in imports(ROOT / path) if below(n, ("core",)) and n != "core"}
    wrong = {n for n in used if not below(n, allowed) and n != "core.evaluation"}
    assert not wrong


@pytest.mark.parametrize(
    "path", names([*modules("thinkrec_cli"), *modules("core/stages"), *modules("core/config")])
)
def test_what_help_loads_imports_nothing_heavy(path):
    wrong = {n for n in imports(ROOT / path, top_level_only=True) if below(n, HEAVY)}
    assert not wrong


@pytest.mark.parametrize("path", names([*modules("core"), *modules("artifacts")]))
def test_nothing_below_the_terminal_prints(path):
    tree = ast.parse((ROOT / path).read_text())
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
    assert not [n.lineno for n in calls if n.func.id in ("print", "exit", "quit", "eval", "exec")]


@pytest.mark.parametrize(
    "path", names([*modules("core"), *modules("artifacts"), *modules("thinkrec_cli")])
)
def test_nothing_is_pickled(path):
    wrong = {
        n for n in imports(ROOT / path) if below(n, ("pickle", "joblib", "dill", "cloudpickle"))
    }
    assert not wrong
