"""The flights example tells the truth: its counts are those that pandas finds in the raw files."""

import importlib.util
import json
import shutil
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import headgate
from headgate.errors import CheckFailed

pd = pytest.importorskip("pandas")

EXAMPLE = Path(__file__).parents[2] / "examples" / "flights"
SOURCES = ("airlines", "airports", "planes", "weather", "flights")
KEY = ["carrier", "flight", "origin", "time_hour"]


class Flights(NamedTuple):
    """The project after its first run, and the raw files as pandas reads them."""

    project: headgate.Project
    run: object
    raw: dict


@pytest.fixture(scope="module")
def data() -> Path:
    spec = importlib.util.spec_from_file_location("fetch_data", EXAMPLE / "fetch_data.py")
    assert spec is not None
    assert spec.loader is not None
    fetch_data = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fetch_data)
    try:
        fetch_data.fetch(fetch_data.DATA)
    except fetch_data.FetchError as error:
        pytest.skip(str(error))
    return fetch_data.DATA


def copy(directory: Path, data: Path) -> Path:
    for name in ("headgate.toml", "flights.py"):
        shutil.copy(EXAMPLE / name, directory)
    (directory / "data").symlink_to(data)
    return directory


@pytest.fixture(scope="module")
def flights(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flights]:
    directory = copy(tmp_path_factory.mktemp("flights"), data)
    raw = {name: read(data / f"{name}.csv") for name in SOURCES[:-1]}
    with zipfile.ZipFile(data / "flights.csv.zip") as archive, archive.open("flights.csv") as file:
        raw["flights"] = read(file)
    with headgate.open(directory) as project:
        yield Flights(project, project.run(), raw)


def read(file):
    return pd.read_csv(file, na_values=["NA"], keep_default_na=False)


def unregistered(raw):
    known = raw["planes"]["tailnum"]
    return raw["flights"]["tailnum"].notna() & ~raw["flights"]["tailnum"].isin(known)


def accepted(raw):
    return raw["flights"][~unregistered(raw)]


def keys(frame):
    return frame[KEY].assign(
        time_hour=pd.to_datetime(frame["time_hour"], utc=True).dt.as_unit("us")
    )


def same(ours, theirs, by):
    """Assert that two frames hold the same rows, their order and their integers' width aside."""
    theirs = theirs[list(ours.columns)]
    ours, theirs = (
        frame.sort_values(by).reset_index(drop=True).convert_dtypes() for frame in (ours, theirs)
    )
    pd.testing.assert_frame_equal(ours, theirs, check_dtype=False, rtol=1e-9)


def test_every_row_of_every_file_is_published_or_quarantined(flights: Flights) -> None:
    quarantined = flights.project.at("main").quarantines
    counts = {name: flights.project.table(name).rows + quarantined.get(name, 0) for name in SOURCES}
    assert counts == {name: len(frame) for name, frame in flights.raw.items()}


def test_quarantined_are_exactly_the_flights_of_aircraft_in_no_registry(flights: Flights) -> None:
    wrong = flights.raw["flights"][unregistered(flights.raw)]
    assert (len(wrong), wrong["tailnum"].nunique()) == (50_094, 721)
    published = flights.project.table("flights").to_pandas()
    assert flights.project.quarantine("flights").rows == len(wrong)
    same(keys(published), keys(accepted(flights.raw)), by=KEY)


def test_quarantined_is_the_hour_of_an_impossible_wind(flights: Flights) -> None:
    wrong = flights.raw["weather"]["wind_speed"] > 250
    assert flights.project.quarantine("weather").rows == wrong.sum() == 1


def defects(frame, raw) -> dict[str, int]:
    """Count the flights to airports in no list, and the arrivals without an air time."""
    unlisted = ~frame["dest"].isin(raw["airports"]["faa"])
    timeless = frame["arr_time"].notna() & frame["air_time"].isna()
    return {
        "dest in airports.faa": int(unlisted.sum()),
        "arrivals have an air time": int(timeless.sum()),
    }


