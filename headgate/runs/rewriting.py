"""Rewriting files of a table, in one commit that changes no row.

Data files are written and synced while others publish; then, under a ticket on the table, the head
takes them in exchange for those it still lists (docs/decisions/016).
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace

from headgate.errors import Corrupt, HeadgateError, Internal, Interrupted, Refused
from headgate.events import RunFailed, RunPublished, StepProgressed
from headgate.filesets import DataFile
from headgate.lake import (
    Commit,
    Entry,
    Group,
    Outcome,
    Record,
    Rewrite,
    RunState,
    StepRecord,
    Write,
    damage,
    table_key,
)
from headgate.runs.attempt import Attempt
from headgate.runs.beginning import begin
from headgate.runs.failures import system_trouble
from headgate.runs.publish import commit_once
from headgate.runs.turns import SHORT_WAIT, TICKET_LEASE, seniors
from headgate.runs.wiring import Wiring

PIPELINE = "compaction"
_THREADS = 2


def files_of(wiring: Wiring, table: str, entry: Entry) -> tuple[DataFile, ...]:
    """Give a table's files; what is wrong with them is said of the table by its name."""
    try:
        return wiring.lake.tables.files(entry)
    except (Refused, Corrupt) as error:
        if entry.table is not None:
            error.message = error.message.replace(entry.table.uuid, table)
            error.facts = {**error.facts, "table": table}
        raise


def rewrite(
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
                before, left = entry, _there(attempt, table, entry, rewrites)
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
            metastore.turns.drop_ticket(row.target, run=row.id)


def _take_ticket(attempt: Attempt, key: str) -> None:
    """Wait until nobody publishes into the table, nor has it reserved."""
    wiring, row = attempt.wiring, attempt.row
    while seniors(attempt, (key,)) or not wiring.lake.metastore.turns.take_ticket(
        row.target, run=row.id, fence=row.fence, keys=(key,), lease=TICKET_LEASE
    ):
        wiring.clock.sleep(SHORT_WAIT)


def _there(
    attempt: Attempt, table: str, entry: Entry | None, rewrites: Sequence[Rewrite]
) -> tuple[Rewrite, ...]:
    """Give the rewrites whose files the head still lists, all of them.

    Files never change: whatever was published, rows of a listed file are the table's. An upsert or
    a deletion took the files it hit, another compaction those it rewrote, a replacement all.
    """
    if entry is None or entry.table is None or entry.table.uuid != attempt.row.settings.get("uuid"):
        return ()
    listed = {file.path for file in files_of(attempt.wiring, table, entry)}
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
            drop_branch(attempt)


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
    drop_branch(attempt)


def _delete_files(attempt: Attempt) -> None:
    storage = attempt.wiring.lake.storage
    listed = storage.list(f"data/{attempt.row.settings.get('uuid')}")
    prefix = f"{attempt.id}-"
    storage.delete([f.path for f in listed if f.path.rpartition("/")[2].startswith(prefix)])


def drop_branch(attempt: Attempt) -> None:
    """Take the run's branch away: it never moved, and would keep the old files for ever."""
    attempt.wiring.lake.metastore.delete_branch(attempt.row.branch, head=attempt.base.id)
