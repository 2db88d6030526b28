"""Ancestry by jumps answers what walking answers, in logarithmically many look-ups."""

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import Corrupt
from headgate.filesets import DataFile
from headgate.lake.commits import (
    Link,
    ancestor,
    decode_commit,
    encode_commit,
    is_ancestor,
    link_after,
    make_commit,
    merge_base,
)
from headgate.lake.operations import Append, Replace, Upsert
from headgate.lake.records import Read, Record, StepRecord, Write
from headgate.verdicts import CheckResult, Severity, State, Verdict

AT = datetime(2026, 11, 1, tzinfo=UTC)


class History:
    """Links by id, counting look-ups."""

    def __init__(self) -> None:
        self.links: dict[str, Link] = {}
        self.lookups = 0

    def __call__(self, id: str) -> Link:
        self.lookups += 1
        return self.links[id]

    def add(self, parent: str | None) -> str:
        id = f"c{len(self.links)}"
        link = link_after(None if parent is None else self.links[parent], id, self)
        self.links[id] = link
        return id

    def line(self, id: str) -> list[str]:
        walked = [id]
        while (parent := self.links[walked[-1]].parent) is not None:
            walked.append(parent)
        return walked


@st.composite
def histories(draw: st.DrawFn) -> History:
    history = History()
    history.add(None)
    for parent in draw(st.lists(st.integers(0, 1_000), min_size=40, max_size=60)):
        # mostly long lines, sometimes a fork
        count = len(history.links)
        history.add(f"c{count - 1 if parent % 3 else parent % count}")
    return history


@given(histories(), st.data())
def test_ancestors_are_those_one_meets_walking(history: History, data: st.DataObject) -> None:
    ids = st.sampled_from(sorted(history.links))
    a, b = data.draw(ids), data.draw(ids)
    line = history.line(a)
    for number in range(-1, len(line) + 1):
        found = ancestor(a, number, history)
        expected = line[::-1][number] if 0 <= number < len(line) else None
        assert (found and found.id) == expected
    assert is_ancestor(b, a, history) == (b in line)
    meeting = next(id for id in line if id in set(history.line(b)))
    assert merge_base(a, b, history).id == meeting
    assert merge_base(b, a, history).id == meeting


def test_far_ancestors_cost_few_lookups() -> None:
    history = History()
    main = history.add(None)
    early = ""
    for n in range(20_000):
        main = history.add(main)
        early = main if n == 10 else early
    side = history.add(early)
    history.lookups = 0
    assert merge_base(main, side, history).id == early
    assert history.lookups < 8 * math.log2(20_000)


def test_commits_of_two_lakes_have_no_base() -> None:
    history = History()
    a, b = history.add(None), history.add(None)
    with pytest.raises(LookupError):
        merge_base(a, b, history)


def record() -> Record:
    file = DataFile(
        path="data/a.parquet",
        rows=3,
        size_bytes=99,
        checksum="sha256:00",
        bounds={"n": (1, 3), "at": ("2026-01-01", None)},
        partition={"day": "2026-01-01"},
    )
    verdict = Verdict(
        table="t",
        contract="d" * 40,
        evaluator="1",
        contents={"table/t": "c"},
        state=State.PASSED,
        results=(
            CheckResult(
                check="n > 0",
                severity=Severity.WARN,
                violations=1,
                measured=3.0,
                examples=({"n": 0, "name": "é"},),
            ),
        ),
        valid_until=AT,
    )
    writes = (
        Write(
            key="table/t",
            operations=(
                Append(files=(file,)),
                Upsert(key_columns=("n",), files=(file,)),
                Replace(files=(), schema=()),
            ),
            content="c",
        ),
    )
    step = StepRecord(step="s", reads=(Read(key="table/", own=True),), writes=writes, wall_s=0.5)
    return Record(kind="run", at=AT, run="aa", steps=(step,), verdicts=(verdict,), low=3)


def test_a_commit_comes_back_whole() -> None:
    parent = make_commit(None, tree="0" * 40, record=Record(kind="genesis", at=AT))
    commit = make_commit(parent, tree="1" * 40, record=record())
    assert (commit.parent, commit.number) == (parent.id, 1)
    assert decode_commit(commit.id, encode_commit(commit)) == commit


def test_an_id_depends_on_all_that_the_commit_says() -> None:
    parent = make_commit(None, tree="0" * 40, record=Record(kind="genesis", at=AT))
    ids = {
        make_commit(above, tree=tree, record=said).id
        for above in (None, parent)
        for tree in ("0" * 40, "1" * 40)
        for said in (record(), Record(kind="run", at=AT), Record(kind="run", at=AT, message="x"))
    }
    assert len(ids) == 12
    assert make_commit(parent, tree="a", record=record()) == make_commit(
        parent, tree="a", record=record()
    )


def test_other_bytes_than_were_written_are_corrupt() -> None:
    commit = make_commit(None, tree="0" * 40, record=record())
    other = make_commit(None, tree="1" * 40, record=record())
    framed = encode_commit(commit)
    for damaged in (encode_commit(other), framed[:-1], b"", b"\x00\x93"):
        with pytest.raises(Corrupt) as caught:
            decode_commit(commit.id, damaged)
        assert caught.value.code == "corrupt-commit"
