"""Helpers of the ingest tests: write small files, ingest them, read the payloads back."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.config.ingest import IngestConfig
from core.data.ingest import ingest
from core.data.readers.sources import open_source
from core.data.tables import read_rows
from core.progress import Progress, Silent


@dataclass(frozen=True)
class Result:
    """The payloads of one data set."""

    folder: Path
    report: dict[str, Any]

    @property
    def interactions(self) -> list[dict[str, Any]]:
        return read_rows(self.folder / "interactions.parquet")

    @property
    def items(self) -> list[dict[str, Any]]:
        return read_rows(self.folder / "items.parquet")

    @property
    def users(self) -> list[dict[str, Any]]:
        return read_rows(self.folder / "users.parquet")


def run(folder: Path, *, progress: Progress | None = None, **settings: Any) -> Result:
    """Ingest into folder/dataset."""
    config = IngestConfig(**settings)
    target, scratch = folder / "dataset", folder / "scratch"
    target.mkdir(exist_ok=True)
    scratch.mkdir(exist_ok=True)
    report = ingest(
        open_source(config), config, folder=target, scratch=scratch, progress=progress or Silent()
    )
    return Result(target, report)


def table(
    folder: Path, text: str, *, name: str = "ratings.csv", encoding: str = "utf-8", **settings: Any
) -> Result:
    """Write one file of interactions and ingest it as a table."""
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return run(folder, source="table", interactions=str(path), **settings)


def ratings(rows: int, *, users: int = 5, items: int = 7) -> list[tuple[str, str, str, str]]:
    """Return rows without repeated pairs, one second apart, ratings 1..5."""
    pairs = [(user, item) for item in range(items) for user in range(users)][:rows]
    return [
        (f"u{user}", f"i{item}", str(1 + (user + item) % 5), str(1_000_000_000 + number))
        for number, (user, item) in enumerate(pairs)
    ]


def as_csv(
    rows: Sequence[tuple[str, ...]], *, header: str = "user,item,rating,time", delimiter: str = ","
) -> str:
    """Return the text of a table."""
    lines = [header.replace(",", delimiter), *(delimiter.join(row) for row in rows)]
    return "\n".join(lines) + "\n"
