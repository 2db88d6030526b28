"""What every metastore must do, as tests. Subclass the suite, say how to make one, run pytest.

>>> class TestMine(MetastoreSuite):  # doctest: +SKIP
...     def make(self, directory, *, clock, genesis, nodes):
...         return MyMetastore.create(directory, clock=clock, genesis=genesis, nodes=nodes)
"""

# ruff: noqa: D102, PLR2004, S101 - these are tests; their names say what they show

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from headgate.errors import Internal, NotFound, Refused
from headgate.lake.metastore import (
    Branch,
    Outcome,
    Tag,
)
from headgate.lake.nodes import NodeReader
from headgate.lake.trees import Tree
from headgate.testing.metastore_runs_suite import MetastoreRunsSuite
from headgate.testing.metastore_under_test import (
    BEGAN,
    MAIN,
    SECOND,
    a_step,
    an_event,
    raises,
)


class MetastoreSuite(MetastoreRunsSuite):
    """The conformance suite. ``make`` gives a new metastore in a directory."""

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
            raises(NotFound, "unknown-commit", lambda: s.store.link("0" * 40))

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
            raises(NotFound, "unknown-commit", lambda: s.store.create_branch(lost))
            tag = Tag(name="x", commit="0" * 40, created=BEGAN)
            raises(NotFound, "unknown-commit", lambda: s.store.create_tag(tag))
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
            raises(
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
            raises(
                Internal,
                "commit-off-head",
                lambda: s.store.advance("dev", head=b.id, commit=astray, nodes=nodes),
            )
            assert s.heads()["dev"] == b.id

    def test_a_checkpoint_moves_branch_steps_and_events_together(self, tmp_path: Path) -> None:
        with self.situation(tmp_path) as s:
            run = s.begin("aa")
            commit, nodes = s.commit(s.genesis, "blob/a")
            step, event = a_step("aa", commit=commit.id), an_event("aa")
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
                steps=[a_step("aa")],
                events=[an_event("aa")],
            )
            assert outcome is Outcome.NOT_MINE
            assert s.heads()[run.branch] == s.genesis.id
            assert not s.store.steps("aa")
            assert not s.store.events()

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
                if s.ticket(name, "k"):
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
