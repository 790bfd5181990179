"""How the cost of scoring grows with candidates, users, experts and history: a picture.

    python -m bench.growth [--device auto] [--markdown results/growth-cpu.md]

Writes a page with every point, and the picture beside it. A point is the time of one scoring run, the faster of two
after one to warm up.
"""

import argparse
import dataclasses
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from bench.setting import Setting, best_of, fresh_base, prepare, random_columns
from bench.table import Facts, add_device
from core.fusion.mixture import install_mixture
from core.llm.decoder import Decoder
from core.llm.device import pick_device
from core.scoring.scorer import Scorer
from core.text.prompts import PromptBuilder

CANDIDATES = (1, 10, 50, 100, 200)
USERS = (1, 10, 25, 50)
EXPERTS = (1, 2, 3, 6, 12)
HISTORIES = (0, 5, 10, 20, 40)
PAIRS = 24
"""Pairs of the points over experts and history: users of one row each."""


def points(root: Path, device: str) -> Iterator[tuple[str, int, float]]:
    """Yield (what grows, how much of it, seconds)."""
    setting = prepare(root, device)
    scorer = _scorer(setting, 3)
    for count in CANDIDATES:
        yield "candidates of one user", count, _seconds(scorer, setting, _one_user(count), 3)
    for count in USERS:
        yield "users with one row each", count, _seconds(scorer, setting, _users(setting, count), 3)
    for length in HISTORIES:
        other = dataclasses.replace(setting, builder=_with_history(setting, length))
        yield "rows of history", length, _seconds(scorer, other, _users(setting, PAIRS), 3)
    for count in EXPERTS:
        pairs = _users(setting, PAIRS)
        yield "experts", count, _seconds(_scorer(setting, count), setting, pairs, count)


def _scorer(setting: Setting, experts: int) -> Scorer:
    """Return a scorer with so many experts; beyond those of the setting they are repeated."""
    known = setting.adapters()
    adapters = [known[0], *(known[1 + n % (len(known) - 1)] for n in range(experts))]
    base = fresh_base(setting.device)
    gates = install_mixture(base.model, adapters, "exact")
    return Scorer(Decoder(base.model), setting.builder.answers, gates=gates)


def _seconds(
    scorer: Scorer, setting: Setting, pairs: tuple[np.ndarray, np.ndarray], experts: int
) -> float:
    examples = setting.examples.of_pairs(*pairs, setting.builder.config.history_length)
    prompts = [setting.builder.build(example) for example in examples]
    columns = random_columns(len(prompts), experts=experts)
    if len(np.unique(pairs[0])) == 1:
        columns = np.repeat(columns[:1], len(prompts), 0)
    return best_of(lambda: len(scorer.score(prompts, columns).yes), setting.device).seconds


def _one_user(count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.full(count, 100), np.arange(count)


def _users(setting: Setting, count: int) -> tuple[np.ndarray, np.ndarray]:
    dataset, rng = setting.examples.dataset, np.random.default_rng(1)
    return rng.choice(len(dataset.users), count, False), rng.integers(0, len(dataset.items), count)


def _with_history(setting: Setting, length: int) -> PromptBuilder:
    config = dataclasses.replace(setting.builder.config, history_length=length)
    dataset, tokenizer = setting.examples.dataset, setting.builder.tokenizer
    return PromptBuilder(tokenizer, dataset, config, keywords=setting.keywords)


def draw(found: Sequence[tuple[str, int, float]], path: Path) -> None:
    """Draw one small plot per thing that grows."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "growth"  # the same figures give the same file
    from matplotlib import pyplot as plt

    names = list(dict.fromkeys(name for name, _, _ in found))
    figure, axes = plt.subplots(1, len(names), figsize=(3.2 * len(names), 2.8), sharey=False)
    for name, axis in zip(names, axes, strict=True):
        mine = [(at, seconds) for other, at, seconds in found if other == name]
        axis.plot(*zip(*mine, strict=True), marker="o", color="#2b6cb0")
        axis.set(xlabel=name, ylim=(0, 1.1 * max(seconds for _, seconds in mine)))
        far = mine[-1][0] > 20  # there a tick at 1 would be written over its neighbour
        axis.set_xticks([at for at, _ in mine if at != 1 or not far])
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("seconds")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def page(found: Sequence[tuple[str, int, float]], facts: Facts, picture: str) -> str:
    """Return the points as a page: one table per thing that grows, with the cost beside that of its first point."""
    lines = ["# How the cost of scoring grows", "", *(f"- {fact}" for fact in facts.lines()), ""]
    lines += [f"![seconds over candidates, users, history and experts]({picture})", ""]
    for name in dict.fromkeys(name for name, _, _ in found):
        mine = [(at, seconds) for other, at, seconds in found if other == name]
        first = mine[0][1]
        lines += [f"| {name} | seconds | times the first |", "| --- | --- | --- |"]
        lines += [f"| {at} | {seconds:.2f} | {seconds / first:.2f} |" for at, seconds in mine]
        lines.append("")
    lines.append(
        f"MovieLens-100K prompts with three keywords an item; history and experts: {PAIRS} users with one row each."
    )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, write the page, draw."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    add_device(parser)
    parser.add_argument(
        "--markdown", type=Path, help="results/growth-cpu.md, or -cuda, if not given"
    )
    options = parser.parse_args()
    device = options.device
    path = options.markdown or Path(f"results/growth-{pick_device(device).type}.md")
    picture = path.with_suffix(".svg")
    with tempfile.TemporaryDirectory() as root:
        found = list(points(Path(root), device))
    path.write_text(page(found, Facts.of_run("bench.growth", devices=[device]), picture.name))
    draw(found, picture)


if __name__ == "__main__":
    main()
