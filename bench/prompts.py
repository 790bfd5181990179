"""Histories and prompts of a million rows, streamed, against the plain way of the same prompts.

    python -m bench.prompts [--rows 1000000] [--markdown PATH]

The peer is common practice: each prompt is written out as text and the texts of a block are given to the tokenizer
together (its own threads). A second peer is the tokenizer alone, which shows what it costs to encode anything twice.
"""

import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench.ratings import Ratings
from bench.table import Beside, Line, run_alone
from core.config.prompt import PromptConfig
from core.data.dataset import Dataset
from core.text.examples import Examples
from core.text.prompts import PromptBuilder

MODEL = "smollm2-135m-instruct"
ROWS, SHORT_ROWS = 1_000_000, 100_000
BLOCK = 4096
PEER_ROWS = 2 * BLOCK
GENRES = (
    "Action",
    "Adventure",
    "Animation",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Horror",
    "Sci-Fi",
)
WORDS = (
    "night",
    "river",
    "glass",
    "silent",
    "last",
    "summer",
    "iron",
    "garden",
    "winter",
    "king",
    "lost",
    "road",
)


def lines(short: bool) -> list[Line]:
    """Measure with the short or the full number of rows."""
    return measure(SHORT_ROWS if short else ROWS)


def measure(rows: int) -> list[Line]:
    """Return the lines for a number of rows."""
    dataset = synthetic_dataset(2 * rows)
    asked = np.arange(len(dataset) - rows, len(dataset))  # those with the longest histories
    started = time.perf_counter()
    examples = Examples(dataset)
    _ = examples.counts  # made when they are first asked for
    index_seconds = time.perf_counter() - started
    builder = make_builder(dataset)
    before = most = _resident_gb()
    tokens = 0
    started = time.perf_counter()
    for block in stream(examples, builder, asked):
        tokens += sum(len(prompt.ids) for prompt in block)
        most = max(most, _resident_gb())
    seconds = time.perf_counter() - started
    made = [
        Line(
            work=f"prompts of {rows:,} rows, {tokens / rows:.0f} tokens each",
            unit="prompts/s",
            ours=rows / seconds,
            peer=peer,
            at_least=20_000,
        )
        for peer in _peers(examples, builder, asked[:PEER_ROWS])
    ]
    return [
        *made,
        Line(
            work=f"the same, memory that grows while {rows:,} prompts pass",
            unit="GB",
            ours=most - before,
            smaller_is_better=True,
            at_least=0.1,  # the ids of 100,000 prompts would be .2, those of a million 2.3
        ),
        Line(
            work=f"histories and counts over {2 * rows:,} rows, once",
            unit="rows/s",
            ours=2 * rows / index_seconds,
        ),
    ]


def stream(
    examples: Examples, builder: PromptBuilder, rows: np.ndarray[Any, Any]
) -> Iterator[list[Any]]:
    """Yield the prompts of rows, a block at a time."""
    length = builder.config.history_length
    for at in range(0, len(rows), BLOCK):
        yield [
            builder.build(example) for example in examples.of_rows(rows[at : at + BLOCK], length)
        ]


def make_builder(dataset: Dataset) -> PromptBuilder:
    """Return a builder with the real tokenizer and four keywords an item."""
    from transformers import AutoTokenizer

    from core.llm.identity import base_folder

    random = np.random.default_rng(1)
    picks = random.integers(0, len(WORDS), (len(dataset.items), 4))
    return PromptBuilder(
        AutoTokenizer.from_pretrained(base_folder(MODEL, None), local_files_only=True),
        dataset,
        PromptConfig(history_length=10, keywords_per_item=3),
        keywords=[[WORDS[word] for word in row] for row in picks],
    )


def synthetic_dataset(rows: int, seed: int = 0) -> Dataset:
    """Return synthetic ratings in time order, with made-up titles, years and categories."""
    pieces = list(Ratings(rows, seed).pieces())
    table = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    order = np.argsort(table["timestamp"], kind="stable")
    users, user = np.unique(table["user"][order], return_inverse=True)
    items, item = np.unique(table["item"][order], return_inverse=True)
    split = (np.arange(rows) >= 0.7 * rows).astype(np.int8) + (np.arange(rows) >= 0.8 * rows)
    random = np.random.default_rng(seed)
    words = random.integers(0, len(WORDS), (len(items), 3))
    categories = random.integers(0, len(GENRES), (len(items), 3))
    in_train = [np.bincount(index[split == 0], minlength=len(names)) > 0
                for index, names in ((user, users), (item, items))]  # fmt: skip
    return Dataset(
        user=user.astype(np.int32),
        item=item.astype(np.int32),
        label=(table["rating"][order] > 3).astype(np.int8),
        time=table["timestamp"][order],
        split=split.astype(np.int8),
        warm=in_train[0][user] & in_train[1][item],
        users=[str(name) for name in users],
        items=[str(name) for name in items],
        titles=[" ".join(WORDS[word].title() for word in row) for row in words],
        years=[int(year) for year in random.integers(1930, 2020, len(items))],
        categories=[[GENRES[place] for place in dict.fromkeys(row.tolist())] for row in categories],
        descriptions=[""] * len(items),
    )


def _peers(examples: Examples, builder: PromptBuilder, rows: np.ndarray[Any, Any]) -> list[Beside]:
    """Return prompts/s of whole texts in batches, and of the tokenizer alone without offsets."""
    tokenizer = builder.tokenizer
    texts = [builder.decode(p.ids) for block in stream(examples, builder, rows) for p in block]
    started = time.perf_counter()
    for at in range(0, len(texts), BLOCK):
        tokenizer(texts[at : at + BLOCK], add_special_tokens=False)
    batched = len(texts) / (time.perf_counter() - started)
    backend = tokenizer.backend_tokenizer
    started = time.perf_counter()
    for at in range(0, len(texts), BLOCK):
        backend.encode_batch_fast(texts[at : at + BLOCK], add_special_tokens=False)
    alone = len(texts) / (time.perf_counter() - started)
    return [
        Beside("whole texts through transformers' tokenizer, in batches", batched),
        Beside("the tokenizers library alone, all its threads", alone),
    ]


def _resident_gb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e9


if __name__ == "__main__":
    run_alone("bench.prompts", __doc__, measure, {"rows": ROWS})
