"""Compaction: a table's small files become larger ones, in commits of their own.

Rows, content ids and verdicts stay: nobody computes, judges or delivers anything for it. Data files
are written and synced while others publish. What was published meanwhile decides which of them the
table takes: a file is exchanged only while the head still lists it (docs/decisions/016).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

from headgate.errors import Corrupt, HeadgateError, Internal, Interrupted, NotFound, Refused
from headgate.events import RunFailed, RunPublished, StepProgressed
from headgate.filesets import DataFile
from headgate.lake import (
    Commit,
    Entry,
    Group,
    Outcome,
    Record,
    Rewrite,
    RunRow,
    RunState,
    StepRecord,
    Write,
    batches,
    damage,
    files_until_due,
    plan_groups,
    table_key,
)
from headgate.names import suggestion
from headgate.runs.attempt import Attempt
from headgate.runs.beginning import begin, is_at_work
from headgate.runs.failures import system_trouble
from headgate.runs.publish import SHORT_WAIT, TICKET_LEASE, commit_once, seniors
from headgate.runs.wiring import LEASE, Wiring

PIPELINE = "compaction"
BATCH_BYTES = 4 * 1024**3
"""What one commit rewrites: a kill costs no more."""
MOST_DROPPED = 5
"""How often in a row others may be faster, before a compaction leaves the table to them."""
_THREADS = 2
_OPEN = (RunState.RUNNING, RunState.PUBLISHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionPlan:
    """What compacting a table would rewrite; no groups: nothing."""

    table: str
    target: str
    files: int
    size_bytes: int
    groups: tuple[Group, ...]

    @property
    def files_to_rewrite(self) -> int:
        """How many files would be written anew."""
        return sum(len(group.files) for group in self.groups)

    @property
    def bytes_to_rewrite(self) -> int:
        """How large they are."""
        return sum(group.size_bytes for group in self.groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compaction:
    """What compacting a table did. No ``commits``: there was nothing to do, or ``busy`` says why.

    ``files_before`` and ``files_after`` are all of the table's files, by then; ``files_removed``,
    ``files_added`` and their bytes those that were exchanged.
    """

    table: str
    target: str
    commits: tuple[str, ...] = ()
    files_before: int = 0
    files_after: int = 0
    files_removed: int = 0
    files_added: int = 0
    bytes_removed: int = 0
    bytes_added: int = 0
    rows: int = 0
    wall_s: float = 0.0
    busy: str | None = None


def plan_compaction(
    wiring: Wiring, target: str, tables: Sequence[str] = (), *, after: int = 0
) -> tuple[CompactionPlan, ...]:
    """Say what compacting tables of a branch would rewrite; of all its tables where none is named.

    Raises:
        NotFound: ``unknown-branch``, ``unknown-table``. Refused: ``delete-files-unsupported``.
    """
    tree = wiring.lake.tree(wiring.head(target))
    found = []
    for table in _named(wiring, target, tables):
        entry = tree.get(table_key(table))
        if entry is None or entry.table is None:
            continue
        files = wiring.lake.tables.files(entry)
        found.append(
            CompactionPlan(
                table=table,
                target=target,
                files=len(files),
                size_bytes=entry.table.size_bytes,
                groups=plan_groups(files, sort_by=entry.table.sort_by, after=after),
            )
        )
    return tuple(found)


def compact(
    wiring: Wiring,
    target: str,
    tables: Sequence[str] = (),
    *,
    after: int = 0,
    limit_bytes: int | None = None,
    done: Callable[[Compaction], None] | None = None,
) -> tuple[Compaction, ...]:
    """Compact tables of a branch, or all; ``done`` hears of each as it is finished.

    With ``after`` only where a partition has so many small files of about one size.
    ``limit_bytes`` is how much of a table is rewritten at most. A table that cannot be compacted
    is no reason to leave out the others: they come first, then its error.

    Raises:
        NotFound: ``unknown-branch``, ``unknown-table``.
        Refused: ``delete-files-unsupported``, ``run-branch``.
        Corrupt: ``data-file-damaged``, ``data-file-missing``. Unavailable: ``disk-full``.
        Interrupted.
    """
    end_dead(wiring)
    found: list[Compaction] = []
    refused: HeadgateError | None = None
    for table in _named(wiring, target, tables):
        try:
            one = _compact_table(wiring, target, table, after=after, limit_bytes=limit_bytes)
        except (Refused, Corrupt) as error:
            refused = refused or error
            continue
        found.append(one)
        if done is not None:
            done(one)
    if refused is not None:
        raise refused
    return tuple(found)


def due_at(wiring: Wiring, target: str, table: str, after: int) -> int:
    """Give with how many files, at least, a table of a branch is due."""
    entry = wiring.lake.tree(wiring.head(target)).get(table_key(table))
    if entry is None or entry.table is None:
        return after
    files = wiring.lake.tables.files(entry)
    return len(files) + files_until_due(files, after)


def end_dead(wiring: Wiring) -> None:
    """End compactions whose process died: nobody has to resume them, garbage collection sweeps.

    Their files are left to it: this lake may be the copy of one in which they were published.
    """
    metastore = wiring.lake.metastore
    now = wiring.clock.now()
    for row in metastore.runs(states=_OPEN, pipeline=PIPELINE):
        if _table_of(row) is None or is_at_work(row, now):
            continue
        taken = metastore.take_over(row.id, owner=wiring.owner, lease_until=now + LEASE)
        if taken is not None:
            attempt = Attempt(wiring, taken, base=wiring.lake.commit(taken.base))
            attempt.set_state(RunState.ABANDONED, reason={"code": "killed"})
            _drop_branch(attempt)


# -- a table


def _named(wiring: Wiring, target: str, tables: Sequence[str]) -> tuple[str, ...]:
    if target.startswith("run/"):
        raise Refused(
            "run-branch",
            f"Branch {target} belongs to its run: its files are rewritten once it is published.",
            branch=target,
        )
    tree = wiring.lake.tree(wiring.head(target))
    known = [key.removeprefix("table/") for key in tree.keys("table/")]
    for table in tables:
        if table not in known:
            close = suggestion(table, known)
            raise NotFound(
                "unknown-table",
                f"There is no table {table!r} on {target}.",
                hint=f"Did you mean {close}?" if close else "Look: headgate table",
                table=table,
            )
    return tuple(dict.fromkeys(tables)) or tuple(known)


def _compact_table(
    wiring: Wiring, target: str, table: str, *, after: int, limit_bytes: int | None
) -> Compaction:
    began = wiring.clock.monotonic_s()
    result = Compaction(table=table, target=target)
    dropped = 0
    left = limit_bytes
    while True:
        head = wiring.head(target)
        entry = wiring.lake.tree(head).get(table_key(table))
        body = entry.table if entry is not None else None
        if entry is None or body is None:
            break  # somebody dropped it
        result = replace(
            result, files_before=result.files_before or body.files, files_after=body.files
        )
        groups: tuple[Group, ...] = ()
        if body.files > 1 or not after:
            files = wiring.lake.tables.files(entry)
            groups = plan_groups(files, sort_by=body.sort_by, after=after)
        if not groups or (left is not None and left <= 0):
            break
        busy = _at_work(wiring, target, table)
        if busy is not None or dropped == MOST_DROPPED:
            why = f"run {busy.id} compacts it" if busy else "others changed it again and again"
            result = replace(result, busy=why)
            break
        batch = next(batches(groups, BATCH_BYTES if left is None else min(left, BATCH_BYTES)))
        commit, taken = _run(wiring, head, target, table, entry, batch)
        dropped = 0 if commit is not None else dropped + 1
        result = _counted(result, commit, taken, {file.path: file for file in files})
        if left is not None:
            left -= sum(group.size_bytes for group in batch)
    return replace(result, wall_s=wiring.clock.monotonic_s() - began)


def _counted(
    result: Compaction,
    commit: Commit | None,
    rewrites: Sequence[Rewrite],
    files: Mapping[str, DataFile],
) -> Compaction:
    if commit is None:
        return result
    added = [file for rewrite in rewrites for file in rewrite.added]
    removed = [files[path] for rewrite in rewrites for path in rewrite.removed]
    return replace(
        result,
        commits=(*result.commits, commit.id),
        files_removed=result.files_removed + len(removed),
        files_added=result.files_added + len(added),
        bytes_removed=result.bytes_removed + sum(file.size_bytes for file in removed),
        bytes_added=result.bytes_added + sum(file.size_bytes for file in added),
        rows=result.rows + sum(file.rows for file in added),
    )


def _at_work(wiring: Wiring, target: str, table: str) -> RunRow | None:
    """Give the compaction of this table that is going on, here or elsewhere."""
    now = wiring.clock.now()
    for row in wiring.lake.metastore.runs(states=_OPEN, pipeline=PIPELINE):
        if row.target == target and _table_of(row) == table and is_at_work(row, now):
            return row
    return None


def _table_of(row: RunRow) -> str | None:
    """Give the table a compaction works at; None for a user's pipeline of that name."""
    table = row.settings.get("table")
    return table if isinstance(table, str) and row.settings.get("kind") == "maintenance" else None


