"""The metastore over any SQL database: what each method reads and changes, in which order.

In every transaction the run's row comes before the branch's, so that two transactions on a server
never wait for each other in a circle.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from headgate.clock import Clock
from headgate.errors import AlreadyExists, Internal
from headgate.lake import migrations, sql_branches, statements
from headgate.lake.commits import Link
from headgate.lake.database import Database, Row, Session, Unmet, retried
from headgate.lake.instants import instant as _instant
from headgate.lake.instants import stored as _stored
from headgate.lake.metastore import (
    Backup,
    Branch,
    EventRow,
    Outcome,
    References,
    RunRow,
    RunState,
    StepRow,
    Tag,
    Turns,
)
from headgate.lake.pins import Pin, Retention
from headgate.lake.records import Commit
from headgate.lake.sql_commits import SqlCommits
from headgate.lake.sql_erasing import SqlErasing
from headgate.lake.sql_retention import SqlRetention, hold, pin_of, put_pin
from headgate.lake.sql_rows import (
    backup_of,
    branch_of,
    event_of,
    event_row,
    json_text,
    run_of,
    step_of,
    step_row,
    tag_of,
)
from headgate.lake.sql_turns import SqlTurns

_FINAL = frozenset({RunState.PUBLISHED, RunState.ABANDONED, RunState.ADOPTED})
_AT_WORK = frozenset({RunState.RUNNING, RunState.PUBLISHING})
_ALL = 2**62
_PAST_HEX = "g"
ID_FACT = "id"
MAIN_FACT = "main"
EPOCH_FACT = "epoch"
ERASURES_FACT = "erasures"


class SqlMetastore:
    """A ``Metastore`` in an SQL database. Safe between threads and processes.

    Args:
        database: where; closed together with this.
        clock: when branches moved, and which leases are over.
        facts: what the lake says of itself (``migrations.open_facts``).
    """

    def __init__(self, database: Database, *, clock: Clock, facts: Mapping[str, str]) -> None:
        self._database = database
        self._clock = clock
        self._facts = facts
        self._commits = SqlCommits(database)
        self._retention = SqlRetention(database)
        self._erasing = SqlErasing(database)
        self._turns = SqlTurns(database, clock)

    # -- the lake itself

    def lake_id(self) -> str:
        """Give the lake's id."""
        return self._facts[ID_FACT]

    def main(self) -> str:
        """Give the name of the branch the lake was created with."""
        return self._facts[MAIN_FACT]

    def check(self) -> Sequence[str]:
        """Give what the database finds wrong with itself, if anything. Reads all of it."""
        return self._database.check()

    def describe(self) -> Mapping[str, str]:
        """Give id, format and database, for people; and how often rows had been erased."""
        return {
            "id": self.lake_id(),
            "format": self._facts[migrations.FORMAT_FACT],
            "erasures": self._facts.get(ERASURES_FACT, "0"),
            "database": self._database.describe(),
        }

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    # -- copies of the whole, and who may delete files

    def copy(self, to: Path) -> None:
        """Write one state of everything to a file, as an SQLite metastore; nobody waits."""
        self._database.copy(to)

    def identity(self) -> str:
        """Name this very database: a copy of it has another name, after a move it may have."""
        return self._database.identity()

    def epoch(self) -> str:
        """Give the epoch now."""
        with self._database.reading() as session:
            row = session.row(statements.FACT, (EPOCH_FACT,))
        return self.lake_id() if row is None else row[0]

    @retried
    def take_epoch(self, epoch: str) -> None:
        """Set the epoch, durably."""
        with self._database.writing(durable=True) as session:
            session.change(statements.PUT_FACT, (EPOCH_FACT, epoch))

    def backups(self) -> Sequence[Backup]:
        """Give the backups that need something kept, the oldest first; those expired, too."""
        with self._database.reading() as session:
            return [backup_of(row) for row in session.rows(statements.BACKUPS)]

    @retried
    def put_backup(self, backup: Backup) -> None:
        """Record what a backup needs kept, in place of what its name stood for."""
        row = (
            backup.name,
            _stored(backup.created),
            None if backup.expires is None else _stored(backup.expires),
            backup.location,
            json_text(list(backup.commits)),
        )
        with self._database.writing(durable=True) as session:
            session.change(statements.PUT_BACKUP, row)

    def delete_backup(self, name: str) -> bool:
        """Forget a backup; False where there is none."""
        with self._database.writing(durable=True) as session:
            return bool(session.change(statements.DELETE_BACKUP, (name,)))

    # -- what is kept, and what may go

    @property
    def retention(self) -> Retention:
        """What may go, and how it is taken away."""
        return self._retention

    @property
    def turns(self) -> Turns:
        """In which order runs publish."""
        return self._turns

    @property
    def erasing(self) -> SqlErasing:
        """How rows are erased from the history."""
        return self._erasing

    def purge(self) -> bool:
        """Leave nothing in the database's own files that is not in the database any more.

        False where only the database's administrator can see to that.
        """
        return self._database.purge()

    def references(self) -> References:
        """Give all that keeps something, as it is at one moment."""
        with self._database.reading() as session:
            branches, tags, runs, pins, backups = session.together(
                (statements.BRANCHES, ()),
                (statements.TAGS, ()),
                (statements.RUNS_WITH_ROOTS, ()),
                (statements.PINS, ()),
                (statements.BACKUPS, ()),
            )
        return References(
            branches=tuple(branch_of(row) for row in branches),
            tags=tuple(tag_of(row) for row in tags),
            runs=tuple(run_of(row) for row in runs),
            pins=tuple(pin_of(row) for row in pins),
            backups=tuple(backup_of(row) for row in backups),
        )

    def first_move(self, branch: str) -> tuple[datetime, str] | None:
        """Give when a branch was first somewhere that is still known, and at which commit."""
        with self._database.reading() as session:
            row = session.row(statements.FIRST_MOVE, (branch,))
        return None if row is None else (_instant(row[0]), row[1])

    # -- nodes

    def get_nodes(self, hashes: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Give the framed nodes of these names; a missing one is left out."""
        with self._database.reading() as session:
            return dict(session.rows_in(statements.NODES, hashes))

    @retried
    def put_nodes(self, nodes: Mapping[bytes, bytes]) -> None:
        """Store nodes; those that are there stay."""
        with self._database.writing(durable=False) as session:
            session.change_many(statements.PUT_NODE, sorted(nodes.items()))

    # -- commits

    def commit(self, id: str) -> Commit | None:
        """Give a commit, or None."""
        return next(iter(self.commits((id,))), None)

    def commits(self, ids: Sequence[str]) -> Sequence[Commit]:
        """Give those of the commits that are there, in the order of their ids."""
        return self._commits.some(ids)

    def link(self, id: str) -> Link:
        """Give a commit's place in the history."""
        return self._commits.link(id)

    def chain(
        self, id: str, *, since: int = -1, limit: int | None = None, cached: bool = True
    ) -> Sequence[Commit]:
        """Give a commit and its first parents with numbers above ``since``, newest first."""
        return self._commits.chain(id, since=since, limit=limit, cached=cached)

    def find_commits(self, prefix: str, limit: int) -> Sequence[str]:
        """Give ids that begin so."""
        with self._database.reading() as session:
            rows = session.rows(statements.FIND_COMMITS, (prefix, prefix + _PAST_HEX, limit))
        return [id for (id,) in rows]

    # -- branches and tags

    def branches(self) -> Sequence[Branch]:
        """Give all branches, by name."""
        with self._database.reading() as session:
            return [branch_of(row) for row in session.rows(statements.BRANCHES)]

    def branch(self, name: str) -> Branch | None:
        """Give a branch, or None."""
        with self._database.reading() as session:
            row = session.row(statements.BRANCH, (name,))
        if row is None:
            return None
        self._commits.notice(row[5])
        return None if row[0] is None else branch_of(row[:5])

    @retried
    def create_branch(self, branch: Branch) -> bool:
        """Create a branch; False where the name is taken.

        Raises:
            NotFound: ``unknown-commit``, ``commit-collected``.
        """
        with self._database.writing(durable=False) as session:
            held, put = session.together(*sql_branches.making(branch))
            return sql_branches.made(session, branch, held, put)

    @retried
    def delete_branch(self, name: str, *, head: str) -> Outcome:
        """Delete a branch if its head is still that and it is not protected."""
        with self._database.writing(durable=False) as session:
            if not session.change(statements.DELETE_BRANCH, (name, head)):
                return Outcome.HEAD_MOVED
            session.send(statements.DELETE_MOVES, (name,))
            return Outcome.DONE

    @retried
    def protect(self, name: str, *, protected: bool) -> bool:
        """Protect a branch, or end its protection; False where there is none."""
        with self._database.writing(durable=True) as session:
            return bool(session.change(statements.PROTECT, (int(protected), name)))

    def tags(self) -> Sequence[Tag]:
        """Give all tags, by name."""
        with self._database.reading() as session:
            return [tag_of(row) for row in session.rows(statements.TAGS)]

    def tag(self, name: str) -> Tag | None:
        """Give a tag, or None."""
        with self._database.reading() as session:
            row = session.row(statements.TAG, (name,))
        return None if row is None else tag_of(row)

    @retried
    def create_tag(self, tag: Tag) -> bool:
        """Create a tag; False where the name is taken.

        Raises:
            NotFound: ``unknown-commit``, ``commit-collected``.
        """
        with self._database.writing(durable=False) as session:
            if not hold(session, tag.commit):
                held = session.rows(statements.LOCK_COMMIT, (tag.commit,))
                raise sql_branches.not_held(held, tag.commit)
            row = (tag.name, _stored(tag.created), tag.commit)
            return bool(session.change(statements.PUT_TAG, row))

    @retried
    def delete_tag(self, name: str) -> bool:
        """Delete a tag; False where there is none."""
        with self._database.writing(durable=False) as session:
            return bool(session.change(statements.DELETE_TAG, (name,)))

    def head_at(self, branch: str, instant: datetime) -> str | None:
        """Give what readers of a branch saw at an instant; None before its creation."""
        with self._database.reading() as session:
            row = session.row(statements.HEAD_AT, (branch, _stored(instant)))
        return None if row is None else row[0]

    # -- moving a branch

    @retried
    def advance(
        self,
        branch: str,
        *,
        head: str,
        commit: Commit,
        nodes: Mapping[bytes, bytes],
        run: str | None = None,
        fence: int = 0,
        steps: Sequence[StepRow] = (),
        events: Sequence[EventRow] = (),
    ) -> Outcome:
        """Move a branch; see ``Metastore.advance``.

        Raises:
            Refused: ``protected-branch``.
        """
        with self._database.writing(durable=False) as session:
            mine, there = session.together(
                (statements.LOCK_RUN, (run,)), (statements.LOCK_BRANCH, (branch,))
            )
            if run is not None and not _is_mine(mine, fence):
                return Outcome.NOT_MINE
            if there and there[0][1]:
                raise sql_branches.protected_branch(branch)
            if not there or there[0][0] != head:
                return Outcome.HEAD_MOVED
            link = self._put_commit(session, head, commit, nodes)
            session.send(*sql_branches.moving(branch, head=head, to=commit))
            sql_branches.put_move(session, branch, commit.id, at=self._clock.now())
            _put_steps_and_events(session, steps, events)
        self._commits.remember(link, commit)
        return Outcome.DONE

    @retried
    def publish(
        self,
        branch: str,
        *,
        head: str,
        commit: Commit,
        nodes: Mapping[bytes, bytes],
        run: str,
        fence: int,
        events: Sequence[EventRow] = (),
    ) -> Outcome:
        """Move the target's head and the run to ``published``; see ``Metastore.publish``."""
        mine = (RunState.PUBLISHED.value, commit.id, run, RunState.PUBLISHING.value, fence)
        self._commits.look_behind(commit)
        try:
            with self._database.writing(durable=True) as session:
                session.must(statements.PUBLISH_RUN, mine, condition=Outcome.NOT_MINE)
                move = sql_branches.moving(branch, head=head, to=commit)
                session.must(*move, condition=Outcome.HEAD_MOVED)
                link = self._put_commit(session, head, commit, nodes)
                sql_branches.put_move(session, branch, commit.id, at=self._clock.now())
                _drop_claims(session, run)
                _put_steps_and_events(session, (), events)
        except Unmet as unmet:
            return Outcome(unmet.condition)
        self._commits.remember(link, commit)
        return Outcome.DONE

    # -- runs

    @retried
    def begin_run(self, run: RunRow, *, fork_from: str) -> None:
        """Record a run and create its branch.

        Raises:
            AlreadyExists: ``run-exists``.
            NotFound: ``unknown-commit``.
        """
        branch = Branch(
            name=run.branch, head=fork_from, number=0, protected=False, created=run.began
        )
        row = (
            run.id,
            run.pipeline,
            run.target,
            run.branch,
            run.state.value,
            run.fence,
            run.base,
            _stored(run.began),
            run.owner,
            _stored(run.lease_until),
            run.commit,
            json_text(run.reason),
            json_text(run.settings),
        )
        with self._database.writing(durable=False) as session:
            new, held, put = session.together(
                (statements.PUT_RUN, row), *sql_branches.making(branch)
            )
            if not (new and sql_branches.made(session, branch, held, put)):
                raise AlreadyExists("run-exists", f"Run {run.id} exists already.", run=run.id)

    def run(self, id: str) -> RunRow | None:
        """Give a run, or None."""
        with self._database.reading() as session:
            row = session.row(statements.RUN, (id,))
        return None if row is None else run_of(row)

    def runs(
        self,
        *,
        states: Sequence[RunState] = (),
        pipeline: str | None = None,
        limit: int | None = None,
    ) -> Sequence[RunRow]:
        """Give runs, the latest first; all of them where there is no limit."""
        values = [state.value for state in states]
        limit = _ALL if limit is None else limit
        with self._database.reading() as session:
            if values and pipeline is not None:
                rows = session.rows_in(
                    statements.RUNS_OF_PIPELINE_IN_STATES, values, (pipeline, limit)
                )
            elif values:
                rows = session.rows_in(statements.RUNS_IN_STATES, values, (limit,))
            elif pipeline is not None:
                rows = session.rows(statements.RUNS_OF_PIPELINE, (pipeline, limit))
            else:
                rows = session.rows(statements.RUNS, (limit,))
        return [run_of(row) for row in rows]

    def find_runs(self, prefix: str, limit: int) -> Sequence[str]:
        """Give ids of runs that begin so."""
        with self._database.reading() as session:
            rows = session.rows(statements.FIND_RUNS, (prefix, prefix + _PAST_HEX, limit))
        return [id for (id,) in rows]

    @retried
    def take_over(self, id: str, *, owner: str, lease_until: datetime) -> RunRow | None:
        """Give the run with fence + 1 and state ``running``; None where it is final or unknown."""
        with self._database.writing(durable=True) as session:
            row = session.row(statements.LOCK_RUN, (id,))
            if row is None or row[1] in _FINAL:
                return None
            change = (RunState.RUNNING.value, owner, _stored(lease_until), id)
            session.send(statements.TAKE_OVER, change)
            session.send(statements.DROP_TICKETS, (id,))
            session.send(statements.DROP_PINS, (id,))
            row = session.row(statements.RUN, (id,))
        return None if row is None else run_of(row)

    @retried
    def set_run(
        self,
        id: str,
        *,
        fence: int,
        state: RunState,
        base: str | None = None,
        commit: str | None = None,
        reason: Mapping[str, object] | None = None,
        lease_until: datetime | None = None,
        events: Sequence[EventRow] = (),
    ) -> bool:
        """Change a run's row only if the fence is mine and it is not final.

        What is None stays. A run that is no longer at work gives its claims back.
        """
        if state is RunState.PUBLISHED:
            raise Internal("published-by-hand", f"Only publish() publishes run {id}.", run=id)
        lease = None if lease_until is None else _stored(lease_until)
        with self._database.writing(durable=state in _FINAL) as session:
            if not _is_mine(session.rows(statements.LOCK_RUN, (id,)), fence):
                return False
            change = (state.value, base, commit, json_text(reason), lease, id)
            session.send(statements.SET_RUN, change)
            if state not in _AT_WORK:
                _drop_claims(session, id)
            _put_steps_and_events(session, (), events)
        return True

    @retried
    def rebase_run(self, id: str, *, fence: int, head: str, base: str) -> Outcome:
        """Put the run's branch on a new base; see ``Metastore.rebase_run``."""
        with self._database.writing(durable=False) as session:
            row = session.row(statements.LOCK_RUN, (id,))
            if row is None or row[0] != fence or row[1] in _FINAL:
                return Outcome.NOT_MINE
            link = self._commits.link(base, session)
            if not session.rows(*sql_branches.moving(row[2], head=head, to=link)):
                return Outcome.HEAD_MOVED
            sql_branches.put_move(session, row[2], base, at=self._clock.now())
            session.send(statements.SET_BASE, (base, id))
            if head != base:  # the run goes on with what it had made, though no ref is there now
                put_pin(session, self._left(id, head))
        return Outcome.DONE

    @retried
    def heartbeat(self, id: str, *, fence: int, lease_until: datetime) -> bool:
        """Lengthen the lease; False where the run is no longer mine."""
        with self._database.writing(durable=False) as session:
            if not _is_mine(session.rows(statements.LOCK_RUN, (id,)), fence):
                return False
            session.send(statements.HEARTBEAT, (_stored(lease_until), id))
        return True

    def steps(self, run: str) -> Sequence[StepRow]:
        """Give the steps of a run, by name."""
        with self._database.reading() as session:
            return [step_of(row) for row in session.rows(statements.STEPS, (run,))]

    @retried
    def record(
        self,
        run: str,
        *,
        fence: int,
        steps: Sequence[StepRow] = (),
        events: Sequence[EventRow] = (),
    ) -> bool:
        """Store step states and events in one cheap transaction; see ``Metastore.record``."""
        with self._database.writing(durable=False) as session:
            row = session.row(statements.LOCK_RUN, (run,))
            if row is None or row[0] != fence:
                return False
            _put_steps_and_events(session, steps, events)
        return True

    def events(
        self, *, after: int = 0, run: str | None = None, limit: int = 1000
    ) -> Sequence[EventRow]:
        """Give events with numbers above ``after``, in order."""
        with self._database.reading() as session:
            if run is None:
                rows = session.rows(statements.EVENTS, (after, limit))
            else:
                rows = session.rows(statements.EVENTS_OF_RUN, (run, after, limit))
        return [event_of(row) for row in rows]

    # -- ids

    @retried
    def allocate(self, table: str, names: Sequence[str], *, at_least: int = 1) -> Mapping[str, int]:
        """Give each name its number within ``table``; see ``Metastore.allocate``."""
        wanted = list(dict.fromkeys(names))
        with self._database.reading() as session:
            found: dict[str, int] = dict(session.rows_in(statements.IDS, wanted, before=(table,)))
        if len(found) < len(wanted):
            with self._database.writing(durable=True) as session:
                row = session.row(statements.RESERVE_IDS, (table, at_least))
                found = dict(session.rows_in(statements.IDS, wanted, before=(table,)))
                new = [name for name in wanted if name not in found]
                start = at_least if row is None else row[0]
                numbers = {name: number for number, name in enumerate(new, start)}
                session.change_many(
                    statements.PUT_ID, ((table, name, number) for name, number in numbers.items())
                )
                session.send(statements.SET_NEXT_ID, (start + len(new), table))
                found.update(numbers)
        return {name: found[name] for name in wanted}

    # -- within a transaction

    def _put_commit(
        self, session: Session, head: str, commit: Commit, nodes: Mapping[bytes, bytes]
    ) -> Link:
        if commit.parent != head:
            raise Internal(
                "commit-off-head", f"Commit {commit.id} does not follow {head}.", commit=commit.id
            )
        session.change_many(statements.PUT_NODE, sorted(nodes.items()))
        return self._commits.put(session, commit)

    def _left(self, run: str, commit: str) -> Pin:
        return Pin(
            id=f"{run}/{commit}",
            kind="run",
            holder=run,
            commit=commit,
            created=self._clock.now(),
            why="what it had made before it was put on a newer commit",
        )


def _is_mine(rows: Sequence[Row], fence: int) -> bool:
    """Say whether a locked run (``LOCK_RUN``) is its holder's, and not final."""
    return bool(rows) and rows[0][0] == fence and rows[0][1] not in _FINAL


def _drop_claims(session: Session, run: str) -> None:
    session.send(statements.DROP_TICKETS, (run,))
    session.send(statements.DROP_RESERVATIONS, (run,))
    session.send(statements.DROP_PINS, (run,))


def _put_steps_and_events(
    session: Session, steps: Sequence[StepRow], events: Sequence[EventRow]
) -> None:
    step_rows = [step_row(step) for step in steps]
    if step_rows:
        session.change_many(statements.PUT_STEP, step_rows)
    event_rows = [event_row(event) for event in events]
    if event_rows:
        session.change_many(statements.PUT_EVENT, event_rows)
