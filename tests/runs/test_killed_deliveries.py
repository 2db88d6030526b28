"""SIGKILL in the middle of a delivery, an outage, two at once: each commit arrives once, in order.

The destination itself keeps the books: a trigger notes down every row that comes or changes, with
the transaction it was in.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import count
from pathlib import Path

import pyarrow as pa
import pytest

from headgate.errors import HeadgateError
from headgate.project import Project, open_project

pytest.importorskip("psycopg", exc_type=ImportError)

KILLED = Path(__file__).with_name("killed_delivery.py")
SCHEMAS = count(1)
ROWS = 2_000

BOOKS = """
set search_path to {schema};
create table events (n bigint, batch bigint);
create table latest (k bigint primary key, v bigint);
create table books (
    entry bigint generated always as identity, what text, of bigint, value bigint,
    inside text default pg_current_xact_id()::text
);
create function note() returns trigger language plpgsql as $$
begin
    if tg_table_name = 'latest' then
        insert into {schema}.books (what, of, value) values (tg_op, new.k, new.v);
    else
        insert into {schema}.books (what, of, value) values ('event', new.batch, new.n);
    end if;
    return new;
end $$;
create trigger note_events after insert on events for each row execute function note();
create trigger note_latest after insert or update on latest for each row execute function note();
"""


class Place:
    """A project whose sink is a schema of the server's own, with books."""

    def __init__(self, root: Path, server, *, port: int | None = None) -> None:
        self.server = server
        self.root = root
        self.schema = f"killed_{next(SCHEMAS)}"
        server.execute(f"create schema {self.schema}")
        server.execute(BOOKS.format(schema=self.schema))
        (root / "headgate.toml").write_text('[project]\nname = "p"\npipelines = ["sinks.py"]\n')
        (root / "sinks.py").write_text(
            f"""import headgate as hg
warehouse = hg.sink(
    "postgresql", host="127.0.0.1", port={port or server.port}, database="metastore",
    user="owner", password={server.password!r}, schema="{self.schema}",
    tables=["events", "latest"], key={{"latest": "k"}}, mode={{"events": "insert"}},
)
"""
        )
        self.project: Project = open_project(root, environment={})
        self.batches = 0

    def publish(self, rows: int = ROWS) -> None:
        """Publish one commit: more events, and other values under the same keys."""
        n = self.batches
        events = [{"n": n * rows + each, "batch": n} for each in range(rows)]
        with self.project.transaction() as tx:
            tx.write("events", pa.Table.from_pylist(events))
            latest = [{"k": k, "v": n} for k in range(5)]
            tx.write("latest", pa.Table.from_pylist(latest), mode="upsert", key="k")
        self.batches += 1

    def books(self) -> list[tuple[str, int, int, str]]:
        return self.server.execute(
            f"select what, of, value, inside from {self.schema}.books order by entry"
        )

    def check(self, rows: int = ROWS) -> None:
        """Every commit is there once, in order, each in one transaction."""
        total = self.server.execute(f"select count(*), count(distinct n) from {self.schema}.events")
        assert total == [(self.batches * rows, self.batches * rows)]
        latest = self.server.execute(f"select k, v from {self.schema}.latest order by k")
        assert latest == [(k, self.batches - 1) for k in range(5)]
        assert self.project.sinks()[0].behind == 0


@pytest.fixture
def place(tmp_path: Path, postgres) -> Iterator[Place]:
    place = Place(tmp_path, postgres)
    yield place
    place.project.close()
    postgres.execute(f"drop schema {place.schema} cascade")


def test_a_server_that_was_down_for_ten_commits_gets_each_once_in_order(
    tmp_path: Path, postgres
) -> None:
    from headgate.testing.postgres_servers import PostgresServer

    with PostgresServer() as server:
        place = Place(tmp_path, server)
        place.publish(100)
        place.project.deliver()
        server.stop()
        for number in range(10):
            place.publish(100)
            if number % 5 == 0:
                failures: dict[str, HeadgateError] = {}
                place.project.deliver(failed=failures.__setitem__)
                assert failures["warehouse"].code == "sink-unreachable"
        (state,) = place.project.sinks()
        assert (state.behind, state.has.number) == (10, 1)
        assert server.password not in repr(state)
        server.start()
        delivered = place.project.deliver()
        assert [each.number for each in delivered] == list(range(2, 12))
        place.check(100)
        books = place.books()
        place.project.close()
    of_latest = [(value, inside) for what, _, value, inside in books if what != "event"]
    seen = list(dict.fromkeys(of_latest))
    assert [value for value, _ in seen] == list(range(11))  # in order, each in one transaction
    assert len({inside for _, inside in seen}) == 11
    of_events = dict.fromkeys((of, inside) for what, of, _, inside in books if what == "event")
    assert list(of_events) == seen


