"""A hand-made transaction: the same branch, gate and publication for code that is no pipeline.

It has no steps to execute again: where others published first, its operations are applied to what
they made, as long as nothing it had read has changed; else it raises ``Conflict`` with the reason.
"""

from collections.abc import Mapping
from contextlib import closing
from types import TracebackType
from typing import TYPE_CHECKING, Self, get_args

from headgate.contracts import ContractSpec
from headgate.digests import digest_json
from headgate.engines import Sql, accept
from headgate.errors import Conflict, Invalid, NotFound
from headgate.lake import (
    Commit,
    Delete,
    Drop,
    Entry,
    Read,
    StepRecord,
    Write,
    contract_key,
    table_key,
)
from headgate.names import own_table_name, suggestion
from headgate.runs.applying import apply_operations
from headgate.runs.attempt import Attempt, StepDone
from headgate.runs.beginning import ending
from headgate.runs.deletions import delete_keys
from headgate.runs.keeping import keep
from headgate.runs.lookups import looked_up
from headgate.runs.loss import Loss
from headgate.runs.outputs import Mode, Output, Target, write_output
from headgate.runs.publish import publish
from headgate.runs.quarantine import quarantine_table
from headgate.runs.results import RunResult, nothing_of, result_of
from headgate.runs.taint import marked

if TYPE_CHECKING:
    import pyarrow as pa

    from headgate.engines import Session
    from headgate.filesets import Scan