# -- a commit


def _run(
    wiring: Wiring, head: Commit, target: str, table: str, entry: Entry, groups: Sequence[Group]
) -> tuple[Commit | None, tuple[Rewrite, ...]]:
    """Rewrite groups of files and publish what the table still takes; None where that is nothing.

    Gives the operations that were published.
    """
    uuid = entry.table.uuid if entry.table is not None else ""
    attempt = begin(
        wiring,
        pipeline=PIPELINE,
        target=target,
        base=head,
        kind="maintenance",
        message=f"compact {table}",
        settings={"table": table, "uuid": uuid},
    )
    attempt.start_heartbeat()
    with _ending(attempt, table):
        rewrites = []
        rows = 0
        for number, group in enumerate(groups):
            rewrites.append(_rewritten(attempt, table, entry, group, number))
            rows += group.rows
            wiring.tell(
                StepProgressed(run=attempt.id, at=wiring.clock.now(), step=table, rows=rows)
            )
        new = [file.path for rewrite in rewrites for file in rewrite.added]
        wiring.lake.storage.sync(new, by=wiring.sync)
        return _published(attempt, table, tuple(rewrites))


def _rewritten(attempt: Attempt, table: str, entry: Entry, group: Group, number: int) -> Rewrite:
    """Write the rows of some files anew, under the table's current schema and in its order."""
    wiring = attempt.wiring
    tables = wiring.lake.tables
    body = entry.table
    scan = tables.scan_files(entry, group.files)
    plan = tables.plan_write(
        entry, scan.schema, table=table, mode="append", prefix=f"{attempt.id}-compact-{number}"
    )
    if body is None or plan.operations:
        raise Internal("schema-differs", f"Files of {table} do not read under its own schema.")
    aim = replace(
        plan.target,
        partition_by={},  # a group is of one partition
        sort_by=body.sort_by,
        file_size_bytes=group.file_size_bytes,
    )
    _check_bytes(wiring, table, group.files)
    try:
        with closing(wiring.engine().session()) as session:
            written = session.write(scan, aim)
    except Exception as error:
        damaged = damage(tables, {table: entry}, error)
        if damaged is None:
            raise
        raise damaged from error
    if written.rows != group.rows:
        raise Internal(
            "rows-lost",
            f"{len(group.files)} files of {table} hold {group.rows} rows, {written.rows} came out.",
            hint="Nothing was published. Look at the files: headgate doctor --files",
            table=table,
        )
    added = tables.collect(written.paths, plan.columns, key_columns=body.key_columns)
    return Rewrite(removed=tuple(file.path for file in group.files), added=added)


