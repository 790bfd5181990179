"""The figures of an evaluation as one nested value, for programs."""

from collections.abc import Iterable, Mapping
from typing import Any

Row = Mapping[str, Any]
_OVER_SEEDS = ("mean", "sd", "least", "most", "other", "difference", "difference_sd")


def summarize(
    rows: Iterable[Row], comparisons: Iterable[Row] = (), seeds: Iterable[Row] = ()
) -> dict[str, dict[str, Any]]:
    """Nest the rows of a metrics table, of a comparisons table and of a table over seeds.

    Returns: scorer -> its metrics over all rows by name, and
        rows; users and users_left_out (of UAUC where it was measured: users without both labels are
        left out); users_left_out_of (metric -> number); intervals (metric -> [low, high]);
        minus (other scorer -> metric -> {difference, low, high, p}, over all rows); slices (name -> the same
        for its rows); scores and explanations (what was measured), and the split of the first of them;
        explained_rows and explained_users (rows and users of its reasons); where others differ from it in seeds alone
        over_seeds (metric -> {mean, sd, least, most, other, difference, difference_sd}) and scorers (all of them).
    """
    result: dict[str, dict[str, Any]] = {}
    for row in rows:
        scorer = result.setdefault(row["scorer"], {})
        place = scorer
        if row["slice"] == "all":
            scorer.setdefault("explanations" if _is_told(row) else "scores", row["scores"])
            scorer.setdefault("split", row["split"])
        else:
            place = scorer.setdefault("slices", {}).setdefault(row["slice"], {})
        _add(place, row)
    for row in comparisons:
        if row["slice"] == "all":
            minus = result[row["scorer"]].setdefault("minus", {}).setdefault(row["other"], {})
            minus[row["metric"]] = {name: row[name] for name in ("difference", "low", "high", "p")}
    for row in seeds:
        if row["slice"] == "all":
            for name in row["scorers"]:
                place = result[name].setdefault("over_seeds", {})
                place[row["metric"]] = {k: row[k] for k in _OVER_SEEDS}
                result[name]["scorers"] = row["scorers"]
    return result


def _is_told(row: Row) -> bool:
    """Return whether a figure is one of reasons."""
    return row["scores"] is not None and row["scores"].startswith("explanation/")


def _add(place: dict[str, Any], row: Row) -> None:
    metric = row["metric"]
    place[metric] = row["value"]
    if _is_told(row):
        place["explained_rows"], place["explained_users"] = row["rows"], row["users"]
    if row["low"] is not None:
        place.setdefault("intervals", {})[metric] = [row["low"], row["high"]]
    if metric == "uauc" or "users" not in place:
        place["rows"], place["users"] = row["rows"], row["users"]
        place["users_left_out"] = row["users_left_out"]
    if row["users_left_out"]:
        place.setdefault("users_left_out_of", {})[metric] = row["users_left_out"]
