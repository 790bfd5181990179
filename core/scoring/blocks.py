"""Score in blocks that are written as they are done, so that memory stays and a kill costs one block."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from core.data import spill
from core.data.dataset import Dataset
from core.data.sql import literal, scan
from core.data.tables import write_table
from core.errors import BadValueError
from core.files import sync
from core.progress import Progress
from core.scoring.language import Scored, merge
from core.scoring.questions import FiledQuestions, Index, Questions

BLOCK = 1024
"""Rows of a block: a minute or so of a language model on a CPU."""
QUICK_BLOCK = 65_536
"""Rows of a block of an encoder, which scores a smaller one faster than it is brought to the disk."""

_TYPES = {
    "row": "BIGINT",
    "user": "VARCHAR",
    "item": "VARCHAR",
    "label": "TINYINT",
    "score": "DOUBLE",
    "probability": "DOUBLE",
    "yes_logit": "DOUBLE",
    "no_logit": "DOUBLE",
    "route": "VARCHAR",
}


class RowOrPairScorer(Protocol):
    """What scores."""

    @property
    def number_format(self) -> str:
        """What it computes in: float32, bfloat16."""

    @property
    def device(self) -> str:
        """Where it computes: cpu, cuda:0."""

    def score_rows(self, rows: Index) -> Scored:
        """Score rows of the data set."""

    def score_pairs(self, users: Index, items: Index) -> Scored:
        """Score pairs asked now."""


def score_blocks(
    scorer: RowOrPairScorer,
    questions: Questions | FiledQuestions,
    dataset: Dataset,
    block_rows: int,
    folder: Path,
    progress: Progress,
) -> tuple[list[Path], int]:
    """Score all questions, skipping blocks that an earlier run left in the folder.

    Returns: the files of all blocks in order, and how many pairs were scored now.
    """
    # Blocks of another size, of other pairs, or of another number format (another device), are not joined with these.
    paths, left = [], []
    for start in range(0, len(questions), block_rows):
        stop = min(start + block_rows, len(questions))
        of = f"{start:012d}-{stop:012d}-of-{len(questions)}"
        paths.append(folder / f"block-{of}-{scorer.number_format}.parquet")
        if not paths[-1].exists():
            left.append((start, stop, paths[-1]))
    scored = sum(stop - start for start, stop, _ in left)
    title, before = f"score {questions.about}", len(questions) - scored
    with progress.bar(title, len(questions), "pair", done=before) as bar:
        for start, stop, path in left:
            block = questions.block(start, stop)
            _write(path, _score(scorer, block), block, dataset)
            bar.advance(stop - start)
    return paths, scored


def join_blocks(
    blocks: Sequence[Path], path: Path, columns: Mapping[str, str], *, top: int | None
) -> tuple[int, int]:
    """Write blocks as one table with each user's ranks, in row order or by rank.

    DuckDB does it out of core. Ties in score go by item id.
    Returns: how many rows it has, and how many of them have a label.
    """
    names = ", ".join(columns)
    order = "user, rank" if top else "row nulls last, user, rank"
    keep = f"where rank <= {int(top)}" if top else ""
    with spill.connect(blocks[0].parent) as connection:
        connection.execute(
            f"""copy (
                select {names} from (
                    select *, cast(row_number() over (partition by user order by score desc, item) as integer) as rank
                    from {scan("read_parquet", blocks)}
                ) {keep} order by {order}
            ) to {literal(str(path))} (format parquet, compression zstd)"""
        )
        found = connection.execute(
            f"select count(*), count(label) from {scan('read_parquet', path)}"
        ).fetchone()
    assert found is not None
    return int(found[0]), int(found[1])


def _score(scorer: RowOrPairScorer, block: Questions) -> Scored:
    """Return the scores of a block. Raises: BadValueError if one is no number: it would be ranked before all others."""
    known = block.rows >= 0
    if known.all():
        scored = scorer.score_rows(block.rows)
    else:
        scored = scorer.score_pairs(block.users[~known], block.items[~known])
        if known.any():
            scored = merge(known, scorer.score_rows(block.rows[known]), scored)
    if bad := int((~np.isfinite(scored.score)).sum()):
        raise BadValueError(
            f"{bad} of {len(block)} scores are no finite numbers",
            hint="The scorer's weights are spoiled, or their numbers too small for it: try --dtype float32.",
        )
    return scored


def _write(path: Path, scored: Scored, block: Questions, dataset: Dataset) -> None:
    nothing: list[Any] = [None] * len(block)
    rows = [row if row >= 0 else None for row in block.rows.tolist()]
    labels = dataset.label[block.rows].tolist()
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    write_table(
        scratch,
        {
            "row": rows,
            "user": [dataset.users[u] if u >= 0 else None for u in block.users],
            "item": [dataset.items[i] for i in block.items],
            "label": [
                None if row is None else label for row, label in zip(rows, labels, strict=True)
            ],
            "score": scored.score,
            # As 1 / (1 + exp(-s)), which overflows for what another program may call a score.
            "probability": np.exp(-np.logaddexp(0, -scored.score)),
            "yes_logit": nothing if scored.yes is None else scored.yes,
            "no_logit": nothing if scored.no is None else scored.no,
            "route": nothing if scored.route is None else scored.route,
        },
        _TYPES,
    )
    sync(scratch)
    scratch.rename(path)
