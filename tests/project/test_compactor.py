"""Small files are compacted behind the publications that make them many; nobody waits for it."""

from pathlib import Path

import pytest

from headgate.events import RunFailed, RunPublished
from headgate.lake import RunState

AFTER = {"environment": {"HEADGATE_LAKE_COMPACT_AFTER": "4"}}


@pytest.fixture(autouse=True)
def settings(write):
    """A project without pipelines."""
    write("headgate.toml", '[project]\nname = "stream"\n')


def appended(project, times, table="t"):
    for n in range(times):
        with project.transaction() as transaction:
            transaction.write(table, [{"n": n}], mode="append")


def kinds(project):
    return [commit.record.kind for commit in project.log()]


def count(project, table="t"):
    return project.table(table).entry.table.files


def test_a_publication_that_makes_too_many_small_files_has_them_compacted(opened):
    project = opened(**AFTER)
    appended(project, 3)
    assert project.settle()
    assert count(project) == 3
    appended(project, 1)
    assert project.settle()
    assert count(project) == 1
    assert kinds(project)[0] == "maintenance"
    assert sorted(row["n"] for row in project.table("t").to_rows()) == [0, 0, 1, 2]


def test_a_stream_of_appends_keeps_few_files(opened):
    project = opened(**AFTER)
    appended(project, 40)
    assert project.settle()
    assert count(project) <= 3 * 4
    assert sorted(row["n"] for row in project.table("t").to_rows()) == list(range(40))


def test_closing_waits_for_it_and_readers_of_the_branch_see_no_change(opened):
    heard = []
    project = opened(**AFTER, listeners=[heard.append])
    appended(project, 4)
    project.close()
    assert count(project) == 1
    told = [event for event in heard if isinstance(event, RunPublished)]
    assert [event.tables for event in told] == [("t",)] * 4 + [()]


def test_nothing_happens_by_itself_where_it_is_switched_off(opened):
    project = opened(environment={"HEADGATE_LAKE_COMPACT_AFTER": "0"})
    appended(project, 6)
    project.close()
    assert count(project) == 6
    assert project.plan_compaction("t", due=True)[0].groups == ()
    [done] = project.compact("t")
    assert done.files_after == 1


def test_what_fails_behind_a_publication_fails_nobody_and_is_told(opened):
    heard = []
    project = opened(**AFTER, listeners=[heard.append])
    appended(project, 3)
    lake = project.lake
    [first, *_] = lake.tables.files(project.table("t").entry)
    path = Path(lake.tables.absolute(first.path))
    content = bytearray(path.read_bytes())
    content[8] ^= 1
    path.write_bytes(bytes(content))
    appended(project, 3)
    assert project.settle()
    assert count(project) == 6
    failed = [event for event in heard if isinstance(event, RunFailed)]
    assert [event.code for event in failed] == ["data-file-damaged"]  # not for each publication
    assert not project.runs(states=[RunState.FAILED])


def test_by_policy_only_what_is_due_is_compacted(opened):
    project = opened(environment={"HEADGATE_LAKE_COMPACT_AFTER": "0"})
    appended(project, 99, "nearly")
    appended(project, 2, "few")
    # as many as the default says, where nothing happens without being asked
    assert [plan.groups for plan in project.plan_compaction(due=True)] == [(), ()]
    appended(project, 1, "nearly")
    done = {each.table: each.files_after for each in project.compact(due=True)}
    assert done == {"few": 2, "nearly": 1}


@pytest.mark.parametrize("table", ["other", ""])
def test_a_table_that_is_not_there_is_named(opened, table):
    project = opened(**AFTER)
    appended(project, 1)
    with pytest.raises(LookupError, match="There is no table"):
        project.compact(table)
