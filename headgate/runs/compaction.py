"""Compaction: a table's small files become larger ones, in commits of their own.

Rows, content ids and verdicts stay: nobody computes, judges or delivers anything for it. Data files
are written and synced while others publish. What was published meanwhile decides which of them the
table takes: a file is exchanged only while the head still lists it (docs/decisions/016).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from headgate.errors import Corrupt, HeadgateError, NotFound, Refused
from headgate.filesets import DataFile
from headgate.lake import (
    Commit,
    Group,
    Rewrite,
    RunRow,
    RunState,
    batches,
    files_until_due,
    plan_groups,
    table_key,
)
from headgate.names import suggestion
from headgate.runs.attempt import Attempt
from headgate.runs.beginning import is_at_work
from headgate.runs.rewriting import PIPELINE, drop_branch, files_of, rewrite
from headgate.runs.wiring import LEASE, Wiring

BATCH_BYTES = 4 * 1024**3
"""What one commit rewrites: a kill costs no more."""
MOST_DROPPED = 5
"""How often in a row others may be faster, before a compaction leaves the table to them."""
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
        files = files_of(wiring, table, entry)
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
    files = files_of(wiring, table, entry)
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
            drop_branch(attempt)


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
            files = files_of(wiring, table, entry)
            groups = plan_groups(files, sort_by=body.sort_by, after=after)
        if not groups or (left is not None and left <= 0):
            break
        busy = _at_work(wiring, target, table)
        if busy is not None or dropped == MOST_DROPPED:
            why = f"run {busy.id} compacts it" if busy else "others changed it again and again"
            result = replace(result, busy=why)
            break
        batch = next(batches(groups, BATCH_BYTES if left is None else min(left, BATCH_BYTES)))
        commit, taken = rewrite(wiring, head, target, table, entry, batch)
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
