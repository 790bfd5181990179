"""Stage `ingest`: files of ratings -> dataset."""

import dataclasses
import hashlib
import math
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

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
    for line in _lines(report, config.rules()["threshold"]):
        work.progress.say(line)


def _lines(report: Mapping[str, Any], threshold: float) -> Iterator[str]:
    """Yield what to say of a report."""
    rows = report["rows"]
    counts = ", ".join(f"{name} {split['rows']:,}" for name, split in report["splits"].items())
    yield (
        f"{rows['read']:,} rows read, {rows['kept']:,} kept ({counts}), {rows['rejected']:,} rejected, "
        f"{rows['folded']:,} folded; {report['like_rate']:.1%} liked"
    )
    yield f"split: {report['split_rule']}"
    if rounds := report["core_rounds"]:
        yield f"users and items with too few rows left out; rounds: {rounds}"
    yield from _item_lines(report)
    if report["likes"] in (0, rows["kept"]):
        yield f"warning: {_one_label(report, threshold)}"


def _item_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is missing of the items: nothing where all of them were found."""
    file, found = report["item_rows"], report["items_with_facts"]
    left_out = file["without_id"] + file["broken"]
    if found is None:
        return
    if of_rows := report["left_out_of_items"]:
        yield (
            f"warning: {', '.join(of_rows)} of {report['files'][0]} left out: they differ between rows of one item, so "
            "they describe the rows. Name a column (--title-column, ...) to take it all the same, or give --items"
        )
    # Rows of the interactions themselves are among the rejected ones already.
    if left_out and report["files"][0] != report["files"][-1]:
        yield f"{left_out:,} of {file['read']:,} rows of {report['files'][-1]} left out"
    if found < report["items"]:
        yield (
            f"{found:,} of {report['items']:,} rated items are in {report['files'][-1]}; the others have their id "
            "for a title"
        )


def _one_label(report: Mapping[str, Any], threshold: float) -> str:
    """Say that all labels are alike, and which threshold would part the ratings."""
    least, greatest = report["least_rating"], report["greatest_rating"]
    label = "1: every rating is above" if report["likes"] else "0: no rating is above"
    all_alike = (
        f"all labels are {label} the threshold {threshold:g}; ratings are {least:g} to {greatest:g}"
    )
    if least == greatest:
        return f"{all_alike}, so no threshold can part them; give ratings of likes and dislikes"
    middle = (least + greatest) / 2
    whole = math.floor(middle)
    return f"{all_alike}; part them, for instance with --threshold {whole if whole >= least else middle:g}"


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