class Transaction:
    """Reads and writes tables on its own branch; publishes all when the ``with`` block ends.

    A block that raises publishes nothing; its branch is kept and named in the run's record.
    ``result`` is the publication, None until then.
    """

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._ending = ending(attempt)
        self._count = 0
        self._reads: dict[str, Read] = {}
        self._seen_entries: list[Entry] = []
        self.result: RunResult | None = None

    @property
    def id(self) -> str:
        """The run's id; its branch is ``run/<id>``."""
        return self._attempt.id

    # -- reading

    def table(self, name: str) -> "pa.Table":
        """Give a table's rows as the transaction sees them. The reading counts: G3 holds for it."""
        with closing(self._session()) as session:
            return session.reader(self._seen(name)).read_all()

    def sql(self, query: str, parameters: Mapping[str, object] | None = None) -> "pa.Table":
        """Run a query over the tables as the transaction sees them, its own writes included."""
        from headgate.pipelines import analysed  # noqa: PLC0415 - loads the SQL parser

        found = analysed(query, what="the query", cache=self._attempt.wiring.cache / "sql")
        with closing(self._session()) as session:
            session.bind({table: self._seen(table) for table in found.tables})
            rows = session.reader(Sql(text=found.text, parameters=parameters or {}))
            return rows.read_all()

    # -- writing

    def write(
        self,
        table: str,
        rows: object,
        *,
        mode: Mode = "append",
        key: str | tuple[str, ...] = (),
        sort_by: str | tuple[str, ...] = (),
    ) -> Output:
        """Write rows to a table: any frame, Arrow data, or an iterable of dicts.

        A table that has a contract keeps it: its row checks split the rows as they would in a step.
        With ``mode="delete"`` the rows are keys: the table's rows with these keys go away. Rows are
        sorted by ``sort_by``, and so is what is written to the table from now on; without
        it, by what the table is sorted by.

        Raises:
            Invalid: what the rows or the key break. NotFound, Refused: as a step would.
        """
        own_table_name(table)
        if mode not in get_args(Mode):
            raise Invalid(
                "unknown-step-mode",
                f"{mode!r} is no way to write a table.",
                hint=f"Use one of {', '.join(get_args(Mode))}.",
                mode=mode,
            )
        columns = (key,) if isinstance(key, str) else tuple(key)
        if mode in {"upsert", "delete"} and not columns:
            raise Invalid(
                "step-key-missing",
                f"mode={mode!r} of {table} needs to know by which columns rows are known.",
                hint='Add key="column" or key=("column", "column").',
                table=table,
            )
        attempt, tree = self._attempt, self._attempt.tree
        stored = tree.get(contract_key(table)) if mode != "delete" else None
        self._count += 1
        target = Target(
            table=table,
            mode=mode,
            key=columns,
            pipeline=attempt.row.pipeline,
            run=attempt.id,
            step=f"write_{self._count}",
            attempt=1,
            sort_by=(sort_by,) if isinstance(sort_by, str) else tuple(sort_by),
            spec=ContractSpec.from_json(stored.data) if stored and stored.data else None,
            by_hand=True,
        )
        for name in looked_up(target.spec, table, mode):
            self._note_read(name, tree.get(table_key(name)))
        with closing(self._session()) as session:
            given = accept(rows, session, step=target.step)
            write = delete_keys if mode == "delete" else write_output
            output = write(attempt.wiring, session, tree, target, given)
        before = tree.get(table_key(table))
        changes = {
            name: marked(entry, attempt.id, (before, *self._seen_entries)) if entry else None
            for name, entry in output.changes.items()
        }
        self._done(target.step, changes, output.writes, output)
        return output

    def delete(self, table: str, where: str) -> int:
        """Delete the rows for which a SQL condition is true; give how many went.

        Raises:
            Invalid: ``bad-predicate``: not a condition over the table's own columns.
        """
        from headgate.pipelines import condition  # noqa: PLC0415 - loads the SQL parser

        attempt = self._attempt
        key = table_key(table)
        before = self._entry(table)
        columns = [column.name for column in before.table.schema] if before.table else []
        operation = Delete(predicate=condition(where, columns, what=f"delete from {table}"))
        self._count += 1
        done = apply_operations(
            attempt.wiring,
            before,
            (operation,),
            key=key,
            prefix=f"{attempt.id}-delete_{self._count}",
        )
        entry = done.entry
        write = Write(
            key=key,
            operations=(operation,),
            before=before.content,
            content=entry.content if entry else None,
            rows=done.rows,
        )
        followed = (before, *self._seen_entries)
        changed = {key: marked(entry, attempt.id, followed) if entry else None}
        self._done(f"delete_{self._count}", changed, (write,))
        return done.rows.deleted if done.rows else 0

    def drop(self, table: str) -> None:
        """Take a table out, with its contract and its quarantine. History keeps them."""
        tree = self._attempt.tree
        before = self._entry(table)
        self._count += 1
        changes: dict[str, Entry | None] = {}
        writes = []
        for key in (table_key(table), table_key(quarantine_table(table)), contract_key(table)):
            entry = before if key == table_key(table) else tree.get(key)
            if entry is not None:
                changes[key] = None
                writes.append(Write(key=key, operations=(Drop(),), before=entry.content))
        self._done(f"drop_{self._count}", changes, tuple(writes))

    # -- the block

    def __enter__(self) -> Self:
        """Begin; the run is kept alive while the block goes on."""
        self._ending.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Publish, or record why not."""
        if error is None:
            try:
                self._publish()
            except BaseException as failure:
                self._ending.__exit__(type(failure), failure, failure.__traceback__)
                raise
        self._ending.__exit__(kind, error, trace)

    def _publish(self) -> None:
        attempt = self._attempt
        if not attempt.done:
            self.result = nothing_of(attempt)
            return
        if self._reads:  # after the last write: what was seen has decided that the block goes on
            self._count += 1
            self._done(f"read_{self._count}", {}, ())
        publication = publish(attempt, redo=lambda head, loss: redo_operations(attempt, head, loss))
        self.result = result_of(attempt, publication)

    # -- parts

    def _session(self) -> "Session":
        return self._attempt.wiring.engine().session()

    def _entry(self, table: str) -> Entry:
        tree = self._attempt.tree
        entry = tree.get(table_key(table))
        if entry is None:
            names = [key.removeprefix("table/") for key in tree.keys("table/")]
            close = suggestion(table, names)
            raise NotFound(
                "unknown-table",
                f"There is no table {table} on {self._attempt.row.target}.",
                hint=f"Did you mean {close}?" if close else "Look: headgate table",
                table=table,
            )
        return entry

    def _seen(self, table: str) -> "Scan":
        entry = self._entry(table)
        self._note_read(table, entry)
        return self._attempt.wiring.lake.tables.scan(entry)

    def _note_read(self, table: str, entry: Entry | None) -> None:
        key, content = table_key(table), entry.content if entry else None
        if entry is not None and (entry.taint or entry.stale):
            self._seen_entries.append(entry)  # Python may carry its rows into any later write
        read = Read(key=key, content=content, own=self._attempt.wrote(key))
        self._reads.setdefault(f"{key}@{content}", read)

    def _done(
        self,
        name: str,
        changes: Mapping[str, Entry | None],
        writes: tuple[Write, ...],
        output: Output | None = None,
    ) -> None:
        record = StepRecord(
            step=name,
            fingerprint=digest_json([self._attempt.id, name]),
            reads=tuple(self._reads.values()),
            writes=writes,
            rows_in=output.rows_in if output else 0,
            rows_out=output.rows if output else 0,
            rows_quarantined=output.rows_quarantined if output else 0,
            violations=dict(output.violations) if output else {},
        )
        self._reads.clear()
        self._attempt.checkpoint([StepDone(record=record, changes=changes)])


def redo_operations(attempt: Attempt, head: Commit, loss: Loss) -> None:
    """Put recorded operations onto a newer head, where nothing they were made from has changed.

    Raises:
        Conflict: ``cannot-rebase``.
    """
    done = list(attempt.done.values())
    attempt.rebase(head)
    for step in done:
        forced = loss.keys if loss.forced else ()
        kept = keep(attempt, step, attempt.tree, forced=forced)
        if kept is None:
            raise cannot_rebase(head, loss)
        attempt.checkpoint([kept])


def cannot_rebase(head: Commit, loss: Loss) -> Conflict:
    """Give the error of work that has no steps to execute again."""
    return Conflict(
        "cannot-rebase",
        f"Somebody published first ({head.id[:6]}): {loss.because}.",
        readers=f"Readers see {head.id[:6]}; nothing of this was published.",
        hint="Look at what changed, and do it again on the new state.",
        keys=list(loss.keys),
        by=loss.by,
        head=head.id,
    )
