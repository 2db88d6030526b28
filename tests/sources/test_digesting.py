"""Digests of files are remembered by all who learn them at the same time."""

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier

from headgate.clock import ManualClock
from headgate.sources.digesting import Digests

WORKERS = 8


def test_steps_that_save_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    clock = ManualClock(datetime.now(UTC) + timedelta(hours=1))
    at_once = Barrier(WORKERS)

    def learn(number: int) -> None:
        file = tmp_path / f"{number}.csv"
        file.write_text(str(number))
        for turn in range(5):
            digests = Digests(tmp_path / "cache", clock)
            file.write_text(f"{number} {turn}" + " " * turn)
            digests.state(file)
            at_once.wait()
            digests.save()

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(learn, range(WORKERS)))
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["digests.json"]


def test_what_one_learned_after_another_began_is_kept(tmp_path: Path) -> None:
    clock = ManualClock(datetime.now(UTC) + timedelta(hours=1))
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    both = [Digests(tmp_path / "cache", clock) for _ in range(2)]
    for file, digests in zip((first, second), both, strict=True):
        file.write_text("id\n1\n")
        digests.state(file)
        digests.save()
    known = Digests(tmp_path / "cache", clock)
    known.state(first), known.state(second)
    (tmp_path / "cache" / "digests.json").unlink()
    known.save()
    assert not (tmp_path / "cache" / "digests.json").exists()


def test_a_file_written_over_under_its_old_size_and_time_is_another(tmp_path: Path) -> None:
    clock = ManualClock(datetime.now(UTC) + timedelta(hours=1))
    file = tmp_path / "data.csv"
    seen = set()
    for text in ("k\n1\n", "k\n2\n"):
        file.write_text(text)
        os.utime(file, (1_000_000_000, 1_000_000_000))
        digests = Digests(tmp_path / "cache", clock)
        seen.add(digests.state(file).digest)
        digests.save()
    assert len(seen) == 2
