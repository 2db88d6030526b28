"""Computing a step: its inputs in the forms it asks for, its rows, and their writing.

This is where the heavy libraries are; a run with nothing to do never comes here.
"""

from collections.abc import Mapping
from datetime import datetime

import pyarrow as pa

from headgate.contracts import arrow_schema
from headgate.engines import Rows, Session, Sql, accept, supply
from headgate.events import StepProgressed
from headgate.filesets import Scan
from headgate.lake import Entry, Tree, cursor_key, table_key
from headgate.names import quote
from headgate.pipelines import Step
from headgate.runs.attempt import Attempt
from headgate.runs.deletions import delete_keys
from headgate.runs.incremental import AppendedRows, ChangedRows, Position
from headgate.runs.ingest import ingest
from headgate.runs.inputs import Inputs
from headgate.runs.outputs import Output, Target, write_output
from headgate.runs.positions import state_seen


class Computation:
    """One computation of a step on one tree. Opens an engine session when needed; close it."""

    def __init__(
        self,
        attempt: Attempt,
        step: Step,
        tree: Tree,
        inputs: Inputs,
        *,
        parameters: Mapping[str, object],
        now: datetime,
        seed: int,
    ) -> None:
        self._attempt = attempt
        self._step = step
        self._tree = tree
        self._inputs = inputs
        self._parameters = parameters
        self._now = now
        self._seed = seed
        self._session: Session | None = None
        self.cursor: str | None = None

    @property
    def session(self) -> Session:
        """The engine session of this step."""
        if self._session is None:
            self._session = self._attempt.wiring.engine().session()
        return self._session

    def close(self) -> None:
        """Free the session, if one was opened."""
        if self._session is not None:
            self._session.close()

    def call(self) -> None:
        """Run a step that has no table."""
        self._called()

    def write(self, target: Target) -> Output:
        """Compute the step's rows and write them."""
        wiring = self._attempt.wiring
        if self._inputs.source is not None:
            output, self.cursor = ingest(
                wiring,
                self.session,
                self._tree,
                target,
                self._inputs.source,
                progress=self._tell,
                stopped=self._attempt.is_over,
            )
            return output
        write = delete_keys if target.mode == "delete" else write_output
        return write(wiring, self.session, self._tree, target, self._rows(target))

    def _tell(self, rows: int) -> None:
        attempt = self._attempt
        now = attempt.wiring.clock.now()
        attempt.wiring.tell(StepProgressed(run=attempt.id, at=now, step=self._step.name, rows=rows))

    def _rows(self, target: Target) -> Rows:
        step = self._step
        if step.sql is not None:
            self.session.bind({table: self._scan(table) for table in self._inputs.entries})
            values = step.query_parameters(self._parameters, now=self._now, seed=self._seed)
            return Sql(text=step.sql.text, parameters=values)
        declared = arrow_schema(target.spec) if target.spec else None
        return accept(self._called(), self.session, step=step.name, schema=declared)

    def _called(self) -> object:
        tables = {
            one.table: supply(one.form, self._scan(one.table), self.session)
            for one in self._step.inputs
            if one.form is not None
        }
        returned, _ = self._step.call(
            tables,
            parameters=self._parameters,
            now=self._now,
            seed=self._seed,
            reveal=self._attempt.wiring.reveal,
        )
        return returned

    def _scan(self, table: str) -> Scan | pa.Table:
        tables = self._attempt.wiring.lake.tables
        entry = self._inputs.entries[table]
        increment = self._inputs.increments.get(table)
        if isinstance(increment, AppendedRows):
            return tables.scan_files(entry, increment.files)
        if isinstance(increment, ChangedRows):
            return self._changes(table, entry)
        return tables.scan(entry)

    def _changes(self, table: str, now: Entry) -> pa.Table:
        """Give the rows that came and went since the step's last run, with ``_change``.

        The multiset difference of the two states; costs a read of both.
        """
        attempt = self._attempt
        lake = attempt.wiring.lake
        cursor = attempt.base_tree.get(cursor_key(attempt.row.pipeline, self._step.name))
        position = Position.parse(cursor.data or "") if cursor else None
        then = self._then(position, table) if position else None
        session = self.session
        session.bind({"_hg_now": lake.tables.scan(now)})
        columns = ", ".join(quote(column.name) for column in now.table.schema) if now.table else "*"
        new = f"select {columns} from _hg_now"
        if then is None:
            query = f"select *, 'insert' as _change from ({new})"
        else:
            session.bind({"_hg_then": lake.tables.scan(then)})
            known = {column.name for column in then.table.schema} if then.table else set[str]()
            shown = now.table.schema if now.table else ()
            old = "select " + ", ".join(
                quote(c.name) if c.name in known else f"null as {quote(c.name)}" for c in shown
            )
            old += " from _hg_then"
            query = (
                f"select *, 'delete' as _change from ({old} except all {new}) union all "
                f"select *, 'insert' as _change from ({new} except all {old})"
            )
        return session.reader(Sql(text=query)).read_all()

    def _then(self, position: Position, table: str) -> Entry | None:
        """Give a table as the step's last run read it: its own earlier steps included."""
        lake = self._attempt.wiring.lake
        seen = state_seen(lake, position, self._step.name, self._attempt.base)
        return lake.tree(seen).get(table_key(table)) if seen else None
