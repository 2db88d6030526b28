"""What may go, in SQL: pins, marks, and how commits and nodes are taken away beside others' work.

Rows are locked in the order of their names, so that no two transactions on a server wait for each
other in a circle.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import msgspec

from headgate.lake import statements
from headgate.lake.database import Database, Row, Session, retried
from headgate.lake.instants import instant, stored
from headgate.lake.pins import CommitRow, EndedRun, MarkKind, Pin


class SqlRetention:
    """A ``Retention`` in an SQL database. Safe between threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- pins

    def pins(self) -> Sequence[Pin]:
        """Give all pins, the oldest first; those that are over, too."""
        with self._database.reading() as session:
            return [pin_of(row) for row in session.rows(statements.PINS)]

    @retried
    def pin(self, pin: Pin) -> bool:
        """Hold a commit; see ``Retention.pin``."""
        with self._database.writing(durable=False) as session:
            if not hold(session, pin.commit, operations=pin.since is not None):
                return False
            put_pin(session, pin)
        return True

    @retried
    def renew(self, holder: str, *, until: datetime) -> None:
        """Set a new end to all of a holder's pins that have one."""
        with self._database.writing(durable=False) as session:
            session.send(statements.RENEW_PINS, (stored(until), holder))

    @retried
    def unpin(self, id: str) -> None:
        """Let go; letting go of nothing is no error."""
        with self._database.writing(durable=False) as session:
            session.send(statements.DROP_PIN, (id,))

    @retried
    def unpin_all(self, holder: str) -> None:
        """Let go of everything that somebody holds."""
        with self._database.writing(durable=False) as session:
            session.send(statements.DROP_PINS, (holder,))

    @retried
    def expire_pins(self, *, before: datetime) -> int:
        """Delete the pins that were over before an instant."""
        with self._database.writing(durable=False) as session:
            return session.change(statements.EXPIRE_PINS, (stored(before),))

    # -- what is gone

    def gone(self, ids: Sequence[str]) -> Mapping[str, CommitRow]:
        """Give those of the commits that have lost anything."""
        with self._database.reading() as session:
            rows = session.rows_in(statements.COLLECTED, ids)
        return {
            id: _commit_row((id, None, 0, collected, emptied))
            for id, collected, emptied in rows
            if collected is not None or emptied is not None
        }

    def commit_rows(self, *, after: str, limit: int) -> Sequence[CommitRow]:
        """Give a piece of all commits, by id."""
        with self._database.reading() as session:
            return [
                _commit_row(row) for row in session.rows(statements.COMMITS_AFTER, (after, limit))
            ]

    # -- marks

    def marks(self, kind: MarkKind, *, after: str, limit: int) -> Sequence[tuple[str, datetime]]:
        """Give a piece of the marks of a kind, by name."""
        with self._database.reading() as session:
            rows = session.rows(statements.MARKS, (kind, after, limit))
        return [(name, instant(at)) for name, at in rows]

    @retried
    def put_marks(self, kind: MarkKind, names: Sequence[str], *, at: datetime) -> None:
        """Mark names; those that are marked keep their time."""
        rows = [(kind, name, stored(at)) for name in sorted(names)]
        with self._database.writing(durable=False) as session:
            session.change_many(statements.PUT_MARK, rows)

    @retried
    def drop_marks(self, kind: MarkKind, names: Sequence[str]) -> None:
        """Take marks away."""
        with self._database.writing(durable=False) as session:
            session.change_many(statements.DROP_MARK, [(kind, name) for name in sorted(names)])

    # -- taking away

    @retried
    def collect(
        self,
        commits: Sequence[str],
        operations: Sequence[str],
        *,
        at: datetime,
        leases_since: datetime,
        is_known: Callable[[str], bool],
    ) -> Sequence[str]:
        """Say of commits what they lose; see ``Retention.collect``."""
        with self._database.writing(durable=True) as session:
            locked = session.rows_in(statements.LOCK_COMMITS, sorted({*commits, *operations}))
            there = {id for id, _, _ in locked}
            # Only now: whoever roots one of them from here on waits, and is refused.
            rooted = _reached(session, set(commits), stored(leases_since), is_known)
            if rooted:
                return sorted(rooted)
            moment = stored(at)
            session.change_many(
                statements.COLLECT, [(moment, id) for id in sorted(commits) if id in there]
            )
            session.change_many(
                statements.EMPTY, [(moment, id) for id in sorted(operations) if id in there]
            )
            session.change_many(statements.DROP_MARK, [("commit", id) for id in sorted(commits)])
            session.change_many(
                statements.DROP_MARK, [("operations", id) for id in sorted(operations)]
            )
        return ()

    @retried
    def delete_commits(self, ids: Sequence[str]) -> int:
        """Delete the rows of collected commits; give how many were there."""
        with self._database.writing(durable=False) as session:
            return sum(session.change(statements.DELETE_COMMIT, (id,)) for id in sorted(ids))

    def node_names(self, *, after: bytes, limit: int) -> Sequence[bytes]:
        """Give a piece of the names of all nodes, in order."""
        with self._database.reading() as session:
            return [name for (name,) in session.rows(statements.NODES_AFTER, (after, limit))]

    @retried
    def doom(self, names: Sequence[bytes], *, token: str) -> None:
        """Say that a collection is about to delete nodes. Storing one again spares it."""
        with self._database.writing(durable=False) as session:
            session.rows_in(statements.LOCK_NODES, sorted(names))
            session.change_many(statements.DOOM_NODE, [(token, name) for name in sorted(names)])

    @retried
    def spare(self, names: Sequence[bytes], *, token: str) -> None:
        """Take nodes out of what a collection is about to delete."""
        with self._database.writing(durable=False) as session:
            session.rows_in(statements.LOCK_NODES, sorted(names))
            session.change_many(statements.SPARE_NODE, [(name, token) for name in sorted(names)])

    @retried
    def delete_doomed(self, names: Sequence[bytes], *, token: str) -> int:
        """Delete those of the nodes that are doomed still; give how many."""
        with self._database.writing(durable=False) as session:
            session.rows_in(statements.LOCK_NODES, sorted(names))
            return sum(session.change(statements.DELETE_NODE, (name, token)) for name in names)

    # -- rows that say nothing any more

    @retried
    def forget_moves(self, branch: str, *, before: datetime) -> int:
        """Forget where a branch was before an instant, but for where it was then."""
        with self._database.writing(durable=False) as session:
            return session.change(statements.OLD_MOVES, (branch, branch, stored(before)))

    def ended_runs(self, *, before: datetime, after: str, limit: int) -> Sequence[EndedRun]:
        """Give a piece of the runs that were over before an instant and leave something behind."""
        with self._database.reading() as session:
            rows = session.rows(statements.OLD_RUNS, (stored(before), after, limit))
        return [
            EndedRun(id=id, state=state, branch=branch, commit=c) for id, state, branch, c in rows
        ]

    @retried
    def forget_runs(self, parts: Sequence[str], whole: Sequence[str]) -> None:
        """Forget the steps and events of runs; of others all."""
        rows = [(id,) for id in (*parts, *whole)]
        with self._database.writing(durable=False) as session:
            session.change_many(statements.DELETE_STEPS, rows)
            session.change_many(statements.DELETE_EVENTS, rows)
            session.change_many(statements.DELETE_RUN, [(id,) for id in whole])


