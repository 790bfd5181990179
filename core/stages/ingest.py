"""Stage `ingest`: files of ratings -> dataset."""

import dataclasses
import math
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from core.config.ingest import IngestConfig
from core.errors import MismatchError
from core.files import file_sha256
from core.stages.base import Stage, Work

_RESOURCES = ("ml-100k",)
_Stamp = tuple[int, int, int] | None
_stamps: dict[Path, _Stamp] = {}
"""Files as they stood when their digests were taken: nothing but the settings passes from `resources` to `make`."""


def resources(config: IngestConfig) -> dict[str, str]:
    """Return the digests of the files that are read. Raises: MissingFileError."""
    from core.data.readers.sources import source_files

    if _fetched(config):
        from core.resources import digest

        return {f"resource:{config.source}": digest(config.source)}
    found = source_files(config)
    _stamps.update({path: _stamp(path) for path in found.values()})  # before they are read
    return {f"file:{role}": file_sha256(path) for role, path in found.items()}


def make(work: Work[IngestConfig]) -> None:
    """Write interactions, items, users and the report.

    Raises: MismatchError if a file has changed since its digest was taken, and whatever `ingest` raises.
    """
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
    if not _fetched(work.config):
        _require_unchanged(work.config)
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
    for line in _lines(report, config.rules()):
        work.progress.say(line)


def _require_unchanged(config: IngestConfig) -> None:
    """Raises: MismatchError if a file is not what its digest, which is part of the key, was taken of."""
    from core.data.readers.sources import source_files

    for path in source_files(config).values():
        if path in _stamps and _stamp(path) != _stamps[path]:
            raise MismatchError(
                f"{path} has changed while it was read",
                hint="Run the same again when nothing writes to that file any more.",
            )


def _stamp(path: Path) -> _Stamp:
    """Return what changes when anybody writes to a file or puts another in its place; None if it is gone."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


def _lines(report: Mapping[str, Any], rules: Mapping[str, Any]) -> Iterator[str]:
    """Yield what to say of a report."""
    rows = report["rows"]
    counts = ", ".join(f"{name} {split['rows']:,}" for name, split in report["splits"].items())
    yield (
        f"{rows['read']:,} rows read, {rows['kept']:,} kept ({counts}), {rows['rejected']:,} rejected, "
        f"{rows['folded']:,} folded; {report['like_rate']:.1%} liked"
    )
    if reasons := rows["rejected_by_reason"]:
        yield "rejected: " + ", ".join(f"{why} {count:,}" for why, count in reasons.items())
    if report["source"] == "table":
        named = ", ".join(f"{role} {name}" for role, name in report["columns"].items())
        yield f"columns: {named}"
    yield f"split: {report['split_rule']}"
    yield from _warm_lines(report, rules["split_by"])
    if rounds := report["core_rounds"]:
        yield f"users and items with too few rows left out; rounds: {rounds}"
    yield from _item_lines(report)
    if report["likes"] in (0, rows["kept"]):
        yield f"warning: {_one_label(report, rules['threshold'])}"


_FEW_WARM = 0.5


def _warm_lines(report: Mapping[str, Any], split_by: str) -> Iterator[str]:
    """Yield how many rows to be judged are of users and items that training saw."""
    rates = {
        name: split["warm_rate"]
        for name, split in report["splits"].items()
        if name != "train" and split["rows"]
    }
    if not rates:
        return
    shares = ", ".join(f"{rate:.0%} of {name}" for name, rate in rates.items())
    line = f"warm, with user and item in train: {shares}"
    if split_by == "time" and min(rates.values()) < _FEW_WARM:
        line += (
            "; the other rows get no expert and no vector. Where users rate in one sitting, "
            "--split-by user-time cuts each user's own time line"
        )
    yield line


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
    if found and set(report["item_titles"]) == {"id"}:
        yield (
            f"warning: no titles in {report['files'][-1]}, or in no column of a common name, so ids are the titles "
            "that a language model reads; name it: --title-column NAME, or --title-format"
        )
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
    middle = least / 2 + greatest / 2  # the sum may be too large
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
