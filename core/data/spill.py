"""A DuckDB for one piece of work, whose memory is bounded whatever the number of rows."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

MEMORY = "512MB"


def connect(folder: Path) -> "duckdb.DuckDBPyConnection":
    """Open an empty database that spills into a folder what exceeds MEMORY."""
    import duckdb

    return duckdb.connect(config={"temp_directory": str(folder / "spill"), "memory_limit": MEMORY})
