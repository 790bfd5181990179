"""What many tests share: a small data set made from a seed, written with the real schema."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import numpy as np
import pytest

from core.data.dataset import SPLITS, Dataset
from core.data.tables import write_table
from core.progress import Silent
from core.stages.kinds import DATASET

# Before torch looks: tests compare with figures of a CPU, and two workers would share the GPU. Who wants to try one all
# the same names it in this variable.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
GENRES = ["Action", "Comedy", "Drama", "Horror", "Romance"]
# How long an example takes says how busy the machine is, and no more.
hypothesis.settings.register_profile("thinkrec", deadline=None)
hypothesis.settings.load_profile("thinkrec")


@pytest.fixture(scope="session", autouse=True)
def colourless() -> Iterator[None]:
    """Take away what makes rich write colours though there is no terminal."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(autouse=True)
def loggers() -> None:
    """Give every test the loggers of a fresh process: one that runs the program within itself sets them up for good."""
    for name in ("artifacts", "core"):
        logger = logging.getLogger(name)
        logger.propagate = True
        logger.setLevel(logging.NOTSET)
        logger.handlers.clear()


class Heard(Silent):
    """Progress that keeps what a stage says."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        """Keep a line."""
        self.lines.append(line)


def write_dataset(
    folder: Path, *, users: int = 20, items: int = 30, rows: int = 600, seed: int = 0
) -> Path:
    """Write a dataset folder with a taste to learn: each user likes two of five genres."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    user = rng.integers(0, users, rows).astype(np.int32)
    item = rng.integers(0, items, rows).astype(np.int32)
    time = np.sort(rng.integers(0, rows // 2, rows)) + 1_000_000_000  # with ties
    likes = np.array([rng.permutation(5)[:2] for _ in range(users)])
    taste = (likes[user] == (item % 5)[:, None]).any(1)
    label = (rng.random(rows) < np.where(taste, 0.9, 0.2)).astype(np.int8)
    split = np.digitize(np.arange(rows) / rows, [0.7, 0.8]).astype(np.int8)
    train = split == 0
    warm = np.isin(user, user[train]) & np.isin(item, item[train])
    schema = {payload.path: payload.columns for payload in DATASET.payloads}
    write_table(
        folder / "interactions.parquet",
        {
            "row": np.arange(rows),
            "user": [f"u{u}" for u in user],
            "item": [f"i{i}" for i in item],
            "user_index": user,
            "item_index": item,
            "rating": np.where(label, 5.0, 2.0),
            "label": label,
            "time": time,
            "split": [SPLITS[s] for s in split],
            "warm": warm,
        },
        schema["interactions.parquet"],
    )
    write_table(
        folder / "items.parquet",
        {
            "item": [f"i{i}" for i in range(items)],
            "item_index": np.arange(items),
            "title": [f"Film {i}" for i in range(items)],
            "year": [1970 + i for i in range(items)],
            "categories": [[GENRES[i % 5]] for i in range(items)],
            "description": [f"A {GENRES[i % 5].lower()} film, number {i}." for i in range(items)],
        },
        schema["items.parquet"],
    )
    counts, train_counts = (
        np.bincount(user, minlength=users),
        np.bincount(user[train], minlength=users),
    )
    write_table(
        folder / "users.parquet",
        {
            "user": [f"u{u}" for u in range(users)],
            "user_index": np.arange(users),
            "train_rows": train_counts,
            "rows": counts,
        },
        schema["users.parquet"],
    )
    (folder / "report.json").write_text("{}")
    return folder


@pytest.fixture
def dataset_folder(tmp_path: Path) -> Path:
    """Folder of a small data set: 20 users, 30 items, 600 rows."""
    return write_dataset(tmp_path / "dataset")


@pytest.fixture
def dataset(dataset_folder: Path) -> Dataset:
    """The same, opened."""
    return Dataset.open(dataset_folder)
