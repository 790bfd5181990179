"""The work of `thinkrec ingest table`, done with pandas: run in an environment of its own by bench/ingest.py.

    python pandas_peer.py RATINGS.csv FOLDER ENGINE

Ids stay numbers, which is less work than the texts that thinkrec makes of them.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd


def main(path: str, folder: str, engine: str) -> None:
    """Read, sort by time, fold doubled pairs, split, number, mark, write."""
    rows = pd.read_csv(path, engine=engine) if path.endswith(".csv") else pd.read_parquet(path)
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
        codes, ids = pd.factorize(rows[column], sort=True)
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


if __name__ == "__main__":
    main(*sys.argv[1:])
