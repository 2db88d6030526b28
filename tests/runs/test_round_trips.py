"""How often a run asks PostgreSQL: each exchange costs the way to the server and back."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

pytest.importorskip("psycopg")

from workplaces import Workplace

from headgate.lake import RunState, postgres_sessions
from headgate.lake.postgres_lanes import Connection
from headgate.runs.wiring import LEASE
from headgate.testing.postgres_servers import PostgresServer

PIPELINE = """
import headgate as hg
import polars as pl

@hg.step(mode="append")
def events() -> pl.DataFrame:
    return pl.DataFrame({"id": [1, 2, 3]})

@hg.step
def total(events: pl.DataFrame) -> pl.DataFrame:
    return events.select(n=pl.len())
"""


@pytest.fixture
def place(
    tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workplace]:
    monkeypatch.setenv("TEST_METASTORE_SERVER", postgres.url("any").partition("?")[0])
    workplace = Workplace(tmp_path)
    yield workplace
    workplace.close()


@contextmanager
def counted(place: Workplace) -> Iterator[Counter[str]]:
    """Count exchanges by the method of the metastore they belong to."""
    counts: Counter[str] = Counter()
    names: list[str] = []
    stores = (type(place.lake.metastore), type(place.lake.metastore.turns))
    travel, execute = postgres_sessions._travel, postgres_sessions.execute

    def count() -> None:
        counts[names[-1] if names else "?"] += 1

    def travelling(connection: Connection, asked: object) -> object:
        count()
        with pytest.MonkeyPatch.context() as within:  # what it executes travels with it
            within.setattr(postgres_sessions, "execute", execute)
            return travel(connection, asked)  # type: ignore[arg-type]

    def executing(*given: object) -> object:
        count()
        return execute(*given)  # type: ignore[arg-type]

    def named(name: str, method: Callable[..., object]) -> Callable[..., object]:
        def calling(*given: object, **more: object) -> object:
            names.append(name)
            try:
                return method(*given, **more)
            finally:
                names.pop()

        return calling

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postgres_sessions, "_travel", travelling)
        patch.setattr(postgres_sessions, "execute", executing)
        for store, name, method in [(s, *item) for s in stores for item in vars(s).items()]:
            if callable(method) and not name.startswith("_"):
                patch.setattr(store, name, named(name, method))
        yield counts


def test_what_a_method_costs(place: Workplace) -> None:
    lake = place.lake
    with ExitStack() as publishing, place.hall.transaction("main") as transaction:
        with counted(place) as counts:
            transaction.write("t", [{"k": 1}], mode="append")
        assert counts["advance"] == 2
        with counted(place) as counts:
            until = lake.clock.now() + LEASE
            assert lake.metastore.heartbeat(transaction.id, fence=1, lease_until=until)
            lake.metastore.turns.drop_ticket("main", run=transaction.id)
            lake.branch("main")
        assert counts == {"heartbeat": 2, "drop_ticket": 1, "branch": 1}
        counts = publishing.enter_context(counted(place))
    assert {name: counts[name] for name in ("publish", "take_ticket", "set_run")} == {
        "publish": 1,
        "take_ticket": 2,
        "set_run": 2,
    }


def test_a_run_of_two_steps(place: Workplace) -> None:
    place.hall.run(place.pipeline(PIPELINE), target="main")
    with counted(place) as counts:
        result = place.hall.run(place.pipeline(PIPELINE), target="main", force=True)
    assert result.state is RunState.PUBLISHED
    assert counts["begin_run"] == 2
    assert counts["publish"] == 1
    assert counts["take_ticket"] == 2
    assert counts["advance"] == 2 * 2
    assert sum(counts.values()) <= 24, counts