class Deliverers:
    """A process whose children deliver, each until it is killed."""

    def __init__(self, root: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(KILLED), str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        )
        assert self._said() == "ready"

    def deliver(self) -> float:
        """Have a child deliver; give how many seconds that takes here."""
        self._begin()
        began = time.monotonic()
        assert self._said() == "0"
        return time.monotonic() - began

    def deliver_and_die(self, after_s: float) -> bool:
        """Have a child deliver and kill it; give whether it was killed before its end."""
        child = self._begin()
        time.sleep(after_s)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        code = int(self._said())
        assert code in {0, -signal.SIGKILL}
        return code != 0

    def close(self) -> None:
        _, errors = self._process.communicate(timeout=60)
        assert "Traceback" not in errors, errors

    def _begin(self) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write("deliver\n")
        self._process.stdin.flush()
        return int(self._said())

    def _said(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def kill_deliveries(place: Place, kills: int, seed: int) -> int:
    rng = random.Random(seed)
    unfinished = 0
    place.publish()
    with closing(Deliverers(place.root)) as deliverers:
        deliverers.deliver()
        place.publish()
        whole_s = deliverers.deliver()
        for _ in range(kills):
            for _ in range(rng.randrange(1, 3)):
                place.publish()
            unfinished += deliverers.deliver_and_die(rng.uniform(0, 1.5 * whole_s))
    place.project.deliver()
    place.check()
    inside: dict[int, set[str]] = {}
    for what, of, _, transaction in place.books():
        if what == "event":
            inside.setdefault(of, set()).add(transaction)
    assert {len(each) for each in inside.values()} == {1}  # none came in pieces
    return unfinished


def test_killed_in_mid_delivery_nothing_comes_twice_and_nothing_is_missing(place: Place) -> None:
    assert kill_deliveries(place, kills=10, seed=20260101)


@pytest.mark.soak
def test_killed_in_mid_delivery_at_a_hundred_moments(place: Place) -> None:
    unfinished = kill_deliveries(place, kills=100, seed=int(os.environ.get("SEED", "7")))
    assert unfinished >= 30


def test_deliverers_at_once_deliver_each_commit_once(place: Place) -> None:
    for _ in range(6):
        place.publish(200)
    begun, errors = threading.Barrier(3), []

    def deliver(project: Project) -> None:
        begun.wait()
        try:
            project.deliver()
        except HeadgateError as error:
            errors.append(error)

    projects = [open_project(place.root, environment={}) for _ in range(3)]
    for each in projects:
        assert each.discovery.declared.sinks  # user code is imported by one thread at a time
    threads = [threading.Thread(target=deliver, args=(each,)) for each in projects]
    for each in threads:
        each.start()
    for _ in range(3):
        place.publish(200)
    for each in threads:
        each.join()
    assert errors == []
    for each in projects:
        each.close()
    place.project.deliver()
    place.check(200)


def test_a_session_that_ends_in_mid_delivery_is_taken_up_again(place: Place) -> None:
    for _ in range(3):
        place.publish(500)
    ended = []

    def end(delivered) -> None:
        if len(ended) < 2:
            ended.append(place.server.end_sessions())

    place.project.deliver(done=end)
    place.check(500)


def test_a_secret_password_is_found_nowhere(tmp_path: Path, postgres) -> None:
    place = Place(tmp_path, postgres)
    place.publish(10)
    place.project.close()
    sinks = tmp_path / "sinks.py"
    plain = f"password={postgres.password!r}"
    assert plain in sinks.read_text()
    sinks.write_text(sinks.read_text().replace(plain, 'password=hg.secret("warehouse")'))
    for password, code in (("wr0ng-canary", "sink-login-refused"), (postgres.password, None)):
        environment = {"HEADGATE_SECRET_WAREHOUSE": password}
        with open_project(tmp_path, environment=environment) as project:
            failures: dict[str, HeadgateError] = {}
            project.deliver(failed=failures.__setitem__)
            assert [error.code for error in failures.values()] == ([code] if code else [])
            said = [repr(project.sinks()), *map(str, failures.values())]
            said += [repr(each.facts) for each in failures.values()]
            assert not [text for text in said if password in text]
        for file in tmp_path.rglob("*"):
            assert not file.is_file() or password.encode() not in file.read_bytes(), file
    ((*remembered,),) = postgres.execute(f"select * from {place.schema}.headgate_deliveries")
    assert postgres.password not in repr(remembered)
    postgres.execute(f"drop schema {place.schema} cascade")


def test_mysql_killed_in_mid_delivery_has_nothing_twice(tmp_path: Path, mariadb) -> None:
    pytest.importorskip("pymysql", exc_type=ImportError)
    mariadb.execute("create database killed")
    (tmp_path / "headgate.toml").write_text('[project]\nname = "p"\npipelines = ["sinks.py"]\n')
    (tmp_path / "sinks.py").write_text(
        f"""import headgate as hg
warehouse = hg.sink(
    "mysql", host="127.0.0.1", port={mariadb.port}, database="killed", user="owner",
    password={mariadb.password!r}, tables=["events", "latest"], changes="follow",
    key={{"latest": "k"}}, mode={{"events": "insert"}},
)
"""
    )
    rng = random.Random(11)
    rows = 200
    with open_project(tmp_path, environment={}) as project, closing(Deliverers(tmp_path)) as others:
        whole_s = 0.0
        for number in range(6):
            with project.transaction() as tx:
                events = [{"n": number * rows + each} for each in range(rows)]
                tx.write("events", pa.Table.from_pylist(events))
                column = "v" if number < 3 else "w"  # one column left: the table is exchanged
                latest = pa.Table.from_pylist([{"k": k, column: number} for k in range(5)])
                tx.write("latest", latest, mode="replace")
            if number < 2:
                whole_s = others.deliver()
                continue
            others.deliver_and_die(rng.uniform(0, 1.5 * whole_s))
        project.deliver()
    counted = "select count(*), count(distinct n) from killed.events"
    assert mariadb.execute(counted) == [(6 * rows, 6 * rows)]
    assert mariadb.execute("select k, w from killed.latest order by k") == [
        (k, 5) for k in range(5)
    ]
    mariadb.execute("drop database killed")