def _check_bytes(wiring: Wiring, table: str, files: Sequence[DataFile]) -> None:
    """Check that files are as they were written: a rewrite would give damage a good checksum.

    An object store checks its own.
    """
    storage = wiring.lake.storage
    if storage.store is not None:
        return

    def is_damaged(file: DataFile) -> bool:
        try:
            return bool(file.checksum) and storage.checksum(file.path) != file.checksum
        except FileNotFoundError:
            return False  # the engine notices, too, and it is told apart from damage

    with ThreadPoolExecutor(_THREADS, "headgate-checksums") as threads:
        damaged = [f for f, bad in zip(files, threads.map(is_damaged, files), strict=True) if bad]
    if damaged:
        path = storage.absolute(damaged[0].path)
        raise Corrupt(
            "data-file-damaged",
            f"{table}: A data file is not what was written: {path}.",
            hint="Restore the file from a backup.\nLook at every file:  headgate doctor --files",
            path=path,
        )


def _published(
    attempt: Attempt, table: str, rewrites: tuple[Rewrite, ...]
) -> tuple[Commit | None, tuple[Rewrite, ...]]:
    """Exchange the files on the head, under a ticket for the table: a stream cannot starve it."""
    wiring, row = attempt.wiring, attempt.row
    lake, metastore = wiring.lake, wiring.lake.metastore
    key = table_key(table)
    attempt.set_state(RunState.PUBLISHING)
    _take_ticket(attempt, key)
    try:
        before: Entry | None = None
        after: Entry | None = None
        left: tuple[Rewrite, ...] = ()
        while True:
            head = wiring.head(row.target)
            entry = lake.tree(head).get(key)
            if after is None or entry != before:
                before, left = entry, _there(wiring, entry, row, rewrites)
                if entry is None or not left:
                    _end(attempt, {"code": "overtaken"})
                    return None, ()
                after = lake.tables.apply(entry, left, table=table)
                known = {file.path for rewrite in rewrites for file in rewrite.added}
                new = [p for p in lake.tables.new_paths(after, entry) if p not in known]
                lake.storage.sync(new, by=wiring.sync)
            write = Write(key=key, operations=left, before=after.content, content=after.content)
            rows = sum(file.rows for rewrite in left for file in rewrite.added)
            wall_s = wiring.clock.monotonic_s() - attempt.began_s
            step = StepRecord(
                step="compact", writes=(write,), rows_in=rows, rows_out=rows, wall_s=wall_s
            )
            record = Record(
                kind="maintenance",
                at=wiring.clock.now(),
                run=row.id,
                pipeline=PIPELINE,
                message=attempt.message,
                base=attempt.base.id,
                base_number=attempt.base.number,
                fence=row.fence,
                steps=(step,),
            )
            candidate = lake.compose(head, {key: after}, record)
            told = RunPublished(
                run=row.id,
                at=record.at,
                target=row.target,
                commit=candidate.commit.id,
                tables=(),
                wall_s=wall_s,
            )
            outcome = commit_once(attempt, head, candidate, told)
            if outcome is Outcome.DONE:
                attempt.published(candidate.commit)
                wiring.tell(told)
                return candidate.commit, left
            if outcome is Outcome.NOT_MINE:
                raise attempt.taken_over()
    finally:
        if attempt.row.state is not RunState.PUBLISHED:
            metastore.drop_ticket(row.target, run=row.id)


