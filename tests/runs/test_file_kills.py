"""SIGKILL while files come and change: every row once, its cursor with it."""

import gzip
import io
import json
import random
import signal
import time
import zipfile
from pathlib import Path
from threading import Event, Thread

import pytest
from killable import Killable
from workplaces import Workplace

KILLED = Killable("killed_files.py")
LONGEST_S = 0.8
TABLES = ("lines", "commas", "packed")


class Writers:
    """Programs that write files until they are closed: new ones, and changed ones."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.directory = directory
        self.files = 0
        self.latest: dict[int, int] = {}
        self._dice = random.Random(seed)
        self._closed = Event()
        directory.mkdir()
        self._write()
        self._thread = Thread(target=self._go_on, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        self._thread.join()

    @property
    def ids(self) -> list[int]:
        """What the files that come hold: ten ids each."""
        return list(range(10 * self.files))

    def _go_on(self) -> None:
        while not self._closed.wait(0.05):
            self._write()

    def _write(self) -> None:
        number = self.files
        ids = range(10 * number, 10 * number + 10)
        lines = "".join(json.dumps({"id": id, "tags": [str(id)]}) + "\n" for id in ids)
        self._put(f"lines{number}.jsonl.gz", gzip.compress(lines.encode()))
        commas = "id,x\n" + "".join(f"{id},x\n" for id in ids)
        self._put(f"commas{number}.csv", commas.encode())
        xml = "<r>" + "".join(f"<a id='{id}'/>" for id in ids) + "</r>"
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("one.xml", xml)
        self._put(f"packed{number}.zip", packed.getvalue())
        which = self._dice.randrange(5)
        made = {2 * which + n: number for n in range(2)}
        self._put(
            f"latest{which}.json",
            json.dumps([{"id": id, "version": version} for id, version in made.items()]).encode(),
        )
        self.latest |= made
        self.files += 1

    def _put(self, name: str, content: bytes) -> None:
        partial = self.directory.parent / f"{name}.partial"
        partial.write_bytes(content)
        partial.replace(self.directory / name)


def seen(root: Path, table: str) -> list[dict[str, object]]:
    """Read what readers of main see now."""
    place = Workplace(root)
    try:
        return [dict(row) for row in place.rows(table)]
    finally:
        place.close()


def kill_at_random(root: Path, kills: int, seed: int) -> int:
    """Kill runs at random moments, read in between; give how many were killed unfinished."""
    dice = random.Random(seed)
    unfinished = 0
    writers = Writers(root / "data", seed)
    try:
        KILLED.finish(root, resume=False)
        for kill in range(kills):
            process = KILLED.start(root, resume=dice.random() < 0.5)
            time.sleep(dice.uniform(0, LONGEST_S))
            process.send_signal(signal.SIGKILL)
            out, _ = process.communicate()
            unfinished += "done" not in out
            if kill % 3 == 0:
                for table in TABLES:
                    ids = [int(str(row["id"])) for row in seen(root, table)]
                    assert len(ids) == len(set(ids))
                    assert len(ids) % 10 == 0
    finally:
        writers.close()
    KILLED.finish(root, resume=True)
    KILLED.finish(root, resume=False)
    for table in TABLES:
        assert sorted(int(str(row["id"])) for row in seen(root, table)) == writers.ids
    found = {int(str(r["id"])): int(str(r["version"])) for r in seen(root, "latest")}
    assert found == writers.latest
    assert len(list((root / ".headgate").rglob("reading-*"))) <= 1
    return unfinished


@pytest.mark.on_disk
def test_ten_kills_lose_and_double_no_row(tmp_path: Path) -> None:
    assert kill_at_random(tmp_path, kills=10, seed=1) > 0


@pytest.mark.soak
@pytest.mark.on_disk
def test_a_hundred_kills_lose_and_double_no_row(tmp_path: Path) -> None:
    assert kill_at_random(tmp_path, kills=100, seed=2) > 10
