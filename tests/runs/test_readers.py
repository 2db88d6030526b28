"""A reader sees the tables of one commit, whatever is published meanwhile."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from workplaces import Workplace

READER = Path(__file__).with_name("reader.py")
PIPELINE = """
import headgate as hg
import polars as pl

@hg.step
def a() -> pl.DataFrame:
    return pl.DataFrame({"version": [VERSION] * 10})

b = hg.sql_step("select version, count(*) as n from a group by version")
c = hg.sql_step("select version, n * 2 as m from b")
"""


def read_beside_publications(place: Workplace, reads: int, readers: int) -> int:
    """Publish while readers join; give how many versions were published meanwhile."""
    place.hall.run(place.pipeline(PIPELINE.replace("VERSION", "0")), target="main")
    started = [
        subprocess.Popen(
            [sys.executable, str(READER), str(place.root), str(reads // readers)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        )
        for _ in range(readers)
    ]
    version = 0
    while any(reader.poll() is None for reader in started):
        version += 1
        place.hall.run(place.pipeline(PIPELINE.replace("VERSION", str(version))), target="main")
    total = 0
    for reader in started:
        out, error = reader.communicate(timeout=60)
        assert reader.returncode == 0, error
        count, versions = map(int, out.split())
        assert versions > 1
        total += count
    assert total >= reads
    return version


def test_readers_never_see_a_mixture(place: Workplace) -> None:
    slower = 5 if "TEST_OBJECT_ENDPOINT" in os.environ else 1  # a run's writes are, not its reads
    assert read_beside_publications(place, reads=200 * slower, readers=2) > 1


@pytest.mark.soak
def test_four_readers_see_no_mixture_in_ten_thousand_reads(place: Workplace) -> None:
    assert read_beside_publications(place, reads=10_000, readers=4) > 10
