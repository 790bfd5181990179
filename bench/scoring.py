"""Scoring against PEFT, the authors' procedure, and the machine's own limit.

    python -m bench.scoring [--candidates 200] [--users 500] [--rows 600] [--device auto] [--markdown PATH]

Everything is measured in one run, one thing after the other, in the same number format. Peers share nothing between
pairs, so a pair costs them the same however many there are: they score a part, and pairs a second are compared. The
limit is what plain matrix products of the model's shapes would take for the tokens that go through the layers.
"""

import resource
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

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
from bench.table import Beside, Line, run_alone
from core.fusion.mixture import install_mixture, merge_adapter
from core.llm.decoder import Decoder
from core.scoring.scorer import Scorer
from core.text.prompts import Prompt

CANDIDATES, USERS, ROWS, PEER_PAIRS, TIMES = 200, 500, 600, 64, 2
SHORT = (200, 24, 36, 16, 1)
FEW = 24
"""Of so many users the peers score every row."""
AUTHORS, PRACTICE = "the authors' procedure", "transformers + PEFT"
MERGED = "thinkrec itself, one shared LoRA merged, no fusion"


def lines(short: bool, device: str) -> list[Line]:
    """Measure the short or the full set."""
    sizes = SHORT if short else (CANDIDATES, USERS, ROWS, PEER_PAIRS, TIMES)
    return measure(*sizes, device=device)


def measure(
    candidates: int,
    users: int,
    rows: int,
    peer_pairs: int = PEER_PAIRS,
    times: int = TIMES,
    device: str = "auto",
) -> list[Line]:
    """Return the lines for so many candidates of one user, users of one row, and rows in time order.

    Peers score `peer_pairs` of them; everything runs `times` times after once to warm up, and the fastest counts. What
    is compared with ourselves without fusion runs twice as often, in turn.
    """
    with tempfile.TemporaryDirectory() as root:
        bench = Bench(prepare(Path(root), device), peer_pairs, times)
        return [
            *bench.candidates(candidates),
            *bench.users(users),
            *bench.in_time_order(rows),
            bench.memory(),
        ]


