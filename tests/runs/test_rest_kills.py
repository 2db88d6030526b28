"""SIGKILL while an API fails and keeps changing: every record once, its cursor with it."""

import random
import signal
import time
from pathlib import Path
from threading import Event, Thread

import pytest
from killable import Killable
from workplaces import Workplace

from headgate.testing.api_server import ApiServer, Asked, Listing, Told

KILLED = Killable("killed_rest.py")
LONGEST_S = 0.6
FAULTS = (
    Told(status=429, headers={"Retry-After": "0"}),
    Told(status=500),
    Told(drop=True),
    Told(body=b'{"data": [{"id": 1', claim=99),
)


def record(number: int) -> dict[str, object]:
    """Give a record; three of them share each value of ``at``."""
    at = number // 3
    return {
        "id": number,
        "at": f"2026-01-01T{at // 3600:02d}:{at // 60 % 60:02d}:{at % 60:02d}Z",
        "tags": [str(number)],
    }


class Shop:
    """An API whose list grows until it is closed, and that fails now and then."""

    def __init__(self, seed: int) -> None:
        self.listing = Listing([record(number) for number in range(20)])
        self._dice = random.Random(seed)
        self._closed = Event()
        self._thread = Thread(target=self._grow, daemon=True)
        self._thread.start()

    def fault(self, asked: Asked) -> Told | None:
        return self._dice.choice(FAULTS) if self._dice.random() < 0.15 else None

    def close(self) -> None:
        self._closed.set()
        self._thread.join()

    def _grow(self) -> None:
        number = 20
        while not self._closed.wait(0.02):
            self.listing.add(record(number))
            number += 1


def seen(root: Path) -> dict[str, list[int]]:
    """Read what readers of main see now: the ids of each table."""
    place = Workplace(root)
    try:
        tables = ("new", "grown", "latest")
        return {table: sorted(int(str(row["id"])) for row in place.rows(table)) for table in tables}
    finally:
        place.close()


def kill_at_random(root: Path, kills: int, seed: int) -> int:
    """Kill runs at random moments, read in between; give how many were killed unfinished."""
    dice = random.Random(seed)
    unfinished = 0
    shop = Shop(seed)
    with ApiServer(shop.listing, fault=shop.fault) as server:
        try:
            KILLED.finish(root, server.url, resume=False)
            for kill in range(kills):
                process = KILLED.start(root, server.url, resume=dice.random() < 0.5)
                time.sleep(dice.uniform(0, LONGEST_S))
                process.send_signal(signal.SIGKILL)
                out, _ = process.communicate()
                unfinished += "done" not in out
                if kill % 3 == 0:
                    for ids in seen(root).values():
                        assert ids == list(range(len(ids)))
        finally:
            shop.close()
        KILLED.finish(root, server.url, resume=True)
        KILLED.finish(root, server.url, resume=False)
    everything = list(range(len(shop.listing.records)))
    assert seen(root) == {"new": everything, "grown": everything, "latest": everything}
    return unfinished


@pytest.mark.on_disk
def test_ten_kills_lose_and_double_no_record(tmp_path: Path) -> None:
    assert kill_at_random(tmp_path, kills=10, seed=1) > 0


@pytest.mark.soak
@pytest.mark.on_disk
def test_a_hundred_kills_lose_and_double_no_record(tmp_path: Path) -> None:
    assert kill_at_random(tmp_path, kills=100, seed=2) > 10
