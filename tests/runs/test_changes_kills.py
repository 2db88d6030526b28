"""SIGKILL while the source keeps changing: no transaction is torn, lost or doubled."""

import random
import signal
import time
from pathlib import Path
from threading import Event, Thread

import psycopg
import pytest
from killable import Killable
from workplaces import Workplace

from headgate.testing.postgres_servers import PostgresServer

KILLED = Killable("killed_changes.py")
LONGEST_S = 0.5
ACCOUNTS = 20
SUM = ACCOUNTS * 100


class Bank:
    """Moves money between accounts, and sometimes accounts to other numbers, until it is closed.

    Each transaction leaves the sum as it was, and writes down what it did, once.
    """

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        server.execute(
            "create table accounts (id int primary key, amount int not null, note text); "
            "create table transfers (number serial primary key, amount int not null); "
            f"insert into accounts select i, 100, 'new' from generate_series(1, {ACCOUNTS}) i"
        )
        self._closed = Event()
        self._thread = Thread(target=self._work, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        self._thread.join()

    def _work(self) -> None:
        dice = random.Random(3)
        with self._server.connect() as session:
            while not self._closed.wait(0.002):
                self._transfer(session, dice)

    def _transfer(self, session: psycopg.Connection, dice: random.Random) -> None:
        with session.transaction():
            rows = session.execute("select id from accounts order by id").fetchall()
            one, two = (row[0] for row in dice.sample(rows, 2))
            amount = dice.randint(1, 9)
            move = "update accounts set amount = amount + %s where id = %s"
            session.execute(move, (amount, one))
            session.execute(move, (-amount, two))
            if dice.random() < 0.2:
                session.execute("update accounts set id = id + 1000 where id = %s", (one,))
            if dice.random() < 0.1:
                session.execute("delete from accounts where id = %s and amount = 0", (two,))
            session.execute("insert into transfers (amount) values (%s)", (amount,))


def seen(root: Path) -> tuple[list[tuple[object, ...]], list[int]]:
    """Read what readers of main see now: accounts, and the numbers of transfers."""
    place = Workplace(root)
    try:
        accounts = [tuple(row.values()) for row in place.rows("accounts")]
        numbers = [int(str(row["number"])) for row in place.rows("transfers")]
        return sorted(accounts, key=str), sorted(numbers)
    finally:
        place.close()


def kill_at_random(root: Path, kills: int, seed: int) -> int:
    """Kill runs at random moments, read in between; give how many were killed unfinished."""
    dice = random.Random(seed)
    unfinished = 0
    with PostgresServer(wal_level="logical") as server:
        url = f"postgresql://owner:{server.password}@127.0.0.1:{server.port}/metastore"
        bank = Bank(server)
        try:
            KILLED.finish(root, url, resume=False)
            for kill in range(kills):
                process = KILLED.start(root, url, resume=dice.random() < 0.5)
                time.sleep(dice.uniform(0, LONGEST_S))
                process.send_signal(signal.SIGKILL)
                out, _ = process.communicate()
                unfinished += "done" not in out
                if kill % 3:
                    continue
                accounts, numbers = seen(root)
                assert sum(int(str(row[1])) for row in accounts) == SUM
                assert numbers == list(range(1, len(numbers) + 1))
        finally:
            bank.close()
        KILLED.finish(root, url, resume=True)
        KILLED.finish(root, url, resume=False)
        accounts, numbers = seen(root)
        assert accounts == sorted(server.execute("select * from accounts"), key=str)
        assert numbers == [
            row[0] for row in server.execute("select number from transfers order by 1")
        ]
    return unfinished


@pytest.mark.on_disk
def test_kills_tear_lose_and_double_nothing(tmp_path: Path) -> None:
    assert kill_at_random(tmp_path, kills=6, seed=1) > 0


@pytest.mark.soak
@pytest.mark.on_disk
def test_a_hundred_kills_tear_lose_and_double_nothing(tmp_path: Path) -> None:
    assert kill_at_random(tmp_path, kills=100, seed=2) > 10
