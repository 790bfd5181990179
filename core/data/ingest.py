"""Turn files of ratings into a data set: read, judge, order, filter, split, write. All set-based, out of core."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.config.ingest import INTERACTION_ROLES, IngestConfig
from core.data.ingest_errors import out_of_memory
from core.data.ingest_filter import Filtered, fold_and_filter, order
from core.data.ingest_items import count_matched, count_titles, list_unrated, load_items
from core.data.ingest_load import Loaded, load
from core.data.ingest_write import RowColumns, write_payloads
from core.data.readers.files import readable
from core.data.readers.markup import register_decoder
from core.data.readers.source import Source
from core.data.split import SplitRule, split_expression
from core.data.sql import literal
from core.errors import ConfigError, DiskFullError, EmptySplitError
from core.progress import Progress

_STEPS = 5


def ingest(
    source: Source, config: IngestConfig, *, folder: Path, scratch: Path, progress: Progress
) -> dict[str, Any]:
    """Write a data set's payload files into a folder and return its report.

    Args:
        source: what a reader found.
        folder: gets interactions.parquet, items.parquet, users.parquet and report.json.
        scratch: existing folder to spill to.
    Raises: EmptyFileError, EncodingError, MissingColumnError, BadValueError, TimeUnitError, DuplicateRowError,
        EmptySplitError, MismatchError, DiskFullError, ConfigError (memory limit).
    """
    rule, rules = SplitRule.of(config), config.rules()
    source = _readable(source, scratch)
    with progress.bar("ingest", _STEPS, "steps") as bar, _connect(config, scratch) as connection:
        loaded = load(connection, source, config, rule)
        source = loaded.source
        bar.advance(1, rows=loaded.read)
        facts, of_rows = load_items(connection, source, config, progress)
        list_unrated(connection, source, wanted=rules["unrated_items"])
        bar.advance()
        filtered, line = fold_and_filter(connection, source, config, rule)
        bar.advance()
        rows = RowColumns(
            split=split_expression(line, rule),
            label=f"(rating > {rules['threshold']!r})::TINYINT",
        )
        order(line, rows.split)
        matched = count_matched(connection, source)
        bar.advance()
        if rule.column is not None:
            _tell_of_train_rows_behind(connection, rows.split, progress)
        splits = write_payloads(connection, rows, folder)
        _check_splits(rule, splits)
        report = _report(connection, source, rule, config, (loaded, facts, filtered, splits))
        report["items_with_facts"] = matched
        report["left_out_of_items"] = of_rows
        report["item_titles"] = count_titles(connection)
        bar.advance()
    text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
    (folder / "report.json").write_text(text, encoding="utf-8")
    return report


def _readable(source: Source, scratch: Path) -> Source:
    """Replace files that DuckDB cannot read as they are; items that lie beside the interactions stay there."""
    interactions = readable(source.interactions, scratch / "interactions.txt")
    items = source.items
    if items is not None:
        beside = items.file is source.interactions
        file = interactions if beside else readable(items.file, scratch / "items.txt")
        items = replace(items, file=file)
    return replace(source, interactions=interactions, items=items)


@contextmanager
def _connect(config: IngestConfig, scratch: Path) -> Iterator[Any]:
    """Open DuckDB in memory, spilling to the scratch folder. Raises: DiskFullError, ConfigError."""
    import duckdb

    with duckdb.connect(":memory:") as connection:
        # Before anything else: DuckDB makes no function while a result is not read to its end.
        register_decoder(connection)
        connection.execute(f"SET temp_directory = {literal(str(scratch))}")
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_progress_bar = false")
        if config.threads:
            connection.execute(f"SET threads = {config.threads}")
        try:
            connection.execute(f"SET memory_limit = {literal(config.memory_limit)}")
        except duckdb.Error:
            raise ConfigError(
                f"memory_limit = '{config.memory_limit}' is not an amount of memory",
                hint="Write it like 4GB or 800MB.",
            ) from None
        try:
            yield connection
        except duckdb.OutOfMemoryException as problem:
            raise out_of_memory(problem) from problem
        except duckdb.InterruptException:
            raise KeyboardInterrupt from None
        except duckdb.IOException as problem:
            if "No space left" in str(problem):
                raise DiskFullError(
                    f"no space left to write in {scratch}", hint="Free some space and run again."
                ) from problem
            raise


def _check_splits(rule: SplitRule, splits: dict[str, dict[str, Any]]) -> None:
    """Raises: EmptySplitError if a split is empty that should not be."""
    needed = ["train", "test"]
    if rule.column is None and rule.valid > 0:
        needed.insert(1, "valid")
    for split in needed:
        if splits[split]["rows"] == 0:
            counts = ", ".join(f"{name} {found['rows']}" for name, found in splits.items())
            if rule.column:
                remedy = f"Mark some rows as {split} in the column '{rule.column}'."
            elif rule.by == "time" and _one_time(splits):
                dates = (
                    " in place of --valid-from and --test-from"
                    if rule.valid_from is not None
                    else ""
                )
                remedy = (
                    "All rows kept have one time, which no --train-fraction and no date can part: take --split-by "
                    f"user-time{dates}, which cuts each user's own rows."
                )
            else:
                remedy = (
                    "Change --train-fraction, --valid-fraction or the dates, or give more rows."
                )
            raise EmptySplitError(
                f"the split leaves no row for {split} ({counts}): {rule.words}", hint=remedy
            )


def _one_time(splits: dict[str, dict[str, Any]]) -> bool:
    """Return whether all rows of the splits are of one second."""
    filled = [split for split in splits.values() if split["rows"]]
    return len({split[end] for split in filled for end in ("first_time", "last_time")}) == 1


def _tell_of_train_rows_behind(connection: Any, split: str, progress: Progress) -> None:
    """Tell where a split by column has train rows behind others of their user: their histories show those labels."""
    behind, count = connection.execute(
        f"""SELECT count(*) FILTER (held_out), count(*) FROM (
            SELECT code, bool_or(code > 0) OVER (PARTITION BY u ORDER BY time
                RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS held_out
            FROM (SELECT u, time, {split} AS code FROM events)) WHERE code = 0"""
    ).fetchone()
    if behind:
        progress.say(
            f"{behind:,} of {count:,} train rows come after valid or test rows of their user: in training they show "
            "their labels, so figures on them are too good; a split in order of time has none (--split-by user-time)"
        )


def _report(
    connection: Any,
    source: Source,
    rule: SplitRule,
    config: IngestConfig,
    counted: tuple[Loaded, dict[str, int], Filtered, dict[str, dict[str, Any]]],
) -> dict[str, Any]:
    """Account for every row: read = kept + rejected + folded."""
    loaded, facts, filtered, splits = counted
    rejected = dict(loaded.rejected)
    if filtered.too_few:
        rejected["user or item with too few rows"] = filtered.too_few
    kept = sum(split["rows"] for split in splits.values())
    assert loaded.read == kept + sum(rejected.values()) + filtered.folded, (
        f"of {loaded.read} rows {kept} were kept, {sum(rejected.values())} rejected, {filtered.folded} folded"
    )
    users, train_users = connection.execute(
        "SELECT count(*), count(*) FILTER (train_rows > 0) FROM by_u"
    ).fetchone()
    items, train_items = connection.execute(
        "SELECT count(*), count(*) FILTER (train_rows > 0) FROM by_i"
    ).fetchone()
    filled = [split for split in splits.values() if split["rows"]]
    likes = sum(split["likes"] for split in filled)
    return {
        "source": config.source,
        "columns": {role: getattr(source, role) for role in INTERACTION_ROLES},
        "files": [source.interactions.path.name]
        + ([source.items.file.path.name] if source.items else []),
        "rows": {
            "read": loaded.read,
            "kept": kept,
            "rejected": sum(rejected.values()),
            "folded": filtered.folded,
            "rejected_by_reason": rejected,
        },
        "splits": splits,
        "split_rule": rule.words,
        "label_rule": f"1 if rating > {config.rules()['threshold']:g} else 0",
        "likes": likes,
        "like_rate": round(likes / kept, 6),
        "least_rating": min(split["least_rating"] for split in filled),
        "greatest_rating": max(split["greatest_rating"] for split in filled),
        "first_time": min(split["first_time"] for split in filled),
        "last_time": max(split["last_time"] for split in filled),
        "users": users,
        "users_in_train": train_users,
        "items": items,
        "items_in_train": train_items,
        "item_rows": facts,
        "core_rounds": filtered.core_rounds,
    }
