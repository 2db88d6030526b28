"""Every departure from New York in 2013: real data with real defects, checked on the way in.

Five files come in; delays by carrier and hour, routes by their delay and the use of each aircraft
go out. What the contracts below say of the data is true of it, except where they say otherwise.
"""

from typing import Annotated

import pandas as pd
import polars as pl

import headgate as hg


class Airline(hg.Contract, rules=(hg.unique("carrier"), hg.rows(at_least=16))):
    """A carrier and its name."""

    carrier: Annotated[str, hg.pattern("^[0-9A-Z]{2}$")]
    name: str


class Airport(hg.Contract, rules=(hg.unique("faa"),)):
    """An airport of the United States. Some destinations of 2013 are not in this list."""

    faa: Annotated[str, hg.length(at_least=3, at_most=3)]
    name: str
    lat: Annotated[float, hg.between(-90, 90)]
    lon: Annotated[float, hg.between(-180, 180)]
    alt: Annotated[int, hg.between(-100, 15_000)]  # feet
    tz: Annotated[int, hg.between(-12, 14)]  # hours from UTC
    dst: Annotated[str, hg.one_of("A", "U", "N")]
    tzone: str | None


class Plane(hg.Contract, rules=(hg.unique("tailnum"),)):
    """An aircraft in the registry of the Federal Aviation Administration."""

    tailnum: Annotated[str, hg.pattern("^N[0-9A-Z]{1,5}$")]
    year: Annotated[int | None, hg.between(1950, 2013)]
    type: str
    manufacturer: str
    model: str
    engines: Annotated[int, hg.between(1, 4)]
    seats: Annotated[int, hg.between(1, 500)]
    speed: Annotated[int | None, hg.between(50, 1000)]  # miles per hour
    engine: str


class Weather(hg.Contract, rules=(hg.unique("origin", "time_hour"),)):
    """An hour of weather at one of the three airports."""

    origin: Annotated[str, hg.one_of("EWR", "JFK", "LGA")]
    temp: Annotated[float | None, hg.between(-40, 130)]  # Fahrenheit
    humid: Annotated[float | None, hg.between(0, 100)]  # per cent
    wind_dir: Annotated[int | None, hg.between(0, 360)]  # degrees
    wind_speed: Annotated[float | None, hg.between(0, 250, severity="quarantine")]  # miles per hour
    wind_gust: Annotated[float | None, hg.between(0, 250)]  # miles per hour
    precip: Annotated[float, hg.between(0, 20)]  # inches
    pressure: Annotated[float | None, hg.between(870, 1085)]  # millibars
    visib: Annotated[float, hg.between(0, 10)]  # miles
    time_hour: hg.UtcTimestamp


class Flight(
    hg.Contract,
    rules=(
        hg.unique("carrier", "flight", "origin", "time_hour"),
        hg.expression(
            "arr_time is null or dep_time is not null", name="no arrival without departure"
        ),
        hg.expression(
            "arr_time is null or air_time is not null",
            name="arrivals have an air time",
            severity="warn",
        ),
        hg.rows(at_least=200_000),
    ),
):
    """A departure. One in seven is of an aircraft that no registry knows."""

    carrier: Annotated[str, hg.references("airlines.carrier")]
    flight: Annotated[int, hg.between(1, 9999)]
    origin: Annotated[str, hg.one_of("EWR", "JFK", "LGA")]
    dest: Annotated[str, hg.references("airports.faa", severity="warn")]
    tailnum: Annotated[str | None, hg.references("planes.tailnum", severity="quarantine")]
    dep_time: Annotated[int | None, hg.between(1, 2400)]  # hours * 100 + minutes, local
    dep_delay: Annotated[int | None, hg.between(-60, 1500)]  # minutes
    arr_time: Annotated[int | None, hg.between(1, 2400)]
    arr_delay: Annotated[int | None, hg.between(-120, 1500)]  # minutes
    air_time: Annotated[int | None, hg.between(10, 800)]  # minutes
    distance: Annotated[int, hg.between(1, 6000)]  # miles
    hour: Annotated[int, hg.between(0, 23)]  # scheduled, local
    minute: Annotated[int, hg.between(0, 59)]
    time_hour: hg.UtcTimestamp