def test_warnings_count_the_defects_among_the_published_rows(flights: Flights) -> None:
    verdict = next(each for each in flights.run.verdicts if each.table == "flights")
    warned = {each.check: each.violations for each in verdict.warnings}
    assert warned == defects(accepted(flights.raw), flights.raw)


def test_no_defect_of_the_raw_file_is_lost(flights: Flights) -> None:
    verdict = next(each for each in flights.run.verdicts if each.table == "flights")
    found = Counter({each.check: each.violations for each in verdict.warnings})
    for checks in flights.project.quarantine("flights").to_arrow()["checks"].to_pylist():
        found.update(checks if isinstance(checks, list) else json.loads(checks))
    raw = defects(flights.raw["flights"], flights.raw)
    assert raw == {"dest in airports.faa": 7_602, "arrivals have an air time": 717}
    assert found == {"tailnum in planes.tailnum": 50_094, **raw}


def test_delays_are_those_pandas_computes(flights: Flights) -> None:
    hours = flights.raw["weather"].query("not wind_speed > 250")
    hours = hours[["origin", "time_hour", "wind_speed", "precip"]]
    joined = accepted(flights.raw).merge(hours, on=["origin", "time_hour"], how="left")
    joined["in_rain"] = joined["dep_delay"].where(joined["precip"] > 0)
    expected = joined.groupby(["carrier", "hour"], as_index=False).agg(
        flights=("flight", "size"),
        cancelled=("dep_time", lambda times: times.isna().sum()),
        median_delay=("dep_delay", "median"),
        median_delay_in_rain=("in_rain", "median"),
        median_wind=("wind_speed", "median"),
    )
    expected = expected.merge(flights.raw["airlines"], on="carrier")
    same(flights.project.table("delays").to_pandas(), expected, by=["carrier", "hour"])


def test_routes_are_ranked_as_pandas_ranks_them(flights: Flights) -> None:
    routes = (
        accepted(flights.raw)
        .groupby(["origin", "dest"], as_index=False)
        .agg(
            flights=("flight", "size"),
            arrived=("arr_delay", "count"),
            median_arrival_delay=("arr_delay", "median"),
        )
    )
    routes = routes[routes["arrived"] >= 365]
    routes["place"] = routes["median_arrival_delay"].rank(method="min", ascending=False)
    names = flights.raw["airports"].set_index("faa")["name"]
    routes["airport"] = routes["dest"].map(names)
    same(flights.project.table("routes").to_pandas(), routes, by=["origin", "dest"])


def test_aircraft_flew_what_pandas_adds_up(flights: Flights) -> None:
    flown = accepted(flights.raw).dropna(subset=["air_time", "tailnum"])
    expected = flown.groupby("tailnum", as_index=False).agg(
        flights=("flight", "size"), miles=("distance", "sum"), hours=("air_time", "sum")
    )
    expected["hours"] = (expected["hours"] / 60).round(2)
    expected = expected.merge(flights.raw["planes"], on="tailnum")
    same(flights.project.table("aircraft").to_pandas(), expected, by=["tailnum"])


def test_a_second_run_has_nothing_to_do_and_makes_no_commit(flights: Flights) -> None:
    before = flights.project.at("main").commit.id
    second = flights.project.run()
    assert second.state == "nothing-to-do"
    assert flights.project.at("main").commit.id == before


def test_a_broken_change_does_not_reach_main(data: Path, tmp_path: Path) -> None:
    directory = copy(tmp_path, data)
    with headgate.open(directory) as project:
        project.run()
        before = project.at("main").commit.id
        source = directory / "flights.py"
        right, wrong = "delay.median().alias", "(delay.median() * 60).alias"
        source.write_text(source.read_text().replace(right, wrong))
        with pytest.raises(CheckFailed):
            project.run()
        assert project.at("main").commit.id == before
        failed = project.runs(limit=1)[0]
        worst = project.at(failed.branch).sql("select max(median_delay) as worst from delays")
        assert worst.to_rows()[0]["worst"] > 1500
