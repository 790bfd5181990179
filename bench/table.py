"""The one table of all benches: a line per piece of work, with the peer and the machine's limit of the same run.

A bench is a module of this package with `lines(short: bool) -> list[Line]`; bench/__main__.py runs those it knows.
"""

import argparse
import importlib
import os
import platform
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from core.version import version as thinkrec_version

HEAD = ("work", "ours", "peer", "ratio", "limit", "share of limit", "wanted", "met")
BASE_VARIABLE = "THINKREC_BENCH_BASE"
"""Names another base model than the usual one for all benches of the language model: a folder or a hub id."""
PACKAGES = ("numpy", "torch", "transformers", "peft", "duckdb", "pyarrow", "tokenizers")


class Beside(NamedTuple):
    """Something measured in the same run, in the unit of the line."""

    name: str
    value: float


@dataclass(frozen=True, kw_only=True)
class Line:
    """One piece of work."""

    work: str
    unit: str
    """`rows/s`, `s`, `GB`, ..."""
    ours: float
    peer: Beside | None = None
    """Who did the same work."""
    limit: Beside | None = None
    """What the machine allows, and how that was found."""
    smaller_is_better: bool = False
    """For times and memory; ratio and share stay "more is better"."""
    at_least: float | None = None
    """The figure wanted of us: at least this, or at most where smaller is better."""
    ratio_at_least: float | None = None
    """The ratio to the peer that is wanted."""
    share_at_least: float | None = None
    """The share of the limit that is wanted."""

    @property
    def ratio(self) -> float | None:
        """How many times better than the peer."""
        return self._times_better(self.peer)

    @property
    def share(self) -> float | None:
        """Share of the limit."""
        return self._times_better(self.limit)

    def _times_better(self, other: Beside | None) -> float | None:
        if other is None or not other.value or not self.ours:
            return None
        return other.value / self.ours if self.smaller_is_better else self.ours / other.value

    @property
    def met(self) -> bool | None:
        """Whether all that is wanted was reached; None if nothing is."""
        tests = [
            found is not None and found >= wanted
            for found, wanted in (
                (self.ratio, self.ratio_at_least),
                (self.share, self.share_at_least),
            )
            if wanted is not None
        ]
        if self.at_least is not None:
            tests.append(
                self.ours <= self.at_least if self.smaller_is_better else self.ours >= self.at_least
            )
        return all(tests) if tests else None

    def cells(self) -> list[str]:
        """Return the line as text, one cell per column of HEAD."""
        return [
            self.work,
            f"{figure(self.ours)} {self.unit}",
            ""
            if self.peer is None
            else f"{figure(self.peer.value)} {self.unit} ({self.peer.name})",
            "" if self.ratio is None else f"{self.ratio:.2f}",
            ""
            if self.limit is None
            else f"{figure(self.limit.value)} {self.unit} ({self.limit.name})",
            "" if self.share is None else f"{self.share:.0%}",
            self._wanted(),
            {True: "yes", False: "no", None: ""}[self.met],
        ]

    def _wanted(self) -> str:
        words = []
        if self.at_least is not None:
            sign = "≤" if self.smaller_is_better else "≥"
            words.append(f"{sign} {figure(self.at_least)} {self.unit}")
        if self.ratio_at_least is not None:
            words.append(f"ratio ≥ {self.ratio_at_least:g}")
        if self.share_at_least is not None:
            words.append(f"share ≥ {self.share_at_least:.0%}")
        return ", ".join(words)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What has to be known to run a table again."""

    command: str
    machine: str
    versions: str
    seed: int = 0

    @classmethod
    def of_run(
        cls,
        module: str,
        arguments: Sequence[str] | None = None,
        seed: int = 0,
        devices: Sequence[str] = ("cpu",),
    ) -> "Facts":
        """Take the facts of this process, started as `python -m module arguments`, and of the devices it measures."""
        from core.llm.device import describe_machine

        words = sys.argv[1:] if arguments is None else arguments
        found = [f"Python {platform.python_version()}", f"thinkrec {thinkrec_version()}"]
        for package in PACKAGES:
            try:
                found.append(f"{package} {version(package)}")
            except PackageNotFoundError:
                continue
        base = os.environ.get(BASE_VARIABLE)
        before = [f"{BASE_VARIABLE}={shlex.quote(base)}"] if base else []
        return cls(
            command=" ".join([*before, "python", "-m", module, *map(shlex.quote, words)]),
            machine="; ".join(dict.fromkeys(map(describe_machine, devices))),
            versions=", ".join(found),
            seed=seed,
        )

    def lines(self) -> list[str]:
        """Return one fact a line."""
        return [
            f"command: {self.command}",
            f"machine: {self.machine}",
            f"versions: {self.versions}",
            f"seed: {self.seed}",
        ]


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add the option that all benches of the language model have."""
    parser.add_argument(
        "--device", default="auto", help="where the language model runs: auto, cpu, cuda or cuda:N"
    )


def lines_of(name: str, short: bool, device: str | None = None) -> list[Line]:
    """Run a bench of this package by name; only those of the language model take a device."""
    chosen = [] if device is None else [device]
    lines: list[Line] = importlib.import_module(f"bench.{name}").lines(short, *chosen)
    return lines


def figure(value: float) -> str:
    """Write a figure with three or more digits that mean something."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def to_markdown(lines: Sequence[Line], facts: Facts) -> str:
    """Return facts and table."""
    rows = [list(HEAD), ["---"] * len(HEAD), *(line.cells() for line in lines)]
    table = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    listed = [f"- {fact}" for fact in facts.lines()]
    return "\n".join([*listed, "", *table]) + "\n"


def write_page(title: str, lines: Sequence[Line], facts: Facts, path: Path) -> None:
    """Write facts and table as a page."""
    path.write_text(f"# {title}\n\n{to_markdown(lines, facts)}")


def run_alone(
    module: str,
    about: str | None,
    measure: Callable[..., list[Line]],
    sizes: Mapping[str, int],
    *,
    on_device: bool = False,
) -> None:
    """Run one bench as a program: an option for each of its sizes, and --markdown for a page.

    Args:
        module: what `python -m` was given.
        about: text of --help.
        measure: takes the sizes by name.
        sizes: name -> what it is if the option is not given.
        on_device: whether it takes the device of the language model, too; else it measures the CPU.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=about)
    for name, size in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=size)
    if on_device:
        add_device(parser)
    parser.add_argument("--markdown", type=Path, help="file to write the table to as well")
    options = vars(parser.parse_args())
    markdown = options.pop("markdown")
    title = module.rpartition(".")[2].capitalize()
    found = measure(**options)
    facts = Facts.of_run(module, devices=[options.get("device", "cpu")])
    publish(title, found, facts, markdown)


def publish(title: str, lines: Sequence[Line], facts: Facts, markdown: Path | None) -> None:
    """Print the table, and write it as a page if a path is given."""
    sys.stdout.write(to_markdown(lines, facts))
    if markdown is not None:
        write_page(title, lines, facts, markdown)
