"""Settings of `ingest`: which files, what their columns mean, which rows are kept and how they are split."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from core.config.base import Config, option
from core.errors import ConfigError

SourceName = Literal["ml-100k", "ml-1m", "yelp", "amazon", "movielens", "recbole", "table"]
Encoding = Literal["utf-8", "latin-1", "windows-1252", "utf-16"]
TimeUnit = Literal["auto", "s", "ms", "us", "ns", "iso"]
HALF = "half"
"""Value of `test_from`: the rows from `valid_from` on are cut into two halves by time."""

# What a source means by itself; an option given by the user wins. Dates are UTC midnights.
# ml-1m: calendar months 14..33 after the full file's first month, April 2000, are June 2001 .. January 2003. Fixed
# dates make the full file and a file that holds only the window give the same rows.
# yelp: 2010 to 2022 are the twelve years 2010 .. 2021, ten to train on and two to cut into halves.
# amazon: the year of the paper's Book data, ten months to train on and two to cut into halves.
PRESETS: dict[str, dict[str, Any]] = {
    "ml-100k": {"split_by": "user-time"},
    "ml-1m": {
        "split_by": "time",
        "since": "2001-06-01",
        "valid_from": "2002-04-01",
        "test_from": "2002-09-01",
        "until": "2003-02-01",
    },
    "yelp": {
        "split_by": "time",
        "since": "2010-01-01",
        "valid_from": "2020-01-01",
        "test_from": HALF,
        "until": "2022-01-01",
        "min_user_rows": 20,
        "min_item_rows": 20,
        "unrated_items": False,
    },
    "amazon": {
        "threshold": 4.0,
        "split_by": "time",
        "since": "2017-01-01",
        "valid_from": "2017-11-01",
        "test_from": HALF,
        "until": "2018-01-01",
        "min_user_rows": 20,
        "min_item_rows": 20,
        "unrated_items": False,
    },
}
_GENERAL = {
    "threshold": 3.0,
    "split_by": "time",
    "train_fraction": 0.7,
    "valid_fraction": 0.1,
    "min_user_rows": 0,
    "min_item_rows": 0,
    "unrated_items": True,
}
_PRESET_FIELDS = (*_GENERAL, "since", "valid_from", "test_from", "until")
INTERACTION_ROLES = ("user", "item", "rating", "time")
ITEM_ROLES = ("title", "year", "categories", "description")
_COLUMNS = tuple(f"{role}_column" for role in (*INTERACTION_ROLES, *ITEM_ROLES))
_READING = (*_COLUMNS, "delimiter", "quote", "categories_separator", "encoding")
_READ_BY = {
    "table": _READING,
    "amazon": _COLUMNS[:5],
    "yelp": _COLUMNS[:5],
    "recbole": (*_COLUMNS, "encoding"),
    "ml-100k": (*_COLUMNS, "encoding"),  # RecBole's edition of it
    "ml-1m": ("encoding",),
    "movielens": ("encoding",),
}
"""Source -> options on how files are read that mean something to it; the layout of most is known."""
_FILE_SOURCES = ("table", "amazon", "yelp")
"""Sources whose two files can be named one by one."""


@dataclass(frozen=True, kw_only=True)
class IngestConfig(Config):
    """Settings of `thinkrec ingest SOURCE`."""

    source: SourceName = option(
        "ml-100k",
        "what to read: ml-100k (fetched by name, or --path), ml-1m (the paper's window; --path), yelp, amazon (the "
        "paper's windows; --path, or --interactions and --items), movielens, recbole (--path), table (--interactions, "
        "--items)",
    )
    # Where files lie is not part of the key: what is in them is (the stage's resources).
    path: str | None = option(None, "folder of the source's files", keyed=False)
    interactions: str | None = option(
        None,
        "table, yelp, amazon: file of interactions (CSV, TSV, JSON lines, Parquet; .gz too)",
        keyed=False,
    )
    items: str | None = option(
        None, "table, yelp, amazon: file of items, if there is one", keyed=False
    )
    threshold: float | None = option(None, "a rating above this is a like, label 1 (3; amazon: 4)")

    user_column: str | None = option(None, "column of the user's id (default: guessed by name)")
    item_column: str | None = option(None, "column of the item's id, in both files")
    rating_column: str | None = option(None, "column of the rating")
    time_column: str | None = option(None, "column of the time")
    title_column: str | None = option(None, "column of the item's title")
    title_format: str | None = option(
        None,
        "table: titles put together from columns of the items, for instance 'business in {city}'",
    )
    year_column: str | None = option(None, "column of the item's year")
    categories_column: str | None = option(None, "column of the item's categories")
    description_column: str | None = option(None, "column of the item's description")
    categories_separator: str | None = option(
        None, "what separates categories (default: a JSON list, or the first of | ; , that occurs)"
    )
    time_unit: TimeUnit = option(
        "auto", "unit of times: s, ms, us, ns since 1970, iso, or auto (s or iso)"
    )
    delimiter: str | None = option(
        None, "delimiter of a text table, `tab` for a tab (default: guessed)"
    )
    quote: str = option('"', "quote character of a text table, `none` for none")
    encoding: Encoding | None = option(
        None, "text encoding (default: utf-8, or what the layout always uses)"
    )

    split_by: str | None = option(
        None,
        "time (one cut for all), user-time (each user's own time line), or the name of a column that says train, "
        "valid or test (default: the source's own, else time)",
    )
    train_fraction: float | None = option(
        None, "share of the first rows that is train (0.7); shares replace the source's own dates"
    )
    valid_fraction: float | None = option(
        None, "share of the next rows that is valid (0.1); the rest is test"
    )
    since: str | None = option(None, "keep rows from this UTC date on, for instance 2001-06-01")
    valid_from: str | None = option(None, "with --split-by time: valid starts at this UTC date")
    test_from: str | None = option(
        None,
        "with --split-by time: test starts at this UTC date, or `half`: the rows from --valid-from on are cut into "
        "two equal halves by time",
    )
    until: str | None = option(None, "keep rows before this UTC date")
    min_user_rows: int | None = option(
        None,
        "keep users with at least so many rows, repeated with items until it holds (0; yelp, amazon: 20)",
    )
    min_item_rows: int | None = option(
        None,
        "keep items with at least so many rows, repeated with users until it holds (0; yelp, amazon: 20)",
    )
    unrated_items: bool | None = option(
        None,
        "also take items of the items file that have no interaction (yes; yelp, amazon: no)",
    )
    on_duplicate: Literal["last", "first", "error", "keep"] = option(
        "last", "same user and item twice: keep the last or the first by time, fail, or keep all"
    )
    bad_rows: Literal["error", "reject"] = option(
        "error", "a row that cannot be read: fail, or leave it out and count it in the report"
    )
    memory_limit: str = option(
        "4GB", "memory before work spills to disk, for instance 4GB", keyed=False
    )
    threads: int = option(0, "threads (0: one per processor)", keyed=False, most=1024)

    def __post_init__(self) -> None:
        """Check what can be checked without the files. Raises: ConfigError."""
        super().__post_init__()
        self._check_files()
        self._check_reading()
        self.check(
            self.quote in ("", "none") or (len(self.quote) == 1 and self.quote.isascii()),
            f"quote = {self.quote!r} is not one plain character",
            hint='Give one character, for instance --quote "\'", or --quote none.',
        )
        rules = self.rules()
        train, valid = rules["train_fraction"], rules["valid_fraction"]
        self.check(
            0 < train < 1 and 0 <= valid < 1 and train + valid < 1,
            f"train_fraction = {train} and valid_fraction = {valid} leave nothing to train on or to test",
            hint="Let train be above 0 and both together below 1, for instance 0.7 and 0.1.",
        )
        dated = (rules["valid_from"] is not None, rules["test_from"] is not None)
        self.check(
            dated[0] == dated[1],
            "valid_from and test_from come together",
            hint="Give both --valid-from and --test-from, or neither.",
        )
        self.check(
            not any(dated) or rules["split_by"] == "time",
            f"valid_from and test_from cut one time line for all, split_by = {rules['split_by']} does not",
            hint="Leave --split-by out, or the two dates.",
        )
        shares = (self.train_fraction, self.valid_fraction)
        self.check(
            shares == (None, None) or split_column(rules["split_by"]) is None,
            f"the splits are cut by shares or as the column '{rules['split_by']}' says, and both were given",
            hint="Leave out --train-fraction and --valid-fraction, or --split-by.",
        )
        self.check(
            shares == (None, None) or (self.valid_from is None and self.test_from is None),
            "the splits are cut by shares or by dates, and both were given",
            hint="Leave out --train-fraction and --valid-fraction, or --valid-from and --test-from.",
        )
        dates = {name: rules[name] for name in ("since", "valid_from", "test_from", "until")}
        times = [
            seconds(date)
            for name, date in dates.items()
            if date is not None and (name, date) != ("test_from", HALF)
        ]
        self.check(
            times == sorted(set(times)),
            f"the dates {', '.join(str(date) for date in dates.values() if date)} are not in order",
            hint="since < valid_from < test_from < until.",
        )
        self.check(
            rules["min_user_rows"] >= 0 and rules["min_item_rows"] >= 0 and self.threads >= 0,
            "min_user_rows, min_item_rows and threads cannot be negative",
            hint="Use 0 for none.",
        )

    def _check_files(self) -> None:
        named = self.source == "table"
        self.check(
            not named or self.interactions is not None,
            "the source table needs a file of interactions",
            hint="Give --interactions FILE (and --items FILE for titles).",
        )
        self.check(
            not named or self.path is None,
            "the source table reads --interactions and --items, not --path",
            hint="Leave --path out.",
        )
        self.check(
            self.source in _FILE_SOURCES or (self.interactions is None and self.items is None),
            f"--interactions and --items belong to the source table, not to {self.source}",
            hint="Use: thinkrec ingest table --interactions F --items F, or give --path FOLDER.",
        )
        self.check(
            self.title_format is None or (named and self.title_column is None),
            "title_format makes the titles of the source table, without --title-column",
            hint="Leave --title-format out, or use: thinkrec ingest table --title-format TEXT.",
        )
        self.check(
            self.title_format is None or _has_columns(self.title_format),
            f"title_format = {self.title_format!r} is no text with columns in braces",
            hint="Write columns of the items in braces, for instance --title-format 'business in {city}'.",
        )
        self.check(
            self.path is None or (self.interactions is None and self.items is None),
            "--path finds the files by itself, --interactions and --items name them",
            hint="Give --path, or the files.",
        )
        files = self.source in _FILE_SOURCES
        self.check(
            self.source == "ml-100k" or self.path is not None or self.interactions is not None,
            f"the source {self.source} needs " + ("files" if files else "a folder"),
            hint=f"Use: thinkrec ingest {self.source} --path FOLDER"
            + (", or --interactions F --items F." if files else "."),
        )

    def _check_reading(self) -> None:
        for name in _READING:
            default = type(self).__dataclass_fields__[name].default
            self.check(
                getattr(self, name) == default or name in _READ_BY[self.source],
                f"{name} means nothing to the source {self.source}, whose files have a layout of their own",
                hint=f"Leave --{name.replace('_', '-')} out, or use: thinkrec ingest table --interactions F --items F",
            )

    def rules(self) -> dict[str, Any]:
        """Return label, filter, split and window as they hold: the user's options over the source's preset over the
        general ones.
        """
        preset = dict(PRESETS.get(self.source, {}))
        other_split = self.split_by is not None and self.split_by != "time"
        shares = self.train_fraction is not None or self.valid_fraction is not None
        if other_split or (shares and self.valid_from is None and self.test_from is None):
            # Another way of splitting keeps the window, not its cuts.
            preset.pop("valid_from", None)
            preset.pop("test_from", None)
        given = {name: getattr(self, name) for name in _PRESET_FIELDS}
        return {
            name: given[name] if given[name] is not None else preset.get(name, _GENERAL.get(name))
            for name in _PRESET_FIELDS
        }

    def parameters(self) -> dict[str, Any]:
        """Return the keyed settings, presets filled in: a preset spelled out is the same work."""
        return super().parameters() | self.rules()


def split_column(split_by: str | None) -> str | None:
    """Return the column that says the split, if `split_by` names one."""
    return None if split_by in (None, "time", "user-time") else split_by


def _has_columns(title_format: str) -> bool:
    """Return whether a text holds a {column}, and no brace besides."""
    rest = re.sub(r"\{[^{}]+\}", "", title_format)
    return rest != title_format and not set("{}") & set(rest)


def implied_rules(parameters: Mapping[str, Any]) -> set[str]:
    """Return the rules among the parameters of a data set that its source means by itself: they need not be typed."""
    preset = PRESETS.get(parameters.get("source", ""), {})
    usual = {name: preset.get(name, _GENERAL.get(name)) for name in _PRESET_FIELDS}
    implied = {name for name in _PRESET_FIELDS if parameters.get(name) == usual[name]}
    if split_column(parameters.get("split_by")) is not None:
        implied |= {"train_fraction", "valid_fraction"}  # which are refused beside a column
    elif usual["valid_from"] is not None and parameters.get("valid_from") is None:
        implied -= {"train_fraction"}  # it is what put the source's own dates away
    return implied


def seconds(date: str) -> int:
    """Return the seconds since 1970 of an ISO date or time, UTC unless it says otherwise. Raises: ConfigError."""
    try:
        moment = datetime.fromisoformat(date)
    except ValueError:
        raise ConfigError(f"'{date}' is not a date", hint="Write it like 2001-06-01.") from None
    if not 1 < moment.year < 9999:  # those at the ends may leave the calendar with their zone
        raise ConfigError(
            f"'{date}' lies outside the years 2 to 9998", hint="Write it like 2001-06-01."
        )
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
