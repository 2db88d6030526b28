"""What every metastore must do, as tests. Subclass the suite, say how to make one, run pytest.

>>> class TestMine(MetastoreSuite):  # doctest: +SKIP
...     def make(self, directory, *, clock, genesis, nodes):
...         return MyMetastore.create(directory, clock=clock, genesis=genesis, nodes=nodes)
"""

# ruff: noqa: D102, PLR2004, PT017, S101 - these are tests; their names say what they show

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from headgate.clock import Clock, ManualClock
from headgate.errors import AlreadyExists, Internal, NotFound, Refused
from headgate.lake.commits import make_commit
from headgate.lake.entries import Entry
from headgate.lake.metastore import (
    Branch,
    EventRow,
    Metastore,
    Outcome,
    Reservation,
    RunRow,
    RunState,
    StepRow,
    StepState,
    Tag,
)
from headgate.lake.nodes import NodeReader
from headgate.lake.records import Commit, Record
from headgate.lake.trees import Tree

BEGAN = datetime(2026, 11, 1, 9, 30, 0, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MAIN = "main"


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A new metastore with the protected branch ``main`` at ``genesis``, and a clock to move."""

    store: Metastore
    clock: ManualClock
    genesis: Commit

    def commit(self, parent: Commit, *keys: str) -> tuple[Commit, Mapping[bytes, bytes]]:
        """Give a commit after ``parent`` that adds keys, and its new nodes."""
        tree = Tree(NodeReader(self.store), parent.tree).with_changes(
            {key: Entry(kind="blob", content=key) for key in keys}
        )
        record = Record(kind="transaction", at=self.clock.now(), message=" ".join(keys))
        return make_commit(parent, tree=tree.root, record=record), tree.new_nodes

    def grow(self, branch: str, count: int = 1) -> list[Commit]:
        """Advance an unprotected branch by commits; give them, oldest first."""
        head = self.store.branch(branch)
        assert head is not None
        parent = self.known(head.head)
        grown = []
        for _ in range(count):
            commit, nodes = self.commit(parent, f"blob/{branch}{parent.number}")
            moved = self.store.advance(branch, head=parent.id, commit=commit, nodes=nodes)
            assert moved is Outcome.DONE
            grown.append(commit)
            parent = commit
        return grown

    def known(self, id: str) -> Commit:
        """Give a commit that must be there."""
        commit = self.store.commit(id)
        assert commit is not None
        return commit

    def fork(self, name: str, at: Commit | None = None) -> Branch:
        """Create a branch."""
        commit = at or self.genesis
        branch = Branch(
            name=name,
            head=commit.id,
            number=commit.number,
            protected=False,
            created=self.clock.now(),
        )
        assert self.store.create_branch(branch)
        return branch

    def begin(self, id: str, *, state: RunState = RunState.RUNNING) -> RunRow:
        """Begin a run on ``main``'s head, at fence 1."""
        head = self.store.branch(MAIN)
        assert head is not None
        run = RunRow(
            id=id,
            pipeline="sales",
            target=MAIN,
            branch=f"run/{id}",
            state=state,
            fence=1,
            base=head.head,
            began=self.clock.now(),
            owner="me",
            lease_until=self.clock.now() + SECOND,
            settings={"isolation": "fresh", "retries": 2},
        )
        self.store.begin_run(run, fork_from=head.head)
        return run

    def heads(self) -> dict[str, str]:
        """Give each branch's head."""
        return {branch.name: branch.head for branch in self.store.branches()}


class MetastoreSuite(ABC):
    """The conformance suite. pytest's ``tmp_path`` gives each test a directory."""

    @abstractmethod
    def make(
        self, directory: Path, *, clock: Clock, genesis: Commit, nodes: Mapping[bytes, bytes]
    ) -> Metastore:
        """Make a metastore with ``genesis``, its nodes, and the protected branch ``main`` there."""

    @contextmanager
    def situation(self, directory: Path) -> Iterator[Situation]:
        """Make a metastore, and close it in the end."""
        clock = ManualClock(BEGAN)
        tree = Tree.empty(NodeReader(_Nothing()))
        genesis = make_commit(None, tree=tree.root, record=Record(kind="genesis", at=clock.now()))
        store = self.make(directory, clock=clock, genesis=genesis, nodes=tree.new_nodes)
        try:
            yield Situation(store=store, clock=clock, genesis=genesis)
        finally:
            store.close()

    # -- nodes and commits

    def test_nodes_are_given_back_and_missing_ones_left_out(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            nodes = {bytes([i]) * 20: bytes([i]) * i for i in range(200)}
            s.store.put_nodes(nodes)
            s.store.put_nodes(dict(list(nodes.items())[:3]))
            assert dict(s.store.get_nodes([*nodes, b"x" * 20])) == nodes
            assert dict(s.store.get_nodes([])) == {}

    def test_thousands_of_nodes_are_read_at_once(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            nodes = {i.to_bytes(20, "big"): b"n" for i in range(3_000)}
            s.store.put_nodes(nodes)
            assert dict(s.store.get_nodes(list(nodes))) == nodes

    def test_a_new_lake_is_its_genesis_commit_and_a_protected_main(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            assert s.store.lake_id()
            assert s.store.main() == MAIN
            assert s.store.commit(s.genesis.id) == s.genesis
            (main,) = s.store.branches()
            assert (main.name, main.head, main.number) == (MAIN, s.genesis.id, 0)
            assert main.protected
            assert main.created == BEGAN

    def test_commits_come_back_whole_in_the_order_asked_for(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.fork("dev")
            a, b, c = s.grow("dev", 3)
            assert s.store.commits([c.id, "0" * 40, a.id, b.id]) == [c, a, b]
            assert s.store.commit("0" * 40) is None

    def test_commits_are_found_by_the_beginning_of_their_ids(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.fork("dev")
            ids = sorted([s.genesis.id, *(c.id for c in s.grow("dev", 40))])
            for id in ids:
                mates = [other for other in ids if other.startswith(id[:1])]
                assert list(s.store.find_commits(id[:1], 100)) == mates
                assert list(s.store.find_commits(id, 5)) == [id]
            assert len(s.store.find_commits("", 7)) == 7

    def test_a_chain_is_the_first_parents_newest_first(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.fork("dev")
            grown = [s.genesis, *s.grow("dev", 9)]
            newest_first = grown[::-1]
            head = grown[-1].id
            assert list(s.store.chain(head)) == newest_first
            assert list(s.store.chain(head, since=6)) == newest_first[:3]
            assert list(s.store.chain(head, limit=4)) == newest_first[:4]
            assert list(s.store.chain(head, since=7, limit=4)) == newest_first[:2]
            assert list(s.store.chain(head, since=9)) == []
            assert list(s.store.chain(grown[2].id, limit=2)) == [grown[2], grown[1]]

    def test_links_say_where_a_commit_stands(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.fork("dev")
            last = s.grow("dev", 20)[-1]
            link = s.store.link(last.id)
            assert (link.id, link.parent, link.number) == (last.id, last.parent, 20)
            assert s.store.link(s.genesis.id).jump == s.genesis.id
            _raises(NotFound, "unknown-commit", lambda: s.store.link("0" * 40))

    def test_a_whole_metastore_has_nothing_wrong(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.fork("dev")
            s.grow("dev", 3)
            assert list(s.store.check()) == []

    # -- branches and tags

    def test_a_branch_is_created_once(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            branch = s.fork("dev")
            assert s.store.branch("dev") == branch
            assert not s.store.create_branch(replace(branch, protected=True))
            assert s.store.branch("dev") == branch
            assert s.store.branch("other") is None

    def test_no_ref_stands_on_a_commit_that_is_not_there(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            lost = Branch(name="x", head="0" * 40, number=0, protected=False, created=BEGAN)
            _raises(NotFound, "unknown-commit", lambda: s.store.create_branch(lost))
            tag = Tag(name="x", commit="0" * 40, created=BEGAN)
            _raises(NotFound, "unknown-commit", lambda: s.store.create_tag(tag))
            assert [branch.name for branch in s.store.branches()] == [MAIN]
            assert not s.store.tags()

    def test_a_branch_is_deleted_only_at_the_head_that_was_seen(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.fork("dev")
            (moved,) = s.grow("dev")
            assert s.store.delete_branch("dev", head=s.genesis.id) is Outcome.HEAD_MOVED
            assert s.store.delete_branch("dev", head=moved.id) is Outcome.DONE
            assert s.store.branch("dev") is None
            assert s.store.head_at("dev", s.clock.now()) is None

    def test_a_protected_branch_is_not_deleted(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            assert s.store.delete_branch(MAIN, head=s.genesis.id) is Outcome.HEAD_MOVED
            assert s.store.branch(MAIN) is not None

    def test_protection_can_be_given_and_taken(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.fork("dev")
            for protected in (True, False):
                assert s.store.protect("dev", protected=protected)
                branch = s.store.branch("dev")
                assert branch is not None
                assert branch.protected is protected
            assert not s.store.protect("nobody", protected=True)

    def test_tags_stay_where_they_are(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            tag = Tag(name="v1", commit=s.genesis.id, created=BEGAN)
            assert s.store.create_tag(tag)
            s.fork("dev")
            (later,) = s.grow("dev")
            assert not s.store.create_tag(replace(tag, commit=later.id))
            assert list(s.store.tags()) == [tag]
            assert s.store.tag("v1") == tag
            assert s.store.delete_tag("v1")
            assert not s.store.delete_tag("v1")
            assert s.store.tag("v1") is None

    def test_a_branch_knows_where_it_was_at_an_instant(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.fork("dev")
            heads = [s.genesis.id]
            for _ in range(3):
                s.clock.move(SECOND)
                heads.append(s.grow("dev")[0].id)
            for n, head in enumerate(heads):
                assert s.store.head_at("dev", BEGAN + n * SECOND) == head
                assert s.store.head_at("dev", BEGAN + n * SECOND + SECOND / 2) == head
            assert s.store.head_at("dev", BEGAN - SECOND) is None
            assert s.store.head_at("nobody", BEGAN) is None

    def test_a_clock_that_goes_back_does_not_disorder_the_past(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.fork("dev")
            s.clock.move(2 * SECOND)
            s.grow("dev")
            s.clock.move(-SECOND)
            (last,) = s.grow("dev")
            assert s.store.head_at("dev", BEGAN + 2 * SECOND) == last.id
            assert s.store.head_at("dev", BEGAN + SECOND) == s.genesis.id

    # -- moving

    def test_a_branch_moves_only_from_the_head_that_was_seen(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.fork("dev")
            (a,) = s.grow("dev")
            late, nodes = s.commit(s.genesis, "blob/late")
            outcome = s.store.advance("dev", head=s.genesis.id, commit=late, nodes=nodes)
            assert outcome is Outcome.HEAD_MOVED
            assert s.heads()["dev"] == a.id
            assert s.store.commit(late.id) is None
            assert not s.store.get_nodes(list(nodes))
            gone = s.store.advance("nobody", head=s.genesis.id, commit=late, nodes=nodes)
            assert gone is Outcome.HEAD_MOVED

    def test_only_publication_moves_a_protected_branch(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            commit, nodes = s.commit(s.genesis, "blob/a")
            _raises(
                Refused,
                "protected-branch",
                lambda: s.store.advance(MAIN, head=s.genesis.id, commit=commit, nodes=nodes),
            )
            assert s.heads() == {MAIN: s.genesis.id}

    def test_a_commit_that_does_not_follow_the_head_is_a_bug(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.fork("dev")
            a, b = s.grow("dev", 2)
            astray, nodes = s.commit(a, "blob/astray")
            _raises(
                Internal,
                "commit-off-head",
                lambda: s.store.advance("dev", head=b.id, commit=astray, nodes=nodes),
            )
            assert s.heads()["dev"] == b.id

    def test_a_checkpoint_moves_branch_steps_and_events_together(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            run = s.begin("aa")
            commit, nodes = s.commit(s.genesis, "blob/a")
            step, event = _step("aa", commit=commit.id), _event("aa")
            outcome = s.store.advance(
                run.branch,
                head=s.genesis.id,
                commit=commit,
                nodes=nodes,
                run="aa",
                fence=1,
                steps=[step],
                events=[event],
            )
            assert outcome is Outcome.DONE
            assert s.heads()[run.branch] == commit.id
            assert list(s.store.steps("aa")) == [step]
            assert [replace(row, number=0) for row in s.store.events(run="aa")] == [event]

    def test_a_checkpoint_of_a_lost_run_changes_nothing(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            run = s.begin("aa")
            assert s.store.take_over("aa", owner="you", lease_until=BEGAN)
            commit, nodes = s.commit(s.genesis, "blob/a")
            outcome = s.store.advance(
                run.branch,
                head=s.genesis.id,
                commit=commit,
                nodes=nodes,
                run="aa",
                fence=1,
                steps=[_step("aa")],
                events=[_event("aa")],
            )
            assert outcome is Outcome.NOT_MINE
            assert s.heads()[run.branch] == s.genesis.id
            assert not s.store.steps("aa")
            assert not s.store.events()

    # -- publication

    def test_publication_moves_head_run_and_events_and_frees_claims(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.begin("aa", state=RunState.PUBLISHING)
            assert s.store.turns.take_ticket(MAIN, run="aa", fence=1, keys=["k"], lease=SECOND)
            s.store.turns.reserve(MAIN, _reservation("aa", s.clock.now() + SECOND))
            commit, nodes = s.commit(s.genesis, "blob/a")
            s.clock.move(SECOND / 2)
            outcome = s.store.publish(
                MAIN,
                head=s.genesis.id,
                commit=commit,
                nodes=nodes,
                run="aa",
                fence=1,
                events=[_event("aa")],
            )
            assert outcome is Outcome.DONE
            main, run = s.store.branch(MAIN), s.store.run("aa")
            assert main is not None
            assert run is not None
            assert (main.head, main.number, main.protected) == (commit.id, 1, True)
            assert (run.state, run.commit) == (RunState.PUBLISHED, commit.id)
            assert s.known(commit.id) == commit
            assert dict(s.store.get_nodes(list(nodes))) == dict(nodes)
            assert len(s.store.events()) == 1
            assert s.store.head_at(MAIN, s.clock.now()) == commit.id
            assert s.store.head_at(MAIN, BEGAN) == s.genesis.id
            assert not s.store.turns.reservations(MAIN)
            s.begin("bb")
            assert s.store.turns.take_ticket(MAIN, run="bb", fence=1, keys=["k"], lease=SECOND)

    def test_the_second_of_two_publications_is_told_that_the_head_moved(
        self, tmp_path: Path
    ) -> None:
        with self.situation(tmp_path) as s:
            outcomes = []
            for id in ("aa", "bb"):
                s.begin(id, state=RunState.PUBLISHING)
                outcomes.append(self._publish(s, id, fence=1))
            assert outcomes == [Outcome.DONE, Outcome.HEAD_MOVED]
            run = s.store.run("bb")
            assert run is not None
            assert run.state is RunState.PUBLISHING
            assert run.commit is None

    def test_a_run_publishes_once(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.begin("aa", state=RunState.PUBLISHING)
            assert self._publish(s, "aa", fence=1) is Outcome.DONE
            head = s.heads()[MAIN]
            again, nodes = s.commit(s.known(head), "blob/again")
            outcome = s.store.publish(MAIN, head=head, commit=again, nodes=nodes, run="aa", fence=1)
            assert outcome is Outcome.NOT_MINE
            assert s.heads()[MAIN] == head

    def test_a_run_that_was_taken_over_does_not_publish(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.begin("aa", state=RunState.PUBLISHING)
            s.store.take_over("aa", owner="you", lease_until=BEGAN)
            assert self._publish(s, "aa", fence=1) is Outcome.NOT_MINE
            assert s.store.set_run("aa", fence=2, state=RunState.PUBLISHING)
            assert self._publish(s, "aa", fence=1) is Outcome.NOT_MINE
            assert s.heads()[MAIN] == s.genesis.id
            assert self._publish(s, "aa", fence=2) is Outcome.DONE

    def test_a_run_publishes_only_from_the_state_publishing(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.begin("aa")
            assert self._publish(s, "aa", fence=1) is Outcome.NOT_MINE
            assert self._publish(s, "nobody", fence=1) is Outcome.NOT_MINE
            assert s.heads()[MAIN] == s.genesis.id

    # -- runs

    def test_a_run_begins_with_a_branch_of_its_own(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            run = s.begin("aa")
            assert s.store.run("aa") == run
            branch = s.store.branch("run/aa")
            assert branch is not None
            assert (branch.head, branch.protected) == (s.genesis.id, False)
            assert s.store.run("bb") is None

    def test_a_run_begins_once(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            run = s.begin("aa")
            other = replace(run, pipeline="other")
            _raises(
                AlreadyExists,
                "run-exists",
                lambda: s.store.begin_run(other, fork_from=s.genesis.id),
            )
            assert s.store.run("aa") == run

    def test_a_run_whose_branch_is_taken_does_not_begin(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            run = s.begin("aa")
            _raises(
                AlreadyExists,
                "run-exists",
                lambda: s.store.begin_run(replace(run, id="bb"), fork_from=s.genesis.id),
            )
            assert s.store.run("bb") is None

    def test_runs_are_listed_the_latest_first(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            ids = ["aa", "ab", "b0"]
            for id in ids:
                s.begin(id)
                s.clock.move(SECOND)
            s.store.set_run("ab", fence=1, state=RunState.FAILED)
            assert _ids(s.store.runs()) == ids[::-1]
            assert _ids(s.store.runs(limit=2)) == ids[:0:-1]
            assert _ids(s.store.runs(states=[RunState.FAILED])) == ["ab"]
            working = s.store.runs(states=[RunState.RUNNING, RunState.PARKED], pipeline="sales")
            assert _ids(working) == ["b0", "aa"]
            assert _ids(s.store.runs(pipeline="sales", limit=1)) == ["b0"]
            assert not s.store.runs(pipeline="other")
            assert list(s.store.find_runs("a", 9)) == ["aa", "ab"]
            assert list(s.store.find_runs("a", 1)) == ["aa"]
            assert list(s.store.find_runs("b0", 9)) == ["b0"]
            assert not s.store.find_runs("c", 9)

    def test_what_a_change_of_a_run_leaves_out_stays(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.begin("aa")
            until = BEGAN + 9 * SECOND
            reason = {"code": "step-failed", "steps": ["a", "b"], "deep": {"n": 1.5}}
            assert s.store.set_run(
                "aa",
                fence=1,
                state=RunState.FAILED,
                commit="c" * 40,
                reason=reason,
                lease_until=until,
                events=[_event("aa")],
            )
            assert s.store.set_run("aa", fence=1, state=RunState.PARKED)
            run = s.store.run("aa")
            assert run is not None
            assert (run.state, run.commit, run.lease_until) == (RunState.PARKED, "c" * 40, until)
            assert run.reason == reason
            assert run.base == s.genesis.id
            assert len(s.store.events(run="aa")) == 1

    def test_a_run_is_changed_by_its_holder_only(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.begin("aa")
            mine = s.store.take_over("aa", owner="you", lease_until=BEGAN + SECOND)
            assert mine is not None
            assert (mine.fence, mine.owner, mine.state) == (2, "you", RunState.RUNNING)
            assert mine.lease_until == BEGAN + SECOND
            assert not s.store.set_run("aa", fence=1, state=RunState.FAILED, events=[_event("aa")])
            assert not s.store.heartbeat("aa", fence=1, lease_until=BEGAN)
            assert not s.store.record("aa", fence=1, steps=[_step("aa")], events=[_event("aa")])
            assert s.store.run("aa") == mine
            assert not s.store.steps("aa")
            assert not s.store.events()

    def test_a_final_run_stays_as_it_is(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            for id, state in (("aa", RunState.ABANDONED), ("bb", RunState.ADOPTED)):
                s.begin(id)
                assert s.store.set_run(id, fence=1, state=state)
                assert not s.store.set_run(id, fence=1, state=RunState.RUNNING)
                assert s.store.take_over(id, owner="you", lease_until=BEGAN) is None
                assert not s.store.heartbeat(id, fence=1, lease_until=BEGAN)
                run = s.store.run(id)
                assert run is not None
                assert (run.state, run.fence) == (state, 1)
            assert s.store.take_over("nobody", owner="you", lease_until=BEGAN) is None

    def test_a_failed_run_can_be_taken_up_again_without_its_reason(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.begin("aa")
            s.store.set_run("aa", fence=1, state=RunState.FAILED, reason={"code": "x"})
            run = s.store.take_over("aa", owner="me", lease_until=BEGAN)
            assert run is not None
            assert run.reason is None

    def test_only_publication_publishes_a_run(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.begin("aa")
            _raises(
                Internal,
                "published-by-hand",
                lambda: s.store.set_run("aa", fence=1, state=RunState.PUBLISHED),
            )

    def test_a_heartbeat_lengthens_the_lease(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.begin("aa")
            assert s.store.heartbeat("aa", fence=1, lease_until=BEGAN + 5 * SECOND)
            run = s.store.run("aa")
            assert run is not None
            assert run.lease_until == BEGAN + 5 * SECOND

    def test_a_run_is_put_on_a_new_base(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            run = s.begin("aa")
            s.begin("bb", state=RunState.PUBLISHING)
            self._publish(s, "bb", fence=1)
            base = s.heads()[MAIN]
            old = s.grow(run.branch)[0].id

            def rebase(fence: int, head: str) -> Outcome:
                return s.store.rebase_run("aa", fence=fence, head=head, base=base)

            assert rebase(2, old) is Outcome.NOT_MINE
            assert rebase(1, s.genesis.id) is Outcome.HEAD_MOVED
            assert s.heads()[run.branch] == old
            assert rebase(1, old) is Outcome.DONE
            rebased = s.store.run("aa")
            branch = s.store.branch(run.branch)
            assert rebased is not None
            assert branch is not None
            assert (rebased.base, branch.head, branch.number) == (base, base, 1)

    # -- steps and events

    def test_the_last_word_on_a_step_holds(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.begin("aa")
            first = _step("aa", state=StepState.RUNNING)
            last = replace(
                first,
                state=StepState.FAILED,
                attempt=2,
                reason={"message": "no"},
                started=BEGAN,
                ended=BEGAN + SECOND,
            )
            other = _step("aa", name="b")
            assert s.store.record("aa", fence=1, steps=[first, other])
            assert s.store.record("aa", fence=1, steps=[last])
            assert list(s.store.steps("aa")) == [last, other]
            assert not s.store.steps("bb")
            assert not s.store.record("bb", fence=1, steps=[_step("bb")])

    def test_events_are_read_on_from_a_number(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.begin("aa")
            s.begin("bb")
            for n in range(6):
                run = "ab"[n % 2] * 2
                event = replace(_event(run), body={"n": n, "at": ["x", None, 1.5]})
                assert s.store.record(run, fence=1, events=[event])
            rows = list(s.store.events())
            assert [row.body["n"] for row in rows] == list(range(6))
            assert rows[0].body == {"n": 0, "at": ["x", None, 1.5]}
            assert [row.number for row in rows] == sorted({row.number for row in rows})
            assert list(s.store.events(after=rows[2].number)) == rows[3:]
            assert list(s.store.events(limit=2)) == rows[:2]
            assert list(s.store.events(run="bb")) == rows[1::2]
            assert list(s.store.events(run="bb", after=rows[1].number, limit=1)) == [rows[3]]

    # -- publication order

    def test_tickets_whose_keys_meet_are_taken_one_after_another(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            assert self._ticket(s, "aa", "table/a", "table/b")
            assert not self._ticket(s, "bb", "table/c", "table/b")
            assert self._ticket(s, "cc", "table/c")
            s.store.turns.drop_ticket(MAIN, run="aa")
            s.store.turns.drop_ticket(MAIN, run="nobody")
            assert not self._ticket(s, "bb", "table/c", "table/b")
            assert self._ticket(s, "dd", "table/b")

    def test_tickets_of_other_branches_do_not_matter(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.fork("dev")
            assert self._ticket(s, "aa", "k")
            assert s.store.turns.take_ticket("dev", run="bb", fence=1, keys=["k"], lease=SECOND)

    def test_a_listing_meets_all_that_it_lists(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            assert self._ticket(s, "aa", "table/")
            assert not self._ticket(s, "bb", "table/a")
            assert self._ticket(s, "bb", "cursor/a")
            assert not self._ticket(s, "cc", "cursor/")

    def test_a_ticket_ends_with_its_lease(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            assert self._ticket(s, "aa", "k")
            s.clock.move(SECOND / 2)
            assert not self._ticket(s, "bb", "k")
            s.clock.move(SECOND / 2)
            assert self._ticket(s, "bb", "k")

    def test_a_ticket_taken_while_another_one_waited_to_ask_counts(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.clock.move(SECOND / 2)
            assert self._ticket(s, "aa", "k")
            s.clock.move(-SECOND / 2)  # when the other one looked at its clock
            assert not self._ticket(s, "bb", "k")
            s.clock.move(-600 * SECOND)  # that of a clock far ahead does not
            assert self._ticket(s, "bb", "k")

    def test_a_run_renews_its_own_ticket(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            assert self._ticket(s, "aa", "k")
            assert self._ticket(s, "aa", "l")
            assert self._ticket(s, "bb", "k")
            assert not self._ticket(s, "bb", "l")

    def test_a_newer_attempt_holds_against_an_older_one(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            assert self._ticket(s, "aa", "k", fence=2)
            assert not self._ticket(s, "aa", "k", fence=1)
            assert self._ticket(s, "aa", "k", fence=3)

    def test_who_loses_a_run_or_ends_it_gives_back_its_ticket(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.begin("aa")
            s.begin("bb")
            assert self._ticket(s, "aa", "k")
            s.store.take_over("aa", owner="you", lease_until=BEGAN)
            assert self._ticket(s, "bb", "k")
            s.store.turns.reserve(MAIN, _reservation("bb", BEGAN + SECOND))
            s.store.set_run("bb", fence=1, state=RunState.PARKED)
            assert self._ticket(s, "aa", "k", fence=2)
            assert not s.store.turns.reservations(MAIN)

    def test_reservations_last_until_their_instant(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            long = replace(_reservation("aa", BEGAN + 2 * SECOND), began=BEGAN)
            short = replace(_reservation("bb", BEGAN + SECOND), began=BEGAN - SECOND)
            s.store.turns.reserve(MAIN, replace(long, keys=("other",)))
            s.store.turns.reserve(MAIN, long)
            s.store.turns.reserve(MAIN, short)
            assert list(s.store.turns.reservations(MAIN)) == [short, long]
            assert not s.store.turns.reservations("dev")
            s.clock.move(SECOND)
            assert list(s.store.turns.reservations(MAIN)) == [long]

    def test_a_reservation_can_be_given_up(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            for run in ("aa", "bb"):
                s.store.turns.reserve(MAIN, _reservation(run, BEGAN + SECOND))
            s.store.turns.drop_reservation("dev", run="aa")
            s.store.turns.drop_reservation(MAIN, run="aa")
            s.store.turns.drop_reservation(MAIN, run="nobody")
            assert [held.run for held in s.store.turns.reservations(MAIN)] == ["bb"]

    # -- ids

    def test_equal_names_have_equal_numbers_for_ever(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            assert s.store.allocate("t", ["a", "b", "a"]) == {"a": 1, "b": 2}
            assert s.store.allocate("t", ["b", "c"]) == {"b": 2, "c": 3}
            assert s.store.allocate("u", ["b"]) == {"b": 1}
            assert s.store.allocate("t", ["b", "d"], at_least=1000) == {"b": 2, "d": 1000}
            assert s.store.allocate("t", ["e"]) == {"e": 1001}
            assert s.store.allocate("t", []) == {}
            many = [f"n{i}" for i in range(1_000)]
            assert list(s.store.allocate("v", many).values()) == list(range(1, 1_001))

    # -- at the same time

    def test_of_many_threads_that_move_a_head_one_succeeds_each_time(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.fork("dev")
            done: list[str] = []

            def contend(name: str) -> None:
                for n in range(5):
                    while True:
                        head = s.known(s.heads()["dev"])
                        commit, nodes = s.commit(head, f"blob/{name}{n}")
                        if s.store.advance("dev", head=head.id, commit=commit, nodes=nodes) is (
                            Outcome.DONE
                        ):
                            done.append(commit.id)
                            break

            _side_by_side([partial(contend, name) for name in "abcd"])
            chain = s.store.chain(s.heads()["dev"])
            assert sorted(commit.id for commit in chain[:-1]) == sorted(done)
            assert len(chain) == 21
            tree = Tree(NodeReader(s.store), chain[0].tree)
            assert list(tree.keys()) == sorted(
                f"blob/{name}{n}" for name in "abcd" for n in range(5)
            )

    def test_of_many_threads_that_want_a_ticket_one_gets_it(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            taken: list[str] = []

            def contend(name: str) -> None:
                if self._ticket(s, name, "k"):
                    taken.append(name)

            _side_by_side([partial(contend, name) for name in "abcdef"])
            assert len(taken) == 1

    def test_numbers_allocated_at_the_same_time_are_all_different(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:

            def contend(name: str) -> None:
                for n in range(10):
                    s.store.allocate("t", [f"{name}{n}", f"shared{n}"])

            _side_by_side([partial(contend, name) for name in "abcd"])
            names = [f"{name}{n}" for name in ("a", "b", "c", "d", "shared") for n in range(10)]
            numbers = s.store.allocate("t", names)
            assert sorted(numbers.values()) == list(range(1, 51))

    # -- parts

    def _publish(self, s: Situation, run: str, *, fence: int) -> Outcome:
        commit, nodes = s.commit(s.genesis, f"blob/{run}")
        return s.store.publish(
            MAIN, head=s.genesis.id, commit=commit, nodes=nodes, run=run, fence=fence
        )

    def _ticket(self, s: Situation, run: str, *keys: str, fence: int = 1) -> bool:
        return s.store.turns.take_ticket(MAIN, run=run, fence=fence, keys=keys, lease=SECOND)


class _Nothing:
    def get_nodes(self, hashes: Sequence[bytes]) -> Mapping[bytes, bytes]:
        del hashes
        return {}


def _raises(kind: type[Exception], code: str, action: Callable[[], object]) -> None:
    try:
        action()
    except kind as error:
        assert getattr(error, "code", None) == code
    else:
        message = f"{kind.__name__} {code} was not raised"
        raise AssertionError(message)


def _side_by_side(actions: Sequence[Callable[[], object]]) -> None:
    errors: list[BaseException] = []

    def guarded(action: Callable[[], object]) -> None:
        try:
            action()
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread below
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def _ids(runs: Sequence[RunRow]) -> list[str]:
    return [run.id for run in runs]


def _step(
    run: str, *, name: str = "a", state: StepState = StepState.DONE, commit: str | None = None
) -> StepRow:
    return StepRow(run=run, step=name, state=state, attempt=1, commit=commit)


def _event(run: str) -> EventRow:
    return EventRow(run=run, step="a", kind="step-finished", at=BEGAN, body={"rows": 3})


def _reservation(run: str, until: datetime) -> Reservation:
    return Reservation(run=run, began=BEGAN, keys=("table/a",), until=until)
