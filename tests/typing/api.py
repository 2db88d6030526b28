"""The typed face of headgate, read by type checkers, never run: what a user writes must check."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Annotated, assert_type

import pandas as pd
import polars as pl
import pyarrow as pa

import headgate as hg


class Airline(hg.Contract):
    carrier: str
    name: str | None


flights = hg.files("data/flights*.csv", "more/*.csv", mode="upsert", key=("carrier", "flight"))
airlines = hg.files("data/airlines.csv", contract=Airline, delimiter=";")
gates = hg.files("s3://b/*.json", format="json", records="a.b", secret_access_key=hg.secret("k"))
issues = hg.airbyte(["source-github"], stream="issues", config={"t": hg.secret("t")}, key="id")
events = hg.source("kafka", topic="events", partition_by="day(at)")
orders = hg.rest(
    "https://api.example.org/v1",
    path="orders",
    records="data",
    pages={"by": "page", "size": 100, "total": "total"},
    since={"field": "updated_at", "overlap": timedelta(minutes=5)},
    auth={"bearer": hg.secret("shop")},
    retry={"attempts": 9, "longest": "2m"},
    key="id",
)
books = hg.pages("https://shop.example.org/", select="li", fields={"title": "b"}, delay=2)
assert_type(hg.page_records({"body": "[]"}, "data"), Iterator[dict[str, object]])


class Window(hg.Params):
    low: int
    high: int = 9


assert_type(Window(low=1).high, int)


@hg.step
def delays(flights: pl.LazyFrame, airlines: pl.LazyFrame) -> pl.LazyFrame:
    return flights.join(airlines, on="carrier")


assert_type(delays(pl.LazyFrame(), pl.LazyFrame()), pl.LazyFrame)


@hg.step(contract=Airline, mode="append", after=[flights, delays, "airlines"], sort_by="at")
def landed(
    rows: Annotated[pl.DataFrame, hg.table("raw.rows"), hg.incremental],
    changed: Annotated[pa.Table, hg.incremental(changes=True)],
    window: Window,
    now: hg.Now,
    seed: hg.Seed,
    minimum: int = 1,
) -> Iterator[dict[str, object]]:
    assert_type(now, datetime)
    assert_type(seed, int)
    yield {"a": minimum + window.low, "rows": rows.height, "changed": changed.num_rows}


@hg.step(name="used", key="tailnum")
def used(planes: pd.DataFrame) -> pd.DataFrame:
    return planes


assert_type(used(pd.DataFrame()), pd.DataFrame)

worst = hg.sql_step("select * from delays where x > $low", parameters=Window, contract=Airline)
best = hg.sql_step(file="sql/best.sql", parameters={"low": 1}, incremental=["delays"])
nightly = hg.pipeline(flights, delays, worst, isolation="snapshot-isolation")

decorated: Callable[[pl.LazyFrame, pl.LazyFrame], pl.LazyFrame] = delays

hg.files("a.csv", delimitre=";")  # type: ignore[call-arg]
hg.rest("https://x", pages={"by": "sheet"})  # type: ignore[typeddict-item]
hg.rest("https://x", mode="upsrt")  # type: ignore[arg-type]
hg.pages("https://x", robots="no")  # type: ignore[arg-type]
hg.airbyte(["x"], stream="y", repeats="yes")  # type: ignore[arg-type]
hg.files("a.csv", header=1)  # type: ignore[arg-type]
hg.files("a.csv", format="cvs")  # type: ignore[arg-type]
delays("text", pl.LazyFrame())  # type: ignore[arg-type]
hg.step(mode="overwrite")  # type: ignore[call-overload]
hg.step(contract=int)  # type: ignore[arg-type]
hg.pipeline(isolation="none")  # type: ignore[arg-type]
Window(low="text")  # type: ignore[arg-type]
Window(low=1).low = 2  # type: ignore[misc]

try:
    pass
except hg.HeadgateError as error:
    assert_type(error.code, str)