# -- within a transaction


def hold(session: Session, commit: str, *, operations: bool = False) -> bool:
    """Make a commit one that may get a root: False where it is collected, or not there.

    With ``operations`` it must have its operations' files, too.

    Its row is locked until the transaction ends, so that nobody collects it meanwhile.
    """
    row = session.row(statements.LOCK_COMMIT, (commit,))
    if row is None or row[1] is not None or (operations and row[2] is not None):
        return False
    session.send(statements.DROP_MARK, ("commit", commit))
    if operations:
        session.send(statements.DROP_MARK, ("operations", commit))
    return True


def put_pin(session: Session, pin: Pin) -> None:
    """Store a pin."""
    row = (
        pin.id,
        pin.kind,
        pin.holder,
        pin.commit,
        pin.since,
        stored(pin.created),
        None if pin.until is None else stored(pin.until),
        pin.why,
    )
    session.send(statements.PUT_PIN, row)


def pin_of(row: Row) -> Pin:
    """Give the pin of a row."""
    id, kind, holder, commit, since, created, until, why = row
    return Pin(
        id=id,
        kind=kind,
        holder=holder,
        commit=commit,
        since=since,
        created=instant(created),
        until=None if until is None else instant(until),
        why=why,
    )


def _reached(
    session: Session, commits: set[str], leases_since: int, is_known: Callable[[str], bool]
) -> set[str]:
    """Give those of the commits that a root is, or follows."""
    roots = {id for (id,) in session.rows(statements.ROOTS, (leases_since,))}
    for row in session.rows(statements.BACKUPS):
        roots.update(msgspec.json.decode(row[-1]))
    found: set[str] = set()
    for root in roots:
        id: str | None = root
        while id is not None and id not in commits and not is_known(id):
            link = session.row(statements.LINK, (id,))
            id = None if link is None else link[1]
        if id in commits:
            found.add(id)
    return found


def _commit_row(row: Row) -> CommitRow:
    id, parent, number, collected, emptied = row
    return CommitRow(
        id=id,
        parent=parent,
        number=number,
        collected=None if collected is None else instant(collected),
        emptied=None if emptied is None else instant(emptied),
    )