class Bench:
    """Our scorer and its peers over the same prompts."""

    def __init__(self, setting: Setting, peer_pairs: int, times: int) -> None:
        """Load every model once; they are used one after the other."""
        self.setting, self.peer_pairs, self.times = setting, peer_pairs, times
        device = setting.device
        base = fresh_base(device)
        self.flops = model_flops(base)
        self.limit = matrix_limit(base)
        gates = install_mixture(base.model, setting.adapters(), "exact")
        self.mixture = Scorer(Decoder(base.model), setting.builder.answers, gates=gates)
        merged = fresh_base(device)
        merge_adapter(merged.model, setting.adapters()[1])
        self.merged = Scorer(Decoder(merged.model), setting.builder.answers)
        self.authors = PerUserAdapters(setting.folders, setting.builder.answers, device)
        self.practice = OneAdapter(setting.folders[1], setting.builder.answers, device)

    def candidates(self, count: int) -> list[Line]:
        """One user, many candidates."""
        prompts = self.prompts(np.full(count, 100), np.arange(count))
        columns = np.repeat(random_columns(1), count, 0)
        work = f"score 1 user x {count} candidates"
        ours = self.ours(self.mixture, prompts, columns)
        some = slice(0, min(count, self.peer_pairs))
        authors = self._best(lambda: len(self.authors.score(prompts[some], columns[some])))
        practice = self._best(lambda: len(self.practice.score(prompts[some])))
        return [
            self._line(work, ours, AUTHORS, authors, 12.0),
            self._line(work, ours, PRACTICE, practice, 5.0),
        ]

    def users(self, count: int) -> list[Line]:
        """Many users, one row each, every one with a fused adapter of his own."""
        dataset = self.setting.examples.dataset
        rng = np.random.default_rng(1)
        users = rng.choice(len(dataset.users), count, replace=False)
        prompts = self.prompts(users, rng.integers(0, len(dataset.items), count))
        columns = random_columns(count)
        work = f"score {count} users x 1 row, each fused differently"
        # The first are no sample of all: prompts differ in length. So all are scored where they are few.
        some = slice(0, min(count, max(self.peer_pairs, FEW)))
        authors = self._best(lambda: len(self.authors.score(prompts[some], columns[some])))
        practice = self._best(lambda: len(self.practice.score(prompts[some])))
        # In turn, so that a machine that slows down slows both: the difference between them is small.
        ours, plain = self.ours(self.mixture, prompts, columns), self.ours(self.merged, prompts)
        again = self.ours(self.mixture, prompts, columns), self.ours(self.merged, prompts)
        merged = _faster(plain, again[1])[0]
        return [
            self._line(work, ours, AUTHORS, authors, 3.0),
            self._line(work, _faster(ours, again[0]), MERGED, merged, 1 / 1.06),
            self._line(work, ours, PRACTICE, practice, None, share=0.65),
        ]

    def in_time_order(self, count: int) -> list[Line]:
        """Rows of the test split, whole users, as `score --split test` asks them."""
        examples, builder = self.setting.examples, self.setting.builder
        rows = examples.dataset.rows("test")
        rows = rows[np.lexsort((rows, examples.dataset.user[rows]))][:count]
        made = examples.of_rows(rows, builder.config.history_length)
        prompts = [builder.build(example) for example in made]
        ours = self.ours(self.mixture, prompts, np.repeat(random_columns(1), len(prompts), 0))
        some = slice(0, min(count, self.peer_pairs))
        practice = self._best(lambda: len(self.practice.score(prompts[some])))
        return [
            self._line(
                f"score {count} test rows of MovieLens-100K in time order",
                ours,
                PRACTICE,
                practice,
                1.4,
            )
        ]

    def memory(self) -> Line:
        """The most that this process, models of the peers included, has taken: of the GPU if they are there."""
        if self.setting.device.type == "cuda":
            kind, peak = "GPU memory", torch.cuda.max_memory_allocated(self.setting.device) / 1e9
        else:
            kind, peak = "memory", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
        return Line(
            work=f"peak {kind} of this bench, four models loaded",
            unit="GB",
            ours=peak,
            smaller_is_better=True,
        )

    def prompts(self, users: Any, items: Any) -> list[Prompt]:
        """Return the prompts of pairs."""
        builder = self.setting.builder
        made = self.setting.examples.of_pairs(users, items, builder.config.history_length)
        return [builder.build(example) for example in made]

    def ours(
        self, scorer: Scorer, prompts: Sequence[Prompt], columns: Any = None
    ) -> tuple[Timed, float]:
        """Return our time, and the pairs a second that the machine's matrix products allow."""
        before = scorer.work.tokens
        timed = self._best(lambda: len(scorer.score(prompts, columns).yes))
        tokens = (scorer.work.tokens - before) / (1 + self.times)
        return timed, timed.pairs * self.limit / (tokens * self.flops)

    def _best(self, work: Callable[[], int]) -> Timed:
        return best_of(work, self.setting.device, self.times)

    def _line(
        self,
        work: str,
        ours: tuple[Timed, float],
        peer: str,
        theirs: Timed,
        wanted: float | None,
        share: float | None = None,
    ) -> Line:
        return Line(
            work=work,
            unit="pairs/s",
            ours=ours[0].pairs_per_second,
            peer=Beside(peer, theirs.pairs_per_second),
            limit=Beside("matrix products", ours[1]),
            ratio_at_least=wanted,
            share_at_least=share,
        )


def _faster(one: tuple[Timed, float], other: tuple[Timed, float]) -> tuple[Timed, float]:
    return one if one[0].seconds < other[0].seconds else other


if __name__ == "__main__":
    run_alone(
        "bench.scoring",
        __doc__,
        measure,
        {"candidates": CANDIDATES, "users": USERS, "rows": ROWS},
        on_device=True,
    )
