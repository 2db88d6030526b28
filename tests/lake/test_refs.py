"""Ref expressions: what they mean, and what they teach when they mean nothing."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.clock import ManualClock
from headgate.errors import HeadgateError, Invalid, NotFound
from headgate.lake.entries import Entry
from headgate.lake.lake import Lake
from headgate.lake.metastore import RunRow, RunState
from headgate.lake.records import Commit, Record
from headgate.lake.refs import RefExpression, parse
from headgate.names import CountingIds

START = datetime(2026, 11, 1, 9, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("main", {"place": "main"}),
        ("release/2026-11", {"place": "release/2026-11"}),
        ("main~", {"place": "main", "back": 1}),
        ("main~0", {"place": "main", "back": 0}),
        ("main~3", {"place": "main", "back": 3}),
        ("main~2~~3", {"place": "main", "back": 6}),
        ("9be2f1~12", {"place": "9be2f1", "back": 12}),
        ("run/7f3a~1", {"place": "run/7f3a", "back": 1}),
        ("main@{2026-11-01}", {"place": "main", "at": datetime(2026, 11, 1, tzinfo=UTC)}),
        ("main@{2026-11-01T09:30Z}", {"place": "main", "at": START + timedelta(minutes=30)}),
        ("main@{2026-11-01T09:30}", {"place": "main", "at": START + timedelta(minutes=30)}),
        ("main@{2026-11-01T10:00+01:00}", {"place": "main", "at": START}),
        ("a.b-c_d@{2026-11-01 09:00:00Z}~2", {"place": "a.b-c_d", "at": START, "back": 2}),
    ],
)
def test_expressions_are_read(text: str, expected: dict[str, object]) -> None:
    assert parse(text) == RefExpression(text=text, **expected)


@pytest.mark.parametrize(
    ("text", "code", "hint"),
    [
        ("main@c41d09", "bad-ref", "write c41d09 alone"),
        ("main@2026-11-01", "bad-ref", "main@{2026-11-01}"),
        ("main@", "bad-ref", "main@{2026-11-01}"),
        ("main@{2026-11-01", "bad-ref", "BRANCH@{2026-11-01T09:30Z}"),
        ("main@{yesterday}", "bad-instant", "main@{2026-11-01T09:30Z}"),
        ("main@{}", "bad-instant", "main@{2026-11-01}"),
        ("main^", "bad-ref", "main~1"),
        ("main^^", "bad-ref", "main~1"),
        ("", "bad-ref", "A ref is a branch"),
        ("main~x", "bad-ref", "~2"),
        ("~1", "bad-ref", "A ref is"),
        ("main~1@{2026-11-01}", "bad-ref", "A ref is"),
        ("-main", "bad-ref", "A ref is"),
        ("my branch", "bad-ref", "A ref is"),
    ],
)
def test_a_text_that_is_no_ref_is_told_how_to_become_one(text: str, code: str, hint: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse(text)
    assert caught.value.code == code
    assert hint in (caught.value.hint or "")


@given(st.text(max_size=30) | st.from_regex(r"[a-z0-9@{}~/.:-]{0,30}", fullmatch=True))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        expression = parse(text)
    except HeadgateError as error:
        taught = bool(error.hint)
        assert (error.code in {"bad-ref", "bad-instant"}, taught) == (True, True)  # noqa: PT017
    else:
        assert expression.place in text


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def lake(tmp_path: Path, clock: ManualClock) -> Iterator[Lake]:
    with Lake.create(tmp_path, clock=clock, ids=CountingIds()) as lake:
        yield lake


def grow(lake: Lake, branch: str, count: int, *, every: timedelta = DAY) -> list[Commit]:
    grown = [lake.resolve(branch)]
    for n in range(count):
        assert isinstance(lake.clock, ManualClock)
        lake.clock.move(every)
        changes = {f"blob/{branch}{n}": Entry(kind="blob", content=str(n))}
        record = Record(kind="transaction", at=lake.clock.now())
        grown.append(lake.commit_to(branch, lake.compose(grown[-1], changes, record)))
    return grown


def begin(lake: Lake, id: str) -> None:
    head = lake.branch("main").head
    run = RunRow(
        id=id,
        pipeline="p",
        target="main",
        branch=f"run/{id}",
        state=RunState.RUNNING,
        fence=1,
        base=head,
        began=lake.clock.now(),
        owner="me",
        lease_until=lake.clock.now(),
    )
    lake.metastore.begin_run(run, fork_from=head)


def test_branches_tags_and_commits_resolve(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    grown = grow(lake, "dev", 4)
    lake.create_tag("v1", grown[2])
    assert lake.resolve("dev") == grown[4]
    assert lake.resolve("v1") == grown[2]
    assert lake.resolve(grown[3].id) == grown[3]
    assert lake.resolve(grown[3].id[:9]) == grown[3]
    assert lake.resolve("main") == grown[0]


def test_counting_back_follows_first_parents(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    grown = grow(lake, "dev", 4)
    for back in range(5):
        assert lake.resolve(f"dev~{back}") == grown[4 - back]
    assert lake.resolve(f"{grown[3].id}~") == grown[2]
    with pytest.raises(NotFound) as caught:
        lake.resolve("dev~5")
    assert caught.value.code == "before-history"
    assert "dev~4" in (caught.value.hint or "")


def test_a_branch_as_of_an_instant_is_what_its_readers_saw(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    grown = grow(lake, "dev", 4)
    assert lake.resolve("dev@{2026-11-03T09:00Z}") == grown[2]
    assert lake.resolve("dev@{2026-11-03}") == grown[1]  # the day begins before nine
    assert lake.resolve("dev@{2026-11-03T09:00Z}~1") == grown[1]
    assert lake.resolve("dev@{2099-01-01}") == grown[4]
    with pytest.raises(NotFound) as caught:
        lake.resolve("dev@{2026-10-31}")
    assert caught.value.code == "before-history"


def test_what_never_moves_has_no_past(lake: Lake) -> None:
    lake.create_tag("v1", "main")
    for place in ("v1", lake.resolve("main").id):
        with pytest.raises(Invalid) as caught:
            lake.resolve(f"{place}@{{2026-11-03}}")
        assert caught.value.code == "bad-ref"


def test_runs_are_named_by_the_beginning_of_their_ids(lake: Lake) -> None:
    begin(lake, "7f3a00000001")
    begin(lake, "7f3b00000002")
    grown = grow(lake, "run/7f3a00000001", 2)
    assert lake.resolve("run/7f3a") == grown[2]
    assert lake.resolve("run/7f3a00000001~1") == grown[1]
    with pytest.raises(Invalid) as caught:
        lake.resolve("run/7f3")
    assert caught.value.code == "ambiguous-ref"
    assert caught.value.facts["candidates"] == ["run/7f3a00000001", "run/7f3b00000002"]
    with pytest.raises(NotFound):
        lake.resolve("run/8")


def test_a_run_without_its_branch_is_its_commit(lake: Lake) -> None:
    begin(lake, "7f3a00000001")
    (_, commit) = grow(lake, "run/7f3a00000001", 1)
    lake.metastore.set_run("7f3a00000001", fence=1, state=RunState.FAILED, commit=commit.id)
    lake.delete_branch("run/7f3a00000001")
    assert lake.resolve("run/7f3a") == commit


def test_a_prefix_of_several_commits_is_ambiguous(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    ids: dict[str, list[str]] = {}
    twins: list[str] = []
    while not twins:
        for commit in grow(lake, "dev", 40)[1:]:
            mates = ids.setdefault(commit.id[:4], [])
            mates.append(commit.id)
            twins = twins or (mates if len(mates) > 1 else [])
    with pytest.raises(Invalid) as caught:
        lake.resolve(twins[0][:4])
    assert caught.value.code == "ambiguous-ref"
    assert set(twins) <= set(caught.value.facts["candidates"])  # type: ignore[call-overload]


def test_a_branch_comes_before_a_commit_of_the_same_spelling(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    grown = grow(lake, "dev", 2)
    lake.create_branch(grown[2].id[:8], grown[1])
    assert lake.resolve(grown[2].id[:8]) == grown[1]
    assert lake.resolve(grown[2].id[:10]) == grown[2]


@pytest.mark.parametrize("ref", ["mian", "deev", "v2", "abc", "run/7", "0000000", "nothing~3"])
def test_an_unknown_ref_is_answered_with_one_that_is_known(lake: Lake, ref: str) -> None:
    lake.create_branch("dev", "main")
    lake.create_tag("v1", "main")
    with pytest.raises(NotFound) as caught:
        lake.resolve(ref)
    assert caught.value.code == "unknown-ref"
    meant = {"mian": "main", "deev": "dev"}.get(ref)
    expected = f"Did you mean {meant}?" if meant else ""
    assert expected in (caught.value.hint or "")
