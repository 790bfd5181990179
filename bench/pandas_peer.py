"""The work of `thinkrec ingest table`, done with pandas: run in an environment of its own by bench/ingest.py.

    python pandas_peer.py RATINGS.csv FOLDER ENGINE IDS

IDS is `texts`, as thinkrec reads and writes them (007 is not 7), here as categories, pandas' fastest way to hold texts
that come again and again; or `numbers`, which is less work.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd


def main(path: str, folder: str, engine: str, ids: str) -> None:
    """Read, sort by time, fold doubled pairs, split, number, mark, write."""
    rows = _read(path, engine, texts=ids == "texts")
    rows = rows.sort_values("timestamp", kind="stable")
    rows = rows.drop_duplicates(["user", "item"], keep="last", ignore_index=True)
    count = len(rows)
    time = rows["timestamp"].to_numpy()
    valid_from, test_from = time[int(count * 0.7 + 1e-9)], time[int(count * (0.7 + 0.1) + 1e-9)]
    split = np.where(time < valid_from, 0, np.where(time < test_from, 1, 2))
    train = split == 0
    warm = np.ones(count, dtype=bool)
    tables = {}
    for column in ("user", "item"):
        codes, ids = _numbered(rows[column])
        in_train = np.bincount(codes[train], minlength=len(ids))
        warm &= in_train[codes] > 0
        rows[f"{column}_index"] = codes.astype(np.int32)
        tables[column] = pd.DataFrame(
            {
                column: ids,
                f"{column}_index": np.arange(len(ids), dtype=np.int32),
                "train_rows": in_train,
                "rows": np.bincount(codes, minlength=len(ids)),
            }
        )
    rows["label"] = (rows["rating"] > 3).astype(np.int8)
    rows["split"] = pd.Categorical.from_codes(split, ["train", "valid", "test"])
    rows["warm"] = warm
    rows.insert(0, "row", np.arange(count))
    rows = rows.rename(columns={"timestamp": "time"})
    target = Path(folder)
    rows.to_parquet(target / "interactions.parquet", compression="zstd", index=False)
    for column, table in tables.items():
        table.to_parquet(target / f"{column}s.parquet", compression="zstd", index=False)
    counted = rows.groupby("split", observed=True)["label"].agg(["size", "mean"])
    report = {
        name: {"rows": int(line["size"]), "like_rate": round(float(line["mean"]), 6)}
        for name, line in counted.iterrows()
    }
    sys.stdout.write(json.dumps({"pandas": pd.__version__, "splits": report}))


def _read(path: str, engine: str, *, texts: bool) -> pd.DataFrame:
    kinds = dict.fromkeys(("user", "item"), "category") if texts else {}
    if path.endswith(".csv"):
        return pd.read_csv(path, engine=engine, dtype=kinds)
    return pd.read_parquet(path).astype(dict.fromkeys(kinds, "str")).astype(kinds)


def _numbered(ids: pd.Series) -> tuple[np.ndarray, pd.Index]:
    """Return the place of each row's id among the different ones, and these: numbers by value, texts of numbers too."""
    if ids.dtype != "category":
        return pd.factorize(ids, sort=True)
    known = ids.cat.categories
    order = np.argsort(pd.to_numeric(known), kind="stable")
    place = np.empty(len(order), dtype=np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    return place[ids.cat.codes], known[order]


if __name__ == "__main__":
    main(*sys.argv[1:])
