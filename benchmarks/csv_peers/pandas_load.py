"""pandas: read_csv in pieces, the same checks by masks, one Parquet file a piece."""

import sys
from pathlib import Path

import pandas as pd

path, out = Path(sys.argv[1]), Path(sys.argv[2])
pieces = pd.read_csv(path, chunksize=500_000, parse_dates=["at", "due"])
for number, frame in enumerate(pieces):
    bad = (
        ~frame["customer"].str.contains("C[0-9]{6}")
        | ~frame["channel"].isin(["web", "store", "phone", "app"])
        | ~frame["amount"].between(0, 1000)
        | ~frame["quantity"].between(0, 100)
        | (frame["note"].str.len() > 64)
    )
    frame[~bad].to_parquet(out / f"{number}.parquet", compression="zstd", index=False)
    frame[bad].to_csv(out / f"{number}-bad.csv", index=False)
