"""What every metastore must do for runs, their publications and the order of these, as tests."""

# ruff: noqa: D102, S101 - these are tests; their names say what they show

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from headgate.errors import AlreadyExists, Internal
from headgate.lake.metastore import (
    Outcome,
    RunRow,
    RunState,
    StepState,
)
from headgate.testing.metastore_under_test import (
    BEGAN,
    MAIN,
    SECOND,
    MetastoreUnderTest,
    a_reservation,
    a_step,
    an_event,
    raises,
)


class MetastoreRunsSuite(MetastoreUnderTest):
    """Part of ``MetastoreSuite``."""

    # -- publication

    def test_publication_moves_head_run_and_events_and_frees_claims(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.begin("aa", state=RunState.PUBLISHING)
            assert s.store.turns.take_ticket(MAIN, run="aa", fence=1, keys=["k"], lease=SECOND)
            s.store.turns.reserve(MAIN, a_reservation("aa", s.clock.now() + SECOND))
            commit, nodes = s.commit(s.genesis, "blob/a")
            s.clock.move(SECOND / 2)
            outcome = s.store.publish(
                MAIN,
                head=s.genesis.id,
                commit=commit,
                nodes=nodes,
                run="aa",
                fence=1,
                events=[an_event("aa")],
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
                outcomes.append(s.publish(id, fence=1))
            assert outcomes == [Outcome.DONE, Outcome.HEAD_MOVED]
            run = s.store.run("bb")
            assert run is not None
            assert run.state is RunState.PUBLISHING
            assert run.commit is None

    def test_a_run_publishes_once(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.begin("aa", state=RunState.PUBLISHING)
            assert s.publish("aa", fence=1) is Outcome.DONE
            head = s.heads()[MAIN]
            again, nodes = s.commit(s.known(head), "blob/again")
            outcome = s.store.publish(MAIN, head=head, commit=again, nodes=nodes, run="aa", fence=1)
            assert outcome is Outcome.NOT_MINE
            assert s.heads()[MAIN] == head

    def test_a_run_that_was_taken_over_does_not_publish(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.begin("aa", state=RunState.PUBLISHING)
            s.store.take_over("aa", owner="you", lease_until=BEGAN)
            assert s.publish("aa", fence=1) is Outcome.NOT_MINE
            assert s.store.set_run("aa", fence=2, state=RunState.PUBLISHING)
            assert s.publish("aa", fence=1) is Outcome.NOT_MINE
            assert s.heads()[MAIN] == s.genesis.id
            assert s.publish("aa", fence=2) is Outcome.DONE

    def test_a_run_publishes_only_from_the_state_publishing(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.begin("aa")
            assert s.publish("aa", fence=1) is Outcome.NOT_MINE
            assert s.publish("nobody", fence=1) is Outcome.NOT_MINE
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
            raises(
                AlreadyExists,
                "run-exists",
                lambda: s.store.begin_run(other, fork_from=s.genesis.id),
            )
            assert s.store.run("aa") == run

    def test_a_run_whose_branch_is_taken_does_not_begin(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            run = s.begin("aa")
            raises(
                AlreadyExists,
                "run-exists",
                lambda: s.store.begin_run(replace(run, id="bb"), fork_from=s.genesis.id),
            )
            assert s.store.run("bb") is None

    def test_all_runs_are_listed_where_no_limit_is_given(self, tmp_path: Path) -> None:
        """Whoever asks which runs are at work must not miss the oldest."""
        with self.situation(tmp_path) as s:
            ids = [f"{number:04x}" for number in range(120)]
            for id in ids:
                s.begin(id)
                s.clock.move(SECOND)
            assert _ids(s.store.runs()) == ids[::-1]
            assert _ids(s.store.runs(states=[RunState.RUNNING])) == ids[::-1]
            assert _ids(s.store.runs(pipeline="sales")) == ids[::-1]
            assert _ids(s.store.runs(limit=1)) == ids[-1:]

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
                events=[an_event("aa")],
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
            late = [an_event("aa")]
            assert not s.store.set_run("aa", fence=1, state=RunState.FAILED, events=late)
            assert not s.store.heartbeat("aa", fence=1, lease_until=BEGAN)
            assert not s.store.record("aa", fence=1, steps=[a_step("aa")], events=late)
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
            raises(
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
            s.publish("bb", fence=1)
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
            first = a_step("aa", state=StepState.RUNNING)
            last = replace(
                first,
                state=StepState.FAILED,
                attempt=2,
                reason={"message": "no"},
                started=BEGAN,
                ended=BEGAN + SECOND,
            )
            other = a_step("aa", name="b")
            assert s.store.record("aa", fence=1, steps=[first, other])
            assert s.store.record("aa", fence=1, steps=[last])
            assert list(s.store.steps("aa")) == [last, other]
            assert not s.store.steps("bb")
            assert not s.store.record("bb", fence=1, steps=[a_step("bb")])

    def test_events_are_read_on_from_a_number(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.begin("aa")
            s.begin("bb")
            for n in range(6):
                run = "ab"[n % 2] * 2
                event = replace(an_event(run), body={"n": n, "at": ["x", None, 1.5]})
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
            assert s.ticket("aa", "table/a", "table/b")
            assert not s.ticket("bb", "table/c", "table/b")
            assert s.ticket("cc", "table/c")
            s.store.turns.drop_ticket(MAIN, run="aa")
            s.store.turns.drop_ticket(MAIN, run="nobody")
            assert not s.ticket("bb", "table/c", "table/b")
            assert s.ticket("dd", "table/b")

    def test_tickets_of_other_branches_do_not_matter(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.fork("dev")
            assert s.ticket("aa", "k")
            assert s.store.turns.take_ticket("dev", run="bb", fence=1, keys=["k"], lease=SECOND)

    def test_a_listing_meets_all_that_it_lists(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            assert s.ticket("aa", "table/")
            assert not s.ticket("bb", "table/a")
            assert s.ticket("bb", "cursor/a")
            assert not s.ticket("cc", "cursor/")

    def test_a_ticket_ends_with_its_lease(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            assert s.ticket("aa", "k")
            s.clock.move(SECOND / 2)
            assert not s.ticket("bb", "k")
            s.clock.move(SECOND / 2)
            assert s.ticket("bb", "k")

    def test_a_ticket_taken_while_another_one_waited_to_ask_counts(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.clock.move(SECOND / 2)
            assert s.ticket("aa", "k")
            s.clock.move(-SECOND / 2)  # when the other one looked at its clock
            assert not s.ticket("bb", "k")
            s.clock.move(-600 * SECOND)  # that of a clock far ahead does not
            assert s.ticket("bb", "k")

    def test_a_run_renews_its_own_ticket(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            assert s.ticket("aa", "k")
            assert s.ticket("aa", "l")
            assert s.ticket("bb", "k")
            assert not s.ticket("bb", "l")

    def test_a_newer_attempt_holds_against_an_older_one(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            assert s.ticket("aa", "k", fence=2)
            assert not s.ticket("aa", "k", fence=1)
            assert s.ticket("aa", "k", fence=3)

    def test_who_loses_a_run_or_ends_it_gives_back_its_ticket(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            s.begin("aa")
            s.begin("bb")
            assert s.ticket("aa", "k")
            s.store.take_over("aa", owner="you", lease_until=BEGAN)
            assert s.ticket("bb", "k")
            s.store.turns.reserve(MAIN, a_reservation("bb", BEGAN + SECOND))
            s.store.set_run("bb", fence=1, state=RunState.PARKED)
            assert s.ticket("aa", "k", fence=2)
            assert not s.store.turns.reservations(MAIN)

    def test_reservations_last_until_their_instant(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            long = replace(a_reservation("aa", BEGAN + 2 * SECOND), began=BEGAN)
            short = replace(a_reservation("bb", BEGAN + SECOND), began=BEGAN - SECOND)
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
                s.store.turns.reserve(MAIN, a_reservation(run, BEGAN + SECOND))
            s.store.turns.drop_reservation("dev", run="aa")
            s.store.turns.drop_reservation(MAIN, run="aa")
            s.store.turns.drop_reservation(MAIN, run="nobody")
            assert [held.run for held in s.store.turns.reservations(MAIN)] == ["bb"]


def _ids(runs: Sequence[RunRow]) -> list[str]:
    return [run.id for run in runs]