class Delay(hg.Contract, rules=(hg.unique("carrier", "hour"),)):
    """How late a carrier leaves, by the hour of its schedule."""

    carrier: str
    name: str
    hour: Annotated[int, hg.between(0, 23)]
    flights: Annotated[int, hg.between(1, None)]
    cancelled: Annotated[int, hg.between(0, None)]
    median_delay: Annotated[float | None, hg.between(-60, 1500)]  # minutes
    median_delay_in_rain: Annotated[float | None, hg.between(-60, 1500)]  # minutes
    median_wind: Annotated[float | None, hg.between(0, 250)]  # miles per hour


class Usage(hg.Contract, rules=(hg.unique("tailnum"),)):
    """What an aircraft did in 2013, as far as New York saw it."""

    tailnum: str
    manufacturer: str
    model: str
    seats: int
    flights: Annotated[int, hg.between(1, 3000)]
    miles: Annotated[int, hg.between(1, None)]
    hours: Annotated[float, hg.between(0, 8760)]


flights_2013 = hg.pipeline()

airlines = hg.files("data/airlines.csv", contract=Airline, null=("NA",))
airports = hg.files("data/airports.csv", contract=Airport, null=("NA",))
planes = hg.files("data/planes.csv", contract=Plane, null=("NA",))
weather = hg.files("data/weather.csv", contract=Weather, null=("NA",))
flights = hg.files("data/flights.csv.zip", contract=Flight, null=("NA",))


@hg.step(contract=Delay)
def delays(flights: pl.LazyFrame, weather: pl.LazyFrame, airlines: pl.LazyFrame) -> pl.LazyFrame:
    """Departure delays by carrier and scheduled hour, beside the weather they left in."""
    hours = weather.select("origin", "time_hour", "wind_speed", "precip")
    delay = pl.col("dep_delay")
    return (
        flights.join(hours, on=["origin", "time_hour"], how="left")
        .group_by("carrier", "hour")
        .agg(
            pl.len().cast(pl.Int64).alias("flights"),
            pl.col("dep_time").is_null().sum().cast(pl.Int64).alias("cancelled"),
            delay.median().alias("median_delay"),
            delay.filter(pl.col("precip") > 0).median().alias("median_delay_in_rain"),
            pl.col("wind_speed").median().alias("median_wind"),
        )
        .join(airlines, on="carrier")
        .sort("carrier", "hour")
    )


worst = hg.sql_step("""
    select name, max(median_delay) as worst_median_delay, arg_max(hour, median_delay) as hour
    from delays
    where flights >= 100
    group by name
    order by worst_median_delay desc
""")

routes = hg.sql_step("""
    select
      origin,
      dest,
      airports.name as airport,
      count(*) as flights,
      median(arr_delay) as median_arrival_delay,
      rank() over (order by median(arr_delay) desc) as place
    from flights
    left join airports on dest = faa
    group by origin, dest, airport
    having count(arr_delay) >= 365
    order by place, origin, dest
""")


@hg.step(contract=Usage)
def aircraft(flights: pd.DataFrame, planes: pd.DataFrame) -> pd.DataFrame:
    """How much each registered aircraft flew, the busiest first."""
    flown = flights[flights["air_time"].notna()]
    used = flown.groupby("tailnum", as_index=False).agg(
        flights=("flight", "size"), miles=("distance", "sum"), hours=("air_time", "sum")
    )
    used["hours"] = (used["hours"] / 60).round(2)
    registry = planes[["tailnum", "manufacturer", "model", "seats"]]
    return registry.merge(used, on="tailnum").sort_values(["miles", "tailnum"], ascending=False)
