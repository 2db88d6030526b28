"""gc against a model that knows nothing of how it works: sets of what somebody can still need.

The model walks everything by brute force at each collection. What nobody has needed at any
collection for as long as the grace is gone, exactly; all else is there, and readable.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from sham_tables import ShamTables, listed

from headgate.clock import ManualClock
from headgate.errors import Conflict, NotFound, Refused
from headgate.lake import Collection, Lake, RetentionPolicy, RunRow, RunState
from headgate.lake.entries import Entry
from headgate.lake.nodes import NodeReader
from headgate.lake.operations import Append, Replace
from headgate.lake.pins import Pin, PinKind
from headgate.names import CountingIds

HOUR = timedelta(hours=1)
POLICY = RetentionPolicy(history=10 * HOUR, unfinished=20 * HOUR, grace=5 * HOUR)
SKEW = timedelta(minutes=15)
OPEN = {RunState.RUNNING, RunState.FAILED}


@dataclass
class Known:
    """What the model remembers of a commit."""

    parent: str | None
    number: int
    entries: dict[str, Entry]
    operations: frozenset[str] = frozenset()


@dataclass
class Run:
    """What the model remembers of a run."""

    branch: str
    base: str
    state: RunState
    lease: datetime
    fence: int = 1
    left: list[str] = field(default_factory=list)


class Histories(RuleBasedStateMachine):
    """Random histories, with a collection now and then."""

    @initialize()
    def begin(self) -> None:
        self.directory = TemporaryDirectory()
        self.clock = ManualClock()
        root = Path(self.directory.name)
        self.lake = Lake.create(root / "lake", clock=self.clock, ids=CountingIds())
        self.tables = ShamTables(self.lake)
        genesis = self.lake.resolve("main")
        self.known = {genesis.id: Known(None, 0, {})}
        self.moves = {"main": [(self.clock.now(), genesis.id)]}
        self.created = 0
        self.tags: dict[str, str] = {}
        self.pins: dict[str, Pin] = {}
        self.runs: dict[str, Run] = {}
        self.marked: dict[tuple[str, str], datetime] = {}
        self.collected: set[str] = set()
        self.emptied: set[str] = set()
        self.rows = {genesis.id}
        self.lake.protect("main", protected=False)

    def teardown(self) -> None:
        if hasattr(self, "lake"):
            self.lake.close()
            self.directory.cleanup()

    # -- what happens

    def _commit(self, branch: str, table: int, *, append: bool, run: str | None = None) -> None:
        head = self.lake.resolve(branch)
        key = f"table/t{table}"
        before = self.known[head.id].entries.get(key)
        file = self.tables.data_file(table, prefix=run or "x")
        append = append and before is not None
        operation = Append(files=(file,)) if append else Replace(files=(file,), schema=())
        entry = self.tables.after(before, table, operation)
        record = self.tables.record(key, (operation,), run=run)
        made = self.lake.compose(head, {key: entry}, record)
        if run is None:
            self.lake.commit_to(branch, made)
        else:
            self.lake.metastore.advance(
                branch,
                head=head.id,
                commit=made.commit,
                nodes=made.nodes,
                run=run,
                fence=self.runs[run].fence,
            )
        id = made.commit.id
        entries = {**self.known[head.id].entries, key: entry}
        self.known[id] = Known(head.id, head.number + 1, entries, frozenset({file.path}))
        self.rows.add(id)
        self.moves[branch].append((self.clock.now(), id))

    @rule(pick=st.integers(0, 9), table=st.integers(0, 2), append=st.booleans())
    def commit(self, pick: int, table: int, append: bool) -> None:
        branches = sorted(name for name in self.moves if not name.startswith("run/"))
        self._commit(branches[pick % len(branches)], table, append=append)

    @rule(pick=st.integers(0, 50))
    def branch(self, pick: int) -> None:
        self._ref(pick, self._branch)

    @rule(pick=st.integers(0, 50))
    def tag(self, pick: int) -> None:
        self._ref(pick, self._tag)

    def _ref(self, pick: int, make: Callable[[str, str], None]) -> None:
        """Give a commit a name; a collected one is refused."""
        commit = sorted(self.rows)[pick % len(self.rows)]
        self.created += 1
        if commit in self.collected:
            with pytest.raises(NotFound, match="past what the lake keeps"):
                make(f"n{self.created}", commit)
            return
        make(f"n{self.created}", commit)
        self.marked.pop(("commit", commit), None)

    def _branch(self, name: str, commit: str) -> None:
        self.lake.create_branch(name, commit)
        self.moves[name] = [(self.clock.now(), commit)]

    def _tag(self, name: str, commit: str) -> None:
        self.lake.create_tag(name, commit)
        self.tags[name] = commit

    @rule(pick=st.integers(0, 9))
    def drop(self, pick: int) -> None:
        names = sorted(name for name in self.moves if name != "main" and name[:4] != "run/")
        if names:
            name = names[pick % len(names)]
            self.lake.delete_branch(name)
            del self.moves[name]
        elif self.tags:
            self.lake.delete_tag(name := min(self.tags))
            del self.tags[name]

    @rule(
        pick=st.integers(0, 50),
        hours=st.integers(1, 30),
        since=st.booleans(),
        kind=st.sampled_from(["reader", "sink"]),
    )
    def lease(self, pick: int, hours: int, since: bool, kind: PinKind) -> None:
        commit = sorted(self.rows)[pick % len(self.rows)]
        number = self.known[commit].number
        self.created += 1
        pin = Pin(
            id=f"p{self.created}",
            kind=kind,
            holder=f"p{self.created}",
            commit=commit,
            created=self.clock.now(),
            until=self.clock.now() + hours * HOUR,
            why="reads",
            since=max(number - 2, 0) if since else None,
        )
        gone = commit in self.collected or (since and commit in self.emptied)
        assert self.lake.metastore.retention.pin(pin) is not gone
        if not gone:
            self.pins[pin.id] = pin
            self.marked.pop(("commit", commit), None)
            if since:
                self.marked.pop(("operations", commit), None)

    @rule()
    def run_begins(self) -> None:
        self.created += 1
        id, now = f"{self.created:012x}", self.clock.now()
        base = self.lake.resolve("main").id
        row = RunRow(
            id=id,
            pipeline="p",
            target="main",
            branch=f"run/{id}",
            state=RunState.RUNNING,
            fence=1,
            base=base,
            began=now,
            owner="me",
            lease_until=now + HOUR,
        )
        self.lake.metastore.begin_run(row, fork_from=base)
        self.runs[id] = Run(f"run/{id}", base, RunState.RUNNING, now + HOUR)
        self.moves[f"run/{id}"] = [(now, base)]
        self.tables.data_file(0, prefix=id)  # written, and never committed

    def _run(self, pick: int) -> str | None:
        found = sorted(id for id, run in self.runs.items() if run.state in OPEN)
        return found[pick % len(found)] if found else None

    @rule(pick=st.integers(0, 9), table=st.integers(0, 2))
    def run_works(self, pick: int, table: int) -> None:
        id = self._run(pick)
        if id is not None:
            self._commit(self.runs[id].branch, table, append=True, run=id)

    @rule(pick=st.integers(0, 9))
    def run_is_put_on_the_head(self, pick: int) -> None:
        id = self._run(pick)
        if id is None:
            return
        run, head = self.runs[id], self.lake.resolve("main").id
        was = self.moves[run.branch][-1][1]
        self.lake.metastore.rebase_run(id, fence=run.fence, head=was, base=head)
        if was != head:
            run.left.append(was)
        run.base = head
        self.moves[run.branch].append((self.clock.now(), head))

    @rule(pick=st.integers(0, 9), state=st.sampled_from(["failed", "abandoned", "nothing-to-do"]))
    def run_ends(self, pick: int, state: str) -> None:
        id = self._run(pick)
        if id is not None:
            run = self.runs[id]
            run.state = RunState(state)
            self.lake.metastore.set_run(id, fence=run.fence, state=run.state)
            run.left.clear()

    @rule()
    def orphan(self) -> None:
        self.tables.data_file(1)

    @rule(hours=st.integers(1, 9))
    def time_passes(self, hours: int) -> None:
        self.clock.move(hours * HOUR)

    # -- what must hold

    def _chain(self, id: str) -> list[str]:
        found = [id]
        while (parent := self.known[found[-1]].parent) is not None:
            found.append(parent)
        return found

    def _fork(self, a: str, b: str) -> int:
        return max(self.known[id].number for id in set(self._chain(a)) & set(self._chain(b)))

    def _needed(self) -> tuple[set[str], set[str], set[str]]:  # noqa: C901 - a list of roots
        """Give the commits whose states, whose operations, and whose records somebody needs."""
        now = self.clock.now()
        states, operations, heads = set[str](), set[str](), set[str]()

        def hold(head: str, since: int | None, rows: int | None) -> None:
            heads.add(head)
            for id in self._chain(head):
                number = self.known[id].number
                if since is not None and number >= since:
                    states.add(id)
                if rows is not None and number > rows:
                    operations.add(id)

        trunk = self.moves["main"][-1][1]
        for name, moves in self.moves.items():
            head = moves[-1][1]
            if name.startswith("run/"):
                run = self.runs[name[4:]]
                base = self.known[run.base].number
                hold(head, base, base)
                if run.state in OPEN:
                    hold(trunk, None, self._fork(run.base, trunk))
                continue
            seen = [id for at, id in moves if at <= now - POLICY.history]
            first = self.known[(seen or [moves[0][1]])[-1]].number
            fork = first if name == "main" else self._fork(head, trunk)
            hold(head, min(first, fork), min(first, fork))
            hold(trunk, None, fork)
        for commit in self.tags.values():
            hold(commit, self.known[commit].number, None)
        for pin in self.pins.values():
            assert pin.until is not None
            if pin.until + SKEW > now:
                number = self.known[pin.commit].number
                hold(pin.commit, number, pin.since)
                for name, moves in self.moves.items():
                    follows = pin.commit in self._chain(moves[-1][1])
                    if pin.kind == "sink" and follows and not name.startswith("run/"):
                        hold(moves[-1][1], number, number)
        for run in self.runs.values():
            for commit in run.left:
                hold(commit, self.known[commit].number, None)
        rows = {each for head in heads for each in self._chain(head)}
        return states, operations, rows

    def _end_runs(self) -> set[str]:
        """Forget the branches of runs whose time is over; give the runs that are unfinished."""
        now = self.clock.now()
        for run in self.runs.values():
            if run.branch not in self.moves:
                continue
            silent = now - run.lease
            kept = run.state in OPEN or run.state is RunState.ABANDONED
            if silent > (POLICY.unfinished if kept else SKEW):
                del self.moves[run.branch]
                run.left.clear()
                if run.state in OPEN:
                    run.state = RunState.ABANDONED
        return {id for id, run in self.runs.items() if run.state in OPEN}

    def _expect(self, kind: str, name: str, *, needed: bool) -> bool:
        """Mark, or clear the mark; say whether it goes now."""
        if needed:
            self.marked.pop((kind, name), None)
            return False
        now = self.clock.now()
        return self.marked.setdefault((kind, name), now) <= now - POLICY.grace

    @rule()
    def collect(self) -> None:
        working = self._end_runs()
        states, operations, rows = self._needed()
        before = listed(self.lake)
        for id in sorted(self.rows):
            if id not in self.collected and self._expect("commit", id, needed=id in states):
                self.collected.add(id)
            if id not in self.emptied and self._expect("operations", id, needed=id in operations):
                self.emptied.add(id)
        files, waiting = set[str](), set[str]()
        for id in self.rows:
            if id not in self.collected:
                found = self.tables.state_files(self.known[id].entries)
                files |= found if id in states else set()
                waiting |= found
            if id not in self.emptied:
                files |= self.known[id].operations if id in operations else set()
                waiting |= self.known[id].operations
        files |= {path for path in before if path.split("/")[-1].split("-")[0] in working}
        if any(
            run.state is RunState.RUNNING and run.lease + SKEW > self.clock.now()
            for run in self.runs.values()
        ):
            files |= before  # on the disk's clock they were all written since
        going = {
            path
            for path in sorted(before)
            if self._expect("file", path, needed=path in files) and path not in waiting
        }
        kept = {
            each
            for id in self.rows
            if id not in self.collected or id not in self.emptied
            for each in self._chain(id)
        }
        self.rows = {id for id in self.rows if id in rows or id in kept}
        with suppress(Refused, Conflict):
            Collection(self.lake, POLICY).sweep()
        assert listed(self.lake) == before - going
        self._check()

    def _check(self) -> None:
        store = self.lake.metastore
        there = {row.id: row for row in store.retention.commit_rows(after="", limit=10_000)}
        assert set(there) == self.rows
        assert {id for id, row in there.items() if row.collected} == self.collected & self.rows
        assert {id for id, row in there.items() if row.emptied} == self.emptied & self.rows
        self.lake._reader = NodeReader(store, keep_bytes=0)
        for id in self.rows - self.collected:
            entries = dict(self.lake.tree(self.lake.commit(id)).items())
            assert entries == self.known[id].entries
            for path in self.tables.state_files(entries):
                assert Path(self.lake.storage.absolute(path)).exists()
        assert {branch.name for branch in self.lake.branches()} == set(self.moves)
        names = list(store.retention.node_names(after=b"", limit=10_000))
        assert set(names) == self._nodes(self.rows - self.collected)

    def _nodes(self, commits: set[str]) -> set[bytes]:
        """Walk trees node by node."""
        from headgate.lake.nodes import referred

        found: set[bytes] = set()
        left = [bytes.fromhex(self.lake.commit(id).tree) for id in commits]
        reader = NodeReader(self.lake.metastore, keep_bytes=0)
        while left:
            name = left.pop()
            found.add(name)
            (node,) = reader.nodes([name], {})
            if node.level:
                left += node.slots
            else:
                found |= {below for slot in node.slots if (below := referred(slot)) is not None}
        return found


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    deadline=None,
    max_examples=20,
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.too_slow],
)
