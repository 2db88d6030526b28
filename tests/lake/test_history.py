"""The lake's history: branches, tags, commits, log, window; and what is refused."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from headgate.clock import ManualClock
from headgate.errors import AlreadyExists, Conflict, HeadgateError, NotFound, Refused
from headgate.lake.entries import Entry
from headgate.lake.lake import Lake
from headgate.lake.metastore import RunRow, RunState
from headgate.lake.nodes import NodeReader, make_slot
from headgate.lake.opening import METASTORE_FILE
from headgate.lake.records import Commit, Record
from headgate.lake.trees import Tree
from headgate.names import CountingIds


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    with Lake.create(tmp_path / "lake", clock=ManualClock(), ids=CountingIds()) as lake:
        yield lake


def entry(content: object) -> Entry:
    return Entry(kind="blob", content=str(content))


def commit(lake: Lake, branch: str, **contents: object) -> Commit:
    changes = {
        f"table/{name}": None if content is None else entry(content)
        for name, content in contents.items()
    }
    record = Record(kind="transaction", at=lake.clock.now())
    return lake.commit_to(branch, lake.compose(lake.resolve(branch), changes, record))


def code_of(caught: pytest.ExceptionInfo[HeadgateError]) -> str:
    return caught.value.code


def test_a_lake_is_made_once(lake: Lake) -> None:
    with pytest.raises(AlreadyExists) as caught:
        Lake.create(lake.location, clock=lake.clock, ids=lake.ids)
    assert code_of(caught) == "lake-exists"


def test_a_new_lake_is_empty_and_its_main_protected(lake: Lake) -> None:
    head = lake.resolve("main")
    assert (head.number, head.parent, head.record.kind) == (0, None, "genesis")
    assert list(lake.tree(head).items()) == []
    assert lake.main == "main"
    assert [(branch.name, branch.protected) for branch in lake.branches()] == [("main", True)]


def test_a_lake_is_found_again_with_its_id(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    made = commit(lake, "dev", a=1)
    lake.close()
    with Lake.open(lake.location, clock=lake.clock, ids=lake.ids) as again:
        assert again.id == lake.id
        assert again.resolve("dev") == made
        assert again.tree(made).get("table/a") == entry(1)


def test_there_is_no_lake_where_none_was_made(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        Lake.open(tmp_path, clock=ManualClock(), ids=CountingIds())
    assert code_of(caught) == "no-lake"
    assert str(tmp_path) in caught.value.message


def test_a_new_lake_is_one_file(tmp_path: Path) -> None:
    Lake.create(tmp_path, clock=ManualClock(), ids=CountingIds()).close()
    assert METASTORE_FILE in {file.name for file in tmp_path.iterdir()}
    assert not [file.name for file in tmp_path.iterdir() if file.name.startswith(".")]


def test_the_main_branch_may_have_another_name(tmp_path: Path) -> None:
    with Lake.create(tmp_path, clock=ManualClock(), ids=CountingIds(), main="trunk") as lake:
        assert lake.main == "trunk"
        assert lake.resolve("trunk").number == 0


def test_commits_of_one_branch_are_not_seen_on_another(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    lake.create_branch("other", "dev")
    first = commit(lake, "dev", a=1)
    commit(lake, "other", b=1)
    assert dict(lake.tree(lake.resolve("dev")).items()) == {"table/a": entry(1)}
    assert dict(lake.tree(lake.resolve("other")).items()) == {"table/b": entry(1)}
    commit(lake, "dev", a=2)
    assert lake.tree(first).get("table/a") == entry(1)


def test_composing_stores_nothing(lake: Lake) -> None:
    head = lake.resolve("main")
    record = Record(kind="run", at=lake.clock.now())
    candidate = lake.compose(head, {"table/a": entry(1)}, record)
    assert candidate.tree.get("table/a") == entry(1)
    assert candidate.commit.tree == candidate.tree.root
    assert (candidate.commit.parent, candidate.commit.number) == (head.id, 1)
    assert candidate.nodes
    assert lake.metastore.commit(candidate.commit.id) is None
    assert not lake.metastore.get_nodes(list(candidate.nodes))


def test_the_second_commit_on_one_head_is_a_conflict(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    head = lake.resolve("dev")
    record = Record(kind="transaction", at=lake.clock.now())
    mine, yours = (lake.compose(head, {f"table/{n}": entry(n)}, record) for n in "ab")
    lake.commit_to("dev", mine)
    with pytest.raises(Conflict) as caught:
        lake.commit_to("dev", yours)
    assert code_of(caught) == "head-moved"
    assert lake.resolve("dev") == mine.commit


def test_a_protected_branch_takes_no_commit(lake: Lake) -> None:
    record = Record(kind="transaction", at=lake.clock.now())
    candidate = lake.compose(lake.resolve("main"), {"table/a": entry(1)}, record)
    with pytest.raises(Refused) as caught:
        lake.commit_to("main", candidate)
    assert code_of(caught) == "protected-branch"
    assert lake.resolve("main").number == 0


def test_a_commit_to_nowhere_is_not_found(lake: Lake) -> None:
    record = Record(kind="transaction", at=lake.clock.now())
    candidate = lake.compose(lake.resolve("main"), {"table/a": entry(1)}, record)
    with pytest.raises(NotFound) as caught:
        lake.commit_to("nowhere", candidate)
    assert code_of(caught) == "unknown-branch"


@pytest.mark.parametrize("name", ["run/abc", "run"])
def test_names_of_runs_are_reserved(lake: Lake, name: str) -> None:
    for create in (lake.create_branch, lake.create_tag):
        with pytest.raises(Refused) as caught:
            create(name, "main")
        assert code_of(caught) == "reserved-ref"


def test_a_name_is_a_branch_or_a_tag(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    lake.create_tag("v1", "main")
    for create in (lake.create_branch, lake.create_tag):
        for name in ("dev", "v1", "main"):
            with pytest.raises(AlreadyExists) as caught:
                create(name, "main")
            assert code_of(caught) == "ref-exists"


def test_what_is_protected_stays(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    lake.protect("dev")
    with pytest.raises(Refused) as caught:
        lake.delete_branch("dev")
    assert code_of(caught) == "protected-branch"
    lake.protect("dev", protected=False)
    lake.delete_branch("dev")
    with pytest.raises(NotFound):
        lake.branch("dev")


def test_the_main_branch_stays_even_without_protection(lake: Lake) -> None:
    lake.protect("main", protected=False)
    with pytest.raises(Refused) as caught:
        lake.delete_branch("main")
    assert code_of(caught) == "main-branch"


def test_the_branch_of_a_run_at_work_stays(lake: Lake) -> None:
    head = lake.resolve("main").id
    run = RunRow(
        id="aa",
        pipeline="p",
        target="main",
        branch="run/aa",
        state=RunState.RUNNING,
        fence=1,
        base=head,
        began=lake.clock.now(),
        owner="me",
        lease_until=lake.clock.now(),
    )
    lake.metastore.begin_run(run, fork_from=head)
    with pytest.raises(Refused) as caught:
        lake.delete_branch("run/aa")
    assert code_of(caught) == "run-open"
    with pytest.raises(Refused) as caught:
        lake.protect("run/aa")
    assert code_of(caught) == "run-branch"
    lake.metastore.set_run("aa", fence=1, state=RunState.ABANDONED)
    lake.delete_branch("run/aa")


@pytest.mark.parametrize("missing", ["branch", "tag", "delete_branch", "delete_tag", "protect"])
def test_an_unknown_name_is_answered_with_a_known_one(lake: Lake, missing: str) -> None:
    lake.create_branch("develop", "main")
    lake.create_tag("v10", "main")
    asked, meant = ("v1O", "v10") if "tag" in missing else ("devlop", "develop")
    with pytest.raises(NotFound) as caught:
        getattr(lake, missing)(asked)
    assert caught.value.hint == f"Did you mean {meant}?"


def test_the_log_is_the_first_parents_newest_first(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    made = [lake.resolve("main"), *(commit(lake, "dev", a=n) for n in range(150))]
    assert list(lake.log(made[-1])) == made[::-1]
    assert list(lake.log(made[-1], limit=3)) == made[:-4:-1]
    assert list(lake.log(made[-1], limit=100)) == made[:-101:-1]
    assert list(lake.log(made[5], limit=0)) == []


def test_the_log_of_a_table_is_the_commits_that_changed_it(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    created = commit(lake, "dev", a=1)
    commit(lake, "dev", b=1)
    changed = commit(lake, "dev", a=2, b=2)
    commit(lake, "dev", a=2, c=1)
    dropped = commit(lake, "dev", a=None)
    head = commit(lake, "dev", b=3)
    assert list(lake.log(head, table="a")) == [dropped, changed, created]
    assert list(lake.log(head, table="a", limit=2)) == [dropped, changed]
    assert list(lake.log(head, table="z")) == []


def test_a_window_is_what_came_after_a_number(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    made = [lake.resolve("main"), *(commit(lake, "dev", a=n) for n in range(20))]
    assert lake.window(made[-1], 17) == made[18:]
    assert lake.window(made[-1], 20) == []
    assert lake.window(made[4], 0) == made[1:5]
    with Lake.open(lake.location, clock=lake.clock, ids=lake.ids) as fresh:
        assert fresh.window(made[-1], -1) == made


def test_branches_meet_where_they_forked(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    commit(lake, "dev", a=1)
    fork = commit(lake, "dev", a=2)
    lake.create_branch("side", "dev")
    dev, side = commit(lake, "dev", a=3), commit(lake, "side", b=1)
    assert lake.merge_base(dev, side) == fork
    assert lake.merge_base(dev, lake.resolve("main")).number == 0
    assert lake.is_ancestor(fork.id, side)
    assert not lake.is_ancestor(dev.id, side)


def test_branching_and_tagging_copy_nothing(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    commit(lake, "dev", **{f"t{n}": n for n in range(500)})
    lake.close()
    before = (lake.location / METASTORE_FILE).stat().st_size
    lake.create_branch("copy", "dev")
    lake.create_tag("v1", "dev")
    lake.close()
    assert (lake.location / METASTORE_FILE).stat().st_size == before


def test_a_moved_lake_is_the_same_lake(lake: Lake, tmp_path: Path) -> None:
    lake.create_branch("dev", "main")
    made = commit(lake, "dev", a=1)
    lake.close()
    moved = lake.location.rename(tmp_path / "moved")
    with Lake.open(moved, clock=lake.clock, ids=lake.ids) as again:
        assert (again.id, again.resolve("dev")) == (lake.id, made)


def test_time_passes_between_moves(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    assert isinstance(lake.clock, ManualClock)
    made = []
    for n in range(3):
        lake.clock.move(timedelta(hours=1))
        made.append(commit(lake, "dev", a=n))
    assert lake.resolve("dev@{2026-01-01T02:30Z}") == made[1]


def damage(lake: Lake, statement: str, *parameters: object) -> None:
    """Change the metastore behind the lake's back."""
    lake.close()
    with closing(sqlite3.connect(lake.location / METASTORE_FILE)) as connection, connection:
        assert connection.execute(statement, parameters).rowcount == 1