def _take_ticket(attempt: Attempt, key: str) -> None:
    """Wait until nobody publishes into the table, nor has it reserved."""
    wiring, row = attempt.wiring, attempt.row
    while seniors(attempt, (key,)) or not wiring.lake.metastore.take_ticket(
        row.target, run=row.id, fence=row.fence, keys=(key,), lease=TICKET_LEASE
    ):
        wiring.clock.sleep(SHORT_WAIT)


def _there(
    wiring: Wiring, entry: Entry | None, row: RunRow, rewrites: Sequence[Rewrite]
) -> tuple[Rewrite, ...]:
    """Give the rewrites whose files the head still lists, all of them.

    Files never change: whatever was published, rows of a listed file are the table's. An upsert or
    a deletion took the files it hit, another compaction those it rewrote, a replacement all.
    """
    if entry is None or entry.table is None or entry.table.uuid != row.settings.get("uuid"):
        return ()
    listed = {file.path for file in wiring.lake.tables.files(entry)}
    return tuple(rewrite for rewrite in rewrites if listed.issuperset(rewrite.removed))


# -- how it ends


@contextmanager
def _ending(attempt: Attempt, table: str) -> Iterator[None]:
    """End the run whatever happens: published, or abandoned and its files gone."""
    try:
        yield
    except BaseException as error:
        known = _explained(error, table)
        known.facts = {"table": table, "run": attempt.id, **known.facts}
        _fail(attempt, known)
        if isinstance(error, KeyboardInterrupt | OSError):
            raise known from error
        raise
    finally:
        attempt.stop_heartbeat()
        if attempt.row.state is RunState.PUBLISHED:
            _drop_branch(attempt)


def _explained(error: BaseException, table: str) -> HeadgateError:
    match error:
        case HeadgateError():
            known: HeadgateError = error
        case KeyboardInterrupt() | SystemExit():
            known = Interrupted("interrupted", f"The compaction of {table} was interrupted.")
        case OSError():
            known = system_trouble(error)
        case _:
            known = Internal("unexpected", f"{type(error).__name__}: {error}")
    known.readers = known.readers or f"Readers of {table} see the same rows, in the files it had."
    known.hint = known.hint or f"Again:  headgate table compact {table}"
    return known


def _fail(attempt: Attempt, error: HeadgateError) -> None:
    told = RunFailed(
        run=attempt.id,
        at=attempt.wiring.clock.now(),
        state=str(RunState.ABANDONED),
        code=error.code,
        message=error.message,
    )
    try:
        _end(attempt, {"code": error.code, "message": error.message}, told)
    except HeadgateError:
        row = attempt.wiring.lake.metastore.run(attempt.id)
        if row is not None and row.state is RunState.PUBLISHED:
            attempt.row = row  # it was stopped too late
        return  # or taken over, or a full disk refuses this, too: the next compaction ends it
    attempt.wiring.tell(told)


def _end(attempt: Attempt, reason: Mapping[str, object], told: RunFailed | None = None) -> None:
    """Abandon this process's run, for good; its files, of which nobody knows, go.

    They go first, to make room on a full disk, unless the run may be published at this moment.
    """
    if attempt.row.state is RunState.RUNNING:
        _delete_files(attempt)
    attempt.set_state(RunState.ABANDONED, reason=reason, events=[told] if told else ())
    _delete_files(attempt)
    _drop_branch(attempt)


def _delete_files(attempt: Attempt) -> None:
    storage = attempt.wiring.lake.storage
    listed = storage.list(f"data/{attempt.row.settings.get('uuid')}")
    prefix = f"{attempt.id}-"
    storage.delete([f.path for f in listed if f.path.rpartition("/")[2].startswith(prefix)])


def _drop_branch(attempt: Attempt) -> None:
    """Take the run's branch away: it never moved, and would keep the old files for ever."""
    attempt.wiring.lake.metastore.delete_branch(attempt.row.branch, head=attempt.base.id)
