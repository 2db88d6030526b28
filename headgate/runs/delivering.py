"""Delivering: published commits of a branch to a sink, each once, in order, first-parent.

The destination says which commit it has; what the next one means is read from the history. Nothing
is queued: the sink's pin keeps what is yet to be delivered, and moves after the rows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from types import TracebackType
from typing import Self

from headgate.errors import Conflict, HeadgateError, NotFound, Refused, Unavailable
from headgate.lake import Commit, plain, table_key
from headgate.pipelines import DeclaredSink, SinkTable
from headgate.retrying import Retry
from headgate.runs.effects_at_sinks import is_changed, manner
from headgate.runs.kept_for_sinks import KeptForSink
from headgate.runs.rows_for_sinks import table_delivery
from headgate.runs.sink_states import SinkState, TableAtSink
from headgate.runs.wiring import Wiring
from headgate.sinks import Delivery, Position, Sink, TableDelivery

PATIENCE = Retry(attempts=3, first=timedelta(seconds=0.2), longest=timedelta(seconds=2))
"""How a destination that does not answer is asked again, before it is left behind."""

_MOST_MOVED = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """A commit that arrived: rows that were sent by table, deleted keys among them.

    Where it is ``moved``, no table of the sink's had changed.
    """

    sink: str
    commit: str
    number: int
    published: datetime
    rows: Mapping[str, int]
    wall_s: float

    @property
    def moved(self) -> bool:
        """Whether nothing but the position was told."""
        return not self.rows


@dataclass(slots=True)
class Deliverer:
    """One sink of one lake. Close it, or use ``with``.

    Args:
        wiring: what runs work with.
        declared: the sink as the project declares it.
        make: makes the sink, when somebody is to be asked.
        branch: the protected branch whose commits are delivered.
    """

    wiring: Wiring
    declared: DeclaredSink
    make: Callable[[], Sink]
    branch: str
    random: Random = field(default_factory=Random)
    _sink: Sink | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._sink is not None:
            self._sink.close()

    @property
    def sink(self) -> Sink:
        """The sink.

        Raises:
            NotFound, Invalid, Unavailable: it cannot be made.
        """
        if self._sink is None:
            self._sink = self.make()
        return self._sink

    def deliver(self) -> Iterator[Delivered]:
        """Deliver every commit that the sink does not have, one after the other.

        Raises:
            Unavailable: the destination does not answer, also when it is asked again.
            Refused: ``sink-unknown-commit``, ``sink-branch-open``, and what a commit may not do.
            NotFound: ``sink-history-gone``. Invalid: it does not take the rows.
        """
        self._refuse_open_branch()
        failures = lost = 0
        while True:
            try:
                for done in self._round():
                    failures = lost = 0
                    yield done
            except Conflict as error:
                lost += 1
                if error.code != "sink-elsewhere" or lost > _MOST_MOVED:
                    raise
            except Unavailable:
                failures += 1
                if failures >= PATIENCE.attempts:
                    raise
                self.wiring.clock.sleep(PATIENCE.delay(failures, self.random))
            else:
                return

    def state(self) -> SinkState:
        """Say how far the sink is. Where the destination does not answer, what was last known."""
        error: HeadgateError | None = None
        try:
            has = self.sink.position() if self.sink.remembers else self._kept.position()
        except HeadgateError as refused:
            error, has = refused, self._kept.position()
        described = self.sink.describe()
        found = SinkState(
            name=self.declared.name,
            kind=self.declared.kind,
            title=described.title,
            branch=self.branch,
            tables={each.table: each.to for each in self.declared.tables},
            has=has,
            error=error,
        )
        try:
            window = self._window(has)
            if has is None:
                to_come = window[-1:] if self._there(window[-1]) else []
            else:
                to_come = [commit for commit, _ in self._changing(window)]
        except HeadgateError as refused:
            return replace(found, error=error or refused)
        late = self.wiring.clock.now() - to_come[0].record.at if to_come else timedelta(0)
        return replace(found, behind=len(to_come), late=max(late, timedelta(0)))

    def tables(self) -> tuple[TableAtSink, ...]:
        """Say how each table is delivered, as the branch's head has it. Asks nobody else."""
        tree = self.wiring.lake.tree(self.wiring.head(self.branch))
        found = []
        for declared in self.declared.tables:
            entry = tree.get(table_key(declared.table))
            body = entry.table if entry is not None else None
            table = self._as_it_can(declared)
            mode, key, error = table.mode, table.key, None
            if body is not None:
                try:
                    how = manner(self.declared.name, table, body)
                    mode, key = how.mode, how.key
                except HeadgateError as refused:
                    error = refused
            found.append(
                TableAtSink(
                    table=declared.table,
                    to=declared.to,
                    mode=mode,
                    key=key,
                    is_there=body is not None,
                    columns=tuple((c.name, plain(c.type)) for c in body.schema) if body else (),
                    error=error,
                )
            )
        return tuple(found)

    def is_current(self) -> bool:
        """Whether the sink has the branch's head, as far as the lake knows. Asks nobody else."""
        has, head = self._kept.position(), self.wiring.head(self.branch)
        if has is None:
            return not self._there(head)
        return has.commit == head.id and all(_has(has, each) for each in self._there(head))

    def reset(self, to: Commit | None) -> None:
        """Say what the destination has: the tables as they are at a commit; None: nothing.

        Raises:
            Unavailable: the destination does not answer.
            NotFound: ``sink-history-gone``: the commit is past what the lake keeps.
            Refused: ``sink-unknown-commit``: it is not of the sink's branch.
        """
        position = None
        if to is not None:
            position = _position(to, self._there(to))
            self._window(position)
            self._hold(position)
        self.sink.place(position)
        self._kept.keep_only(position)

    # -- a round: from where the destination is to the head

    def _round(self) -> Iterator[Delivered]:
        has = self.sink.position() if self.sink.remembers else self._kept.position()
        window = self._window(has)
        if has is None:
            if there := self._there(window[-1]):
                self._kept.hold_first(window[-1].id)
                yield self._send(None, window[-1], there)[0]
            return
        self._hold(has)
        self._kept.let_go(before=has)
        if missing := [each for each in self._there(self._commit(has)) if not _has(has, each)]:
            done, has = self._send(has, self._commit(has), missing)
            yield done
        for commit, changed in self._changing(window):
            done, has = self._send(has, commit, changed)
            yield done
        if window and window[-1].number > has.number:
            yield self._send(has, window[-1], ())[0]

    def _send(
        self, has: Position | None, commit: Commit, changed: Sequence[SinkTable]
    ) -> tuple[Delivered, Position]:
        """Deliver one commit; give what was done, and where the destination is then."""
        wiring, began_s = self.wiring, self.wiring.clock.monotonic_s()
        position = _position(commit, self._there(commit))
        with self._explained(), closing(wiring.engine().session()) as session:
            tables = [
                table_delivery(
                    wiring,
                    session,
                    self.declared,
                    self._as_it_can(each),
                    commit=commit,
                    number=number,
                    is_new=has is None or not _has(has, each),
                    is_whole=not self.sink.edits and each.mode != "insert",
                )
                for number, each in enumerate(changed)
            ]
            self._refuse_mixtures(has, tables)
            rows = self.sink.deliver(
                Delivery(
                    position=position,
                    after=has,
                    published=commit.record.at,
                    branch=self.branch,
                    run=commit.record.run,
                    tables=tuple(each for each in tables if each is not None),
                )
            )
        self._hold(position)
        self._kept.let_go(before=position)
        done = Delivered(
            sink=self.declared.name,
            commit=commit.id,
            number=commit.number,
            published=commit.record.at,
            rows=rows,
            wall_s=wiring.clock.monotonic_s() - began_s,
        )
        return done, position

    def _refuse_mixtures(
        self, has: Position | None, tables: Sequence[TableDelivery | None]
    ) -> None:
        """Refuse to merge a table into one over there that this sink filled with another's rows."""
        filled = {to: table for table, to in (has.tables if has else ())}
        for each in tables:
            if each is None or not each.whole or each.effect != "upsert":
                continue
            other = filled.get(each.to, each.table)
            if other != each.table:
                name = self.declared.name
                raise Refused(
                    "sink-table-of-another",
                    f"The sink {name} is to deliver {each.table} to {each.to}, which it filled with"
                    f" {other} so far.",
                    readers=f"Those of {each.to} see {other} as it was delivered last.",
                    hint=f"Take {each.to} away over there, or give {each.table} another name there;"
                    f" then  headgate sinks reset {name}\n"
                    f"Without that, reset leaves rows of {other} whose keys {each.table} does not"
                    " have.",
                    sink=name,
                    table=each.table,
                )

    def _as_it_can(self, table: SinkTable) -> SinkTable:
        """Give what is meant of a table where nothing is said and nothing there can be changed."""
        if self.sink.edits or table.mode is not None:
            return table
        return replace(table, mode="replace")

    # -- the history

    @property
    def _kept(self) -> KeptForSink:
        return KeptForSink(self.wiring, self.declared.name)

    def _hold(self, position: Position) -> None:
        with self._explained():
            self._kept.hold(position)

    def _commit(self, position: Position) -> Commit:
        return self.wiring.lake.commit(position.commit)

    def _window(self, has: Position | None) -> Sequence[Commit]:
        """Give what was published since a position; the head alone where there is none."""
        lake, head = self.wiring.lake, self.wiring.head(self.branch)
        if has is None:
            return [head]
        known = lake.metastore.commit(has.commit) is not None
        if not known or not lake.is_ancestor(has.commit, head):
            raise Refused(
                "sink-unknown-commit",
                f"The sink {self.declared.name} has commit {has.commit[:12]}, number {has.number},"
                f" which is none of {self.branch}'s"
                f"{', though the lake knows it.' if known else ', and unknown to the lake.'}",
                readers="Those of the destination see that commit; nothing is delivered on top.",
                hint=f"Begin anew, with whole tables:  headgate sinks reset {self.declared.name}\n"
                "or say which commit the destination is like:  headgate sinks reset"
                f" {self.declared.name} --to REF",
                sink=self.declared.name,
                commit=has.commit,
            )
        return lake.window(head, since=has.number)

    def _there(self, commit: Commit) -> list[SinkTable]:
        """Give the sink's tables that there are at a commit."""
        with self._explained():
            tree = self.wiring.lake.tree(commit)
            return [each for each in self.declared.tables if tree.get(table_key(each.table))]

    def _changing(self, window: Sequence[Commit]) -> Iterator[tuple[Commit, tuple[SinkTable, ...]]]:
        """Give the commits that changed tables of the sink, and which."""
        lake = self.wiring.lake
        for commit in window:
            if commit.parent is None:
                continue
            parent = lake.commit(commit.parent)
            if parent.tree == commit.tree:
                continue
            with self._explained():
                was, now = lake.tree(parent), lake.tree(commit)
                keys = {each: table_key(each.table) for each in self.declared.tables}
                changed = tuple(
                    each for each, key in keys.items() if is_changed(was.get(key), now.get(key))
                )
            if changed:
                yield commit, changed

    def _refuse_open_branch(self) -> None:
        if not self.wiring.lake.branch(self.branch).protected:
            raise Refused(
                "sink-branch-open",
                f"Branch {self.branch} is not protected: what is on it was not published.",
                hint=f"Protect it:  headgate branch protect {self.branch}",
                branch=self.branch,
                sink=self.declared.name,
            )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Say what to do where the history that is to be delivered was swept away."""
        try:
            yield
        except NotFound as error:
            if error.code != "commit-collected":
                raise
            raise NotFound(
                "sink-history-gone",
                f"What the sink {self.declared.name} lacks is past what the lake keeps."
                f" {error.message}",
                readers="Those of the destination see what was delivered before it.",
                hint=f"Begin anew, with whole tables:  headgate sinks reset {self.declared.name}",
                sink=self.declared.name,
            ) from error


def _position(commit: Commit, tables: Sequence[SinkTable]) -> Position:
    named = tuple((each.table, each.to) for each in tables)
    return Position(commit=commit.id, number=commit.number, tables=named)


def _has(position: Position, table: SinkTable) -> bool:
    return (table.table, table.to) in position.tables