def long_history(lake: Lake) -> Commit:
    lake.create_branch("dev", "main")
    commit(lake, "dev", **{f"t{n}": n for n in range(300)})
    commit(lake, "dev", t7="x" * 2_000)
    head = commit(lake, "dev", t7=7)
    lake.create_tag("v1", "dev~1")
    return head


def test_a_whole_history_verifies(lake: Lake) -> None:
    long_history(lake)
    assert list(lake.verify()) == list(lake.verify(every_tree=True)) == []


def test_a_damaged_commit_is_found(lake: Lake) -> None:
    head = long_history(lake)
    damage(lake, "update commits set body = x'00' where id = ?", head.parent)
    assert {error.facts["commit"] for error in lake.verify()} == {head.parent}


def test_every_damaged_or_missing_node_is_found(lake: Lake) -> None:
    head = long_history(lake)
    nodes = Tree.empty(NodeReader(lake.metastore)).with_changes(dict(lake.tree(head).items()))
    leaves = sorted(set(nodes.new_nodes) - {bytes.fromhex(head.tree)})[:2]
    damage(lake, "update nodes set body = x'0041' where hash = ?", leaves[0])
    damage(lake, "delete from nodes where hash = ?", leaves[1])
    found = {(error.code, error.facts["node"]) for error in lake.verify()}
    assert found == {("corrupt-node", leaves[0].hex()), ("missing-node", leaves[1].hex())}


def test_a_lost_value_of_an_old_tree_is_found_when_every_tree_is_read(lake: Lake) -> None:
    long_history(lake)
    lake.delete_tag("v1")
    values: dict[bytes, bytes] = {}
    make_slot(msgspec.msgpack.encode(entry("x" * 2_000)), values)
    (value,) = values
    damage(lake, "delete from nodes where hash = ?", value)
    assert list(lake.verify()) == []
    assert [error.code for error in lake.verify(every_tree=True)] == ["missing-node"]


def test_the_history_loads_no_heavy_library() -> None:
    script = (
        "import sys, headgate.lake.lake\n"
        "heavy = {'pyarrow', 'pyiceberg', 'duckdb', 'polars', 'sqlglot', 'pydantic'}\n"
        "sys.exit(repr(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
