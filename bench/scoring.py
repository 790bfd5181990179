"""Scoring against PEFT, the authors' procedure, and the machine's own limit.

    python -m bench.scoring [--candidates 200] [--users 200] [--markdown results/bench-cpu.md]

Everything is measured in one run, one thing after the other, in the same number format.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.peers import OneAdapter, PerUserAdapters
from bench.setting import (
    Setting,
    Timed,
    best_of,
    fresh_base,
    matrix_limit,
    model_flops,
    prepare,
    random_columns,
)
from core.fusion.mixture import install_mixture, merge_adapter
from core.llm.decoder import Decoder
from core.llm.device import describe_machine
from core.scoring.scorer import Scorer
from core.text.prompts import Prompt


@dataclass(frozen=True)
class Line:
    """One row of the table."""

    work: str
    ours: Timed
    peer: str
    theirs: Timed
    share_of_limit: float

    def cells(self) -> list[str]:
        """Return the row as text."""
        return [
            self.work,
            f"{self.ours.pairs_per_second:.1f}",
            self.peer,
            f"{self.theirs.pairs_per_second:.1f}",
            f"{self.ours.pairs_per_second / self.theirs.pairs_per_second:.2f}",
            f"{self.share_of_limit:.0%}",
        ]


HEAD = ["work", "ours, pairs/s", "peer", "peer, pairs/s", "ratio", "ours, share of matrix limit"]


class Bench:
    """Our scorer and its peers over the same prompts."""

    def __init__(self, setting: Setting) -> None:
        """Load every model once; they are used one after the other."""
        self.setting = setting
        base = fresh_base()
        self.dtype = base.dtype
        self.flops = model_flops(base)
        self.limit = matrix_limit(base.dtype)
        gates = install_mixture(base.model, setting.adapters(), "exact")
        self.mixture = Scorer(Decoder(base.model), setting.builder.answers, gates=gates)
        merged = fresh_base()
        merge_adapter(merged.model, setting.adapters()[1])
        self.merged = Scorer(Decoder(merged.model), setting.builder.answers)
        self.authors = PerUserAdapters(setting.folders, setting.builder.answers)
        self.practice = OneAdapter(setting.folders[1], setting.builder.answers)

    def candidates(self, count: int) -> list[Line]:
        """One user, many candidates."""
        prompts = self._prompts(np.full(count, 100), np.arange(count))
        columns = np.repeat(random_columns(1), count, 0)
        work = f"1 user x {count} candidates"
        ours, share = self._ours(self.mixture, prompts, columns)
        some = slice(0, min(count, 40))  # a peer without sharing costs the same per pair
        return [
            Line(work, ours, name, theirs, share)
            for name, theirs in (
                (
                    "the authors' procedure: weighted adapter per user, batches of 4, all logits",
                    best_of(lambda: len(self.authors.score(prompts[some], columns[some])), 1),
                ),
                (
                    "transformers + PEFT: one adapter, batches of 32 by length, last logits",
                    best_of(lambda: len(self.practice.score(prompts[some]))),
                ),
            )
        ]

    def users(self, count: int) -> list[Line]:
        """Many users, one row each, every one with a fused adapter of his own."""
        dataset = self.setting.examples.dataset
        rng = np.random.default_rng(1)
        users = rng.choice(len(dataset.users), count, replace=False)
        prompts = self._prompts(users, rng.integers(0, len(dataset.items), count))
        columns = random_columns(count)
        work = f"{count} users x 1 row, each fused differently"
        ours, share = self._ours(self.mixture, prompts, columns)
        some = slice(0, min(count, 40))
        shared, _ = self._ours(self.merged, prompts, None)
        return [
            Line(
                work,
                ours,
                "the authors' procedure",
                best_of(lambda: len(self.authors.score(prompts[some], columns[some])), 1),
                share,
            ),
            Line(work, ours, "our scorer, one shared LoRA merged, no fusion at all", shared, share),
            Line(
                work,
                ours,
                "transformers + PEFT: one adapter, batches of 32 by length, last logits",
                best_of(lambda: len(self.practice.score(prompts[: min(count, 64)]))),
                share,
            ),
        ]

    def agreement(self) -> float:
        """Return the rank correlation of our scores with transformers + PEFT on 200 pairs of one adapter."""
        from scipy.stats import spearmanr

        prompts = self._prompts(np.arange(64), np.arange(64) * 7)
        column = np.zeros((len(prompts), len(self.setting.folders)))
        column[:, 1] = 1.0
        ours = self.mixture.score(prompts, column).score("margin")
        return float(spearmanr(ours, self.practice.score(prompts)).statistic)

    def _prompts(self, users: Any, items: Any) -> list[Prompt]:
        builder = self.setting.builder
        made = self.setting.examples.of_pairs(users, items, builder.config.history_length)
        return [builder.build(example) for example in made]

    def _ours(self, scorer: Scorer, prompts: Sequence[Prompt], columns: Any) -> tuple[Timed, float]:
        before = scorer.work.tokens
        timed = best_of(lambda: len(scorer.score(prompts, columns).yes))
        tokens = (scorer.work.tokens - before) / 3  # warm-up and two counted runs
        return timed, tokens * self.flops / timed.seconds / self.limit


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", type=int, default=200)
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as root:
        bench = Bench(prepare(Path(root)))
        lines = bench.candidates(options.candidates) + bench.users(options.users)
        facts = [
            f"command: python -m bench.scoring --candidates {options.candidates} --users {options.users}",
            f"machine: {describe_machine()}; numbers: {bench.dtype}; seed 0",
            f"matrix limit: {bench.limit / 1e9:.0f} GFLOP/s",
            f"rank correlation with transformers + PEFT, one adapter, 64 pairs: {bench.agreement():.5f}",
        ]
    text = "\n".join(
        [
            "| " + " | ".join(cells) + " |"
            for cells in [HEAD, ["---"] * 6, *(x.cells() for x in lines)]
        ]
    )
    text = "\n".join(facts) + "\n\n" + text + "\n"
    sys.stdout.write(text)
    if options.markdown:
        options.markdown.write_text("# Scoring on a CPU\n\n" + text)


if __name__ == "__main__":
    main()
