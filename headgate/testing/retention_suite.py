"""What every metastore's retention must do, as tests, beside the metastore's own suite.

>>> class TestMine(RetentionTests, MetastoreSuite):  # doctest: +SKIP
...     def make(self, directory, *, clock, genesis, nodes):
...         return MyMetastore.create(directory, clock=clock, genesis=genesis, nodes=nodes)
"""

# ruff: noqa: D102, PT017, S101 - these are tests; their names say what they show

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from headgate.errors import NotFound
from headgate.lake.metastore import (
    Branch,
    EventRow,
    Outcome,
    RunState,
    StepRow,
    StepState,
    Tag,
)
from headgate.lake.pins import Pin
from headgate.lake.records import Commit
from headgate.testing.metastore_under_test import SECOND, Situation

MINE, THEIRS = "this collection", "another"


class RetentionTests:
    """The part of the suite about pins, marks and what is taken away."""

    situation: Callable[[Path], AbstractContextManager[Situation]]

    # -- pins

    def test_a_pin_is_given_back_renewed_and_dropped(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            lease = replace(_pin(s, s.genesis, "a"), until=s.clock.now() + SECOND, since=3)
            fast = _pin(s, s.genesis, "b")
            retention = s.store.retention
            assert retention.pin(lease)
            assert retention.pin(fast)
            assert list(retention.pins()) == [lease, fast]
            retention.renew("me", until=s.clock.now() + 9 * SECOND)
            assert [pin.until for pin in retention.pins()] == [s.clock.now() + 9 * SECOND, None]
            assert retention.expire_pins(before=s.clock.now()) == 0
            assert retention.expire_pins(before=s.clock.now() + timedelta(days=1)) == 1
            retention.unpin("b")
            retention.unpin("b")
            assert list(retention.pins()) == []

    def test_a_run_that_ends_lets_go(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            run = s.begin("aaaa")
            assert s.store.retention.pin(replace(_pin(s, s.genesis, "a"), holder="aaaa"))
            assert s.store.take_over(run.id, owner="another", lease_until=run.lease_until)
            assert list(s.store.retention.pins()) == []

    def test_a_run_on_a_new_base_holds_what_it_had_made(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            run = s.begin("aaaa")
            (made,) = s.grow(run.branch)
            done = s.store.rebase_run("aaaa", fence=1, head=made.id, base=s.genesis.id)
            assert done is Outcome.DONE
            assert [pin.commit for pin in s.store.references().pins] == [made.id]

    # -- marks

    def test_marks_keep_their_first_time(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            first = s.clock.now()
            names = [f"data/{n}" for n in range(5)]
            s.store.retention.put_marks("file", names, at=first)
            s.store.retention.put_marks("file", [*names, "data/9"], at=first + SECOND)
            s.store.retention.drop_marks("file", names[1:])
            found = s.store.retention.marks("file", after="", limit=10)
            assert list(found) == [("data/0", first), ("data/9", first + SECOND)]
            assert list(s.store.retention.marks("file", after="data/0", limit=1)) == [
                ("data/9", first + SECOND)
            ]
            assert list(s.store.retention.marks("commit", after="", limit=10)) == []

    # -- commits

    def test_what_a_ref_reaches_is_not_collected(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.fork("dev")
            commits = s.grow("dev", 3)
            ids = [commit.id for commit in commits]
            known = {s.genesis.id}
            for refused in (ids[2:], ids[1:2], ids[:1]):  # the head, and what new commits follow
                assert _collect(s, refused, known) == refused
            assert s.store.retention.gone(ids) == {}
            assert _collect(s, ids[:2], known={*ids[2:]}) == []
            assert set(s.store.retention.gone(ids)) == set(ids[:2])

    def test_pins_tags_runs_and_leases_are_roots(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.fork("dev")
            ids = [commit.id for commit in s.grow("dev", 4)]
            retention = s.store.retention
            s.store.create_tag(Tag(name="v1", commit=ids[0], created=s.clock.now()))
            late = s.clock.now() - SECOND
            retention.pin(replace(_pin(s, s.known(ids[1]), "a"), until=s.clock.now()))
            retention.pin(replace(_pin(s, s.known(ids[2]), "b"), until=late))
            known = set(ids)
            rooted = _collect(s, ids[:3], known, leases_since=-SECOND / 2)
            assert rooted == sorted(ids[:2])
            retention.unpin("a")
            s.store.delete_tag("v1")
            assert _collect(s, ids[:3], known) == []

    def test_a_collected_commit_gets_no_root(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.fork("dev")
            old, new = s.grow("dev", 2)
            _collect(s, [old.id], {new.id, s.genesis.id})
            now = s.clock.now()
            assert not s.store.retention.pin(_pin(s, old, "a"))
            late = Branch(name="late", head=old.id, number=1, protected=False, created=now)
            actions: tuple[Callable[[], object], ...] = (
                partial(s.store.create_branch, late),
                partial(s.store.create_tag, Tag(name="late", commit=old.id, created=now)),
            )
            for action in actions:
                try:
                    action()
                except NotFound as error:
                    assert error.code == "commit-collected"
                else:
                    raise AssertionError(action)

    def test_a_root_clears_the_mark(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.store.retention.put_marks("commit", [s.genesis.id], at=s.clock.now())
            s.fork("dev")
            assert list(s.store.retention.marks("commit", after="", limit=9)) == []

    def test_only_rows_of_collected_commits_go(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.fork("dev")
            old, new = s.grow("dev", 2)
            _collect(s, [old.id], {new.id, s.genesis.id})
            assert s.store.retention.delete_commits([new.id, old.id]) == 1
            ids = {row.id for row in s.store.retention.commit_rows(after="", limit=9)}
            assert ids == {s.genesis.id, new.id}

    def test_operations_go_by_themselves(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.fork("dev")
            old, new = s.grow("dev", 2)
            retention, now = s.store.retention, s.clock.now()
            retention.put_marks("operations", [old.id, new.id], at=now)
            assert not retention.collect(
                (), [old.id], at=now, leases_since=now, is_known={new.id}.__contains__
            )
            assert [row.emptied for row in retention.gone([old.id, new.id]).values()] == [now]
            assert [name for name, _ in retention.marks("operations", after="", limit=9)] == [
                new.id
            ]
            assert retention.pin(_pin(s, old, "a"))
            assert not retention.pin(replace(_pin(s, old, "b"), since=0))

    # -- rows that say nothing any more

    def test_where_a_branch_was_is_forgotten_but_for_what_readers_saw(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.fork("dev")
            s.grow("dev", 3)
            moments = []
            for _ in range(3):
                s.clock.move(SECOND)
                (commit,) = s.grow("dev")
                moments.append((s.clock.now(), commit.id))
            assert s.store.retention.forget_moves("dev", before=s.clock.now() - SECOND) > 0
            assert s.store.head_at("dev", s.clock.now() - SECOND) == moments[-2][1]
            assert s.store.head_at("dev", s.clock.now()) == moments[-1][1]
            assert s.store.head_at("dev", s.clock.now() - 2 * SECOND) is None
            assert s.store.first_move("dev") == moments[-2]

    def test_runs_that_are_over_are_forgotten_in_part_or_whole(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            for id in ("aaaa", "bbbb", "cccc"):
                s.begin(id)
                step = StepRow(run=id, step="s", state=StepState.DONE, attempt=1)
                event = EventRow(run=id, step="s", kind="done", at=s.clock.now(), body={})
                assert s.store.record(id, fence=1, steps=[step], events=[event])
            for id in ("aaaa", "bbbb"):
                assert s.store.set_run(id, fence=1, state=RunState.ABANDONED)
            retention, late = s.store.retention, s.clock.now() + 9 * SECOND
            over = retention.ended_runs(before=late, after="", limit=9)
            assert [run.id for run in over] == ["aaaa", "bbbb"]
            assert list(retention.ended_runs(before=s.clock.now(), after="", limit=9)) == []
            retention.forget_runs(["aaaa"], ["bbbb"])
            assert [len(s.store.steps(id)) for id in ("aaaa", "bbbb", "cccc")] == [0, 0, 1]
            assert [len(s.store.events(run=id)) for id in ("aaaa", "bbbb", "cccc")] == [0, 0, 1]
            assert s.store.run("aaaa") is not None
            assert s.store.run("bbbb") is None
            assert [run.id for run in s.store.references().runs] == ["aaaa", "cccc"]

    # -- nodes

    def test_only_doomed_nodes_go(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            nodes = {bytes([i]) * 20: b"n" for i in range(1, 6)}
            s.store.put_nodes(nodes)
            names = sorted(nodes)
            retention = s.store.retention
            retention.doom(names[:4], token=MINE)
            s.store.put_nodes({names[0]: b"n"})
            retention.spare(names[1:2], token=MINE)
            retention.doom(names[2:3], token=THEIRS)
            assert retention.delete_doomed(names, token=MINE) == 1
            assert sorted(s.store.get_nodes(names)) == [*names[:3], names[4]]
            assert set(names) - {names[3]} <= set(retention.node_names(after=b"", limit=99))

    def test_of_a_doom_and_a_store_of_one_node_the_store_wins(self, tmp_path: Path) -> None:
        """Each round dooms, and then at once deletes what is doomed and stores it again."""
        with self.situation(tmp_path) as s:
            nodes = {bytes([i]) * 20: b"n" for i in range(1, 30)}
            names = sorted(nodes)
            s.store.put_nodes(nodes)
            for turn in range(12):
                s.store.retention.doom(names, token=f"{turn}")
                work = (
                    partial(s.store.put_nodes, nodes),
                    partial(s.store.retention.delete_doomed, names, token=f"{turn}"),
                )
                with ThreadPoolExecutor(len(work)) as threads:
                    for done in [threads.submit(each) for each in work]:
                        done.result()
                assert sorted(s.store.get_nodes(names)) == names


def _pin(s: Situation, commit: Commit, id: str) -> Pin:
    return Pin(
        id=id, kind="person", holder="me", commit=commit.id, created=s.clock.now(), why="looks"
    )


def _collect(
    s: Situation,
    ids: Iterable[str],
    known: set[str],
    *,
    leases_since: timedelta = timedelta(0),
) -> list[str]:
    now = s.clock.now()
    return list(
        s.store.retention.collect(
            list(ids), (), at=now, leases_since=now + leases_since, is_known=known.__contains__
        )
    )
