"""Stage `ingest`: files of ratings -> dataset."""

import dataclasses
import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

from core.config.ingest import IngestConfig
from core.stages.base import Stage, Work

_RESOURCES = ("ml-100k",)


def resources(config: IngestConfig) -> dict[str, str]:
    """Return the digests of the files that are read. Raises: MissingFileError."""
    from core.data.readers.sources import source_files

    if _fetched(config):
        from core.resources import digest

        return {f"resource:{config.source}": digest(config.source)}
    return {f"file:{role}": file_digest(path) for role, path in source_files(config).items()}


def file_digest(path: Path) -> str:
    """Return the sha256 of a file, read piece by piece."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def make(work: Work[IngestConfig]) -> None:
    """Write interactions, items, users and the report."""
    from core.data.ingest import ingest
    from core.data.readers.sources import open_source

    config = work.config
    if _fetched(config):
        from core.resources import fetch

        config = dataclasses.replace(config, path=str(fetch(config.source, work.progress)))
    scratch = work.run_folder / "spill"
    scratch.mkdir(exist_ok=True)
    try:
        report = ingest(
            open_source(config),
            config,
            folder=work.draft.folder,
            scratch=scratch,
            progress=work.progress,
        )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    work.draft.summary.update(
        {
            "rows": report["rows"],
            "splits": {name: split["rows"] for name, split in report["splits"].items()},
            "split_rule": report["split_rule"],
            "users": report["users"],
            "items": report["items"],
            "core_rounds": report["core_rounds"],
        }
    )
    _say(work, report["rows"], report["splits"], report["split_rule"])
    if rounds := report["core_rounds"]:
        work.progress.say(f"users and items with too few rows left out; rounds: {rounds}")


def _say(
    work: Work[IngestConfig],
    rows: Mapping[str, int],
    splits: Mapping[str, Mapping[str, int]],
    rule: str,
) -> None:
    counts = ", ".join(f"{name} {split['rows']:,}" for name, split in splits.items())
    work.progress.say(
        f"{rows['read']:,} rows read, {rows['kept']:,} kept ({counts}), {rows['rejected']:,} rejected, "
        f"{rows['folded']:,} folded"
    )
    work.progress.say(f"split: {rule}")


def _fetched(config: IngestConfig) -> bool:
    """Say whether the source is fetched by name rather than read from a folder of the user."""
    return config.source in _RESOURCES and config.path is None


STAGE = Stage(
    command="ingest",
    kind="dataset",
    config=IngestConfig,
    name=lambda config, inputs: config.source,
    resources=resources,
    make=make,
)
