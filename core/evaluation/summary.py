"""The figures of an evaluation as one nested value, for programs."""

from collections.abc import Iterable, Mapping
from typing import Any

AGAINST_BIAS = "minus bias"
"""Value of the column `slice` for differences to the bias baseline over all rows."""


def summarize(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Nest the rows of a metrics table.

    Returns: scorer -> its metrics over all rows by name, and
        rows; users and users_left_out (of UAUC where it was measured: users without both labels are
        left out); users_left_out_of (metric -> number); intervals (metric -> [low, high]);
        against_bias (metric -> {difference, low, high}); slices (name -> the same for its rows);
        scores (what was measured) and split.
    """
    result: dict[str, dict[str, Any]] = {}
    for row in rows:
        scorer = result.setdefault(row["scorer"], {})
        if row["slice"] == AGAINST_BIAS:
            scorer.setdefault("against_bias", {})[row["metric"]] = {
                "difference": row["value"],
                "low": row["low"],
                "high": row["high"],
            }
            continue
        place = scorer
        if row["slice"] == "all":
            scorer["scores"], scorer["split"] = row["scores"], row["split"]
        else:
            place = scorer.setdefault("slices", {}).setdefault(row["slice"], {})
        _add(place, row)
    return result


def _add(place: dict[str, Any], row: Mapping[str, Any]) -> None:
    metric = row["metric"]
    place[metric] = row["value"]
    if row["low"] is not None:
        place.setdefault("intervals", {})[metric] = [row["low"], row["high"]]
    if metric == "uauc" or "users" not in place:
        place["rows"], place["users"] = row["rows"], row["users"]
        place["users_left_out"] = row["users_left_out"]
    if row["users_left_out"]:
        place.setdefault("users_left_out_of", {})[metric] = row["users_left_out"]
