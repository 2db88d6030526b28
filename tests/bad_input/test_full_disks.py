"""A disk without room: in a step's output, in quarantine, in the metastore."""

import os
import subprocess

BIG = """
big = hg.sql_step(
    "select i, hash(i)::varchar as one, hash(i + 1)::varchar as two from range({}) t(i)"
)
"""
REJECTED = """
import polars as pl

class Big(hg.Contract):
    i: Annotated[int, hg.between(0, 10, severity="quarantine")]
    text: str

@hg.step(contract=Big)
def big() -> pl.LazyFrame:
    words = pl.col("i").hash().cast(pl.String) + pl.col("i").hash(1).cast(pl.String)
    return pl.LazyFrame({{"i": range({})}}).with_columns(text=words)
"""


def filled_and_freed(disk, pipeline, rows):
    disk.steps(pipeline.format(10))
    disk("run")
    head = disk.head()
    disk.steps(pipeline.format(rows))
    said = disk("run", exits=8)
    assert "✗ big: No space left on the disk for " in said.err
    assert "Free space." in said.err
    disk.is_unchanged(head, said)
    assert disk.rows("select count(*) as n from big") == [{"n": 10}]
    free = os.statvfs(disk.root)
    assert free.f_bavail * free.f_frsize > 6_000_000  # nothing half-written is left
    disk.steps(pipeline.format(11))
    disk("resume", said.resume)
    assert disk.rows("select count(*) as n from big") == [{"n": 11}]
    disk("doctor", "--files")


def test_a_step_that_fills_the_disk_leaves_nothing_and_resumes(small_disk):
    filled_and_freed(small_disk, BIG, 1_500_000)


def test_a_quarantine_that_fills_the_disk_leaves_nothing_and_resumes(small_disk):
    filled_and_freed(small_disk, REJECTED, 700_000)


def test_a_full_disk_under_the_metastore_loses_nothing(small_disk):
    small_disk("run")
    head = small_disk.head()
    filler = small_disk.root / "filler"
    subprocess.run(
        ["dd", "if=/dev/zero", f"of={filler}", "bs=4k"], check=False, capture_output=True
    )
    small_disk.steps(BIG.format(10))
    for command in (("run",), ("status",), ("sql", "select * from numbers")):
        said = small_disk(*command, exits=8)
        assert "The disk is full: there is no room to write" in said.err
        assert "Nothing was changed." in said.err
        assert "Free some space" in said.err
    filler.unlink()
    assert small_disk.head() == head
    small_disk("run")
    assert small_disk.rows("select count(*) as n from big") == [{"n": 10}]
    small_disk("doctor", "--files")


def test_a_disk_that_fills_while_a_step_runs_is_named_and_the_run_resumed(small_disk):
    small_disk.steps(
        """
        import os

        @hg.step
        def big(numbers: Iterator[dict]) -> list[dict]:
            try:
                with open(os.path.join(ROOT, "filler"), "wb", buffering=0) as filler:
                    while True:
                        filler.write(bytes(4096))
            except OSError:
                return [{"n": 1}]
        """.replace("ROOT", repr(str(small_disk.root)))
    )
    said = small_disk.apart("run", exits=8)
    assert "No space left on the disk" in said.err or "The disk is full" in said.err
    assert "Not published" in said.err
    (small_disk.root / "filler").unlink()
    small_disk.steps('big = hg.sql_step("select 1 as n")\n')
    assert "Published 2 tables" in small_disk("resume", said.resume).err
