"""Running one step of an abstract run: what it reads, what it does, whether it is skipped."""

from collections.abc import Sequence

import msgspec

from headgate.lake.effects import operations_by_key, operations_in_effect, operations_since
from headgate.lake.entries import cursor_key, step_key, table_key
from headgate.lake.operations import (
    AddColumn,
    Append,
    Column,
    Create,
    Delete,
    Drop,
    Footprint,
    Operation,
    Put,
    Range,
    Replace,
    Rewrite,
    Upsert,
)
from headgate.lake.records import Commit, Read, StepRecord, Write
from headgate.runs import incremental, skipping
from headgate.testing.abstract_lake import (
    COLUMN_IDS,
    EMPTY,
    NULL,
    Cell,
    Row,
    Rows,
    Shelf,
    Table,
    applied,
    mixed,
    normal,
    selected,
    value_cell,
)
from headgate.testing.abstract_runs import (
    Became,
    Decisions,
    Done,
    Run,
    Seen,
    StepFails,
    Worker,
    content_of,
    tables_of,
    take,
)
from headgate.testing.histories import Do, Look, StepPlan
from headgate.testing.rules import Rules


class Workshop:
    """Where steps run: the history so far, and what earlier steps have published.

    Shared by all runs of a world; ``commits`` and ``outputs`` grow as the world goes on.
    """

    def __init__(self, rules: Rules, decisions: Decisions) -> None:
        self.rules = rules
        self.decisions = decisions
        self.shelf = Shelf()
        self.commits: list[Commit] = []
        self.outputs: dict[tuple[str, str], Done] = {}

    def run_step(self, run: Run, worker: Worker, plan: StepPlan) -> Done:
        """Run a step on what its worker sees.

        Raises:
            StepFails: the step's column is in the table, with another type.
        """
        job = _Job(self, run, worker, plan)
        if plan.source:
            return job.read_source()
        if plan.incremental:
            return job.take_new_rows()
        return job.compute()

    def apply(
        self, cell: Cell | None, operations: Sequence[Operation], key: str
    ) -> tuple[Cell | None, Became]:
        """Apply operations in order: what the key becomes, and what each of them became there."""
        now: Became = {}
        for operation in operations:
            if isinstance(operation, Put):
                cell = None if operation.content is None else value_cell(key, operation.content)
                done: Operation = operation
            else:
                retake = self.rules.footprints_retaken
                cell, done = applied(cell, operation, self.shelf, retake=retake)
            now[id(operation)] = done, cell.entry.content if cell else None
        return cell, now

    def reverted(self, number: int) -> frozenset[str]:
        """Give the runs that are reverted at a publication."""
        return skipping.reverted_runs(self.commits[: number + 1])

    def published(self, run: str, step: str) -> tuple[Commit, StepRecord] | None:
        """Give a run's publication and a step's record in it."""
        for commit in reversed(self.commits):
            if commit.record.run == run:
                records = commit.record.steps
                return next(((commit, each) for each in records if each.step == step), None)
        return None


class _Job:
    """One execution of one step."""

    def __init__(self, shop: Workshop, run: Run, worker: Worker, plan: StepPlan) -> None:
        self.shop, self.run, self.worker, self.plan = shop, run, worker, plan
        self.rules, self.shelf = shop.rules, shop.shelf
        self.draft = dict(worker.tree)
        self.reads: list[Read] = []
        self.seen: list[Seen] = []
        self.did: list[tuple[str, Operation]] = []

    # -- reading and writing

    def read(self, key: str, footprint: Footprint | None = None) -> None:
        """Record a read, as the rules ask for."""
        own = key in self.worker.own
        if own and not self.rules.own_reads:
            return
        at = None
        if self.run.plan.person and self.rules.reads_keep_their_commit:
            at = self.shop.commits[self.worker.base].id
        content = content_of(self.worker.tree, key)
        self.reads.append(Read(key=key, content=content, at=at, own=own, footprint=footprint))

    def look(self, look: Look) -> None:
        """Read a table, or a part of it."""
        key = table_key(look.table)
        cell = self.worker.tree.get(key)
        self.seen.append(Seen("rows", key, look, selected(cell.table if cell else None, look)))
        footprint = {look.column: Range(low=look.low, high=look.high)} if look.column else None
        self.read(key, footprint)

    def text(self, key: str) -> str | None:
        """Read a cursor, or a step's last output."""
        cell = self.worker.tree.get(key)
        text = cell.entry.data if cell else None
        self.seen.append(Seen("value", key, None, text))
        self.read(key)
        return text

    def do(self, key: str, operation: Operation) -> None:
        """Do something to a key."""
        if isinstance(operation, Put):
            cell: Cell | None = value_cell(key, operation.content or "")
        else:
            cell, operation = applied(self.draft.get(key), operation, self.shelf)
        take(self.draft, {key: cell})
        self.did.append((key, operation))

    def done(self, fingerprint: str | None = None) -> Done:
        """Put it all into a record, one write per key."""
        by_key: dict[str, list[Operation]] = {}
        for key, operation in self.did:
            by_key.setdefault(key, []).append(operation)
        hidden = () if self.rules.position_in_record or self.plan.source else ("cursor/",)
        writes = tuple(
            Write(
                key=key,
                operations=tuple(self._recorded(operations)),
                before=content_of(self.worker.tree, key),
                content=content_of(self.draft, key),
            )
            for key, operations in by_key.items()
            if not key.startswith(hidden)
        )
        record = StepRecord(
            step=self.plan.name,
            fingerprint=fingerprint,
            reads=tuple(each for each in self.reads if not each.key.startswith(hidden)),
            writes=writes,
        )
        changes = {key: self.draft.get(key) for key in by_key}
        return Done(
            self.plan, record, tuple(self.seen), tuple(self.did), changes, settled=not self.did
        )

    def _recorded(self, operations: list[Operation]) -> list[Operation]:
        if self.rules.ordered_operations:
            return operations
        return sorted(operations, key=lambda each: type(each).__name__)

    # -- a step that computes

    def compute(self) -> Done:
        """Run a step that is skipped where its output stands."""
        plan, worker, shop = self.plan, self.worker, self.shop
        entry = step_key(self.run.name, plan.name)
        keys = [table_key(look.table) for look in plan.looks] + ["table/"] * plan.lists
        inputs = {key: content_of(worker.tree, key) for key in keys}
        for do in plan.does:  # what is done depends on whether the target is there
            inputs[f"there/{do.table}"] = str(table_key(do.table) in worker.tree)
        fingerprint = repr((self.run.plan.pipeline, plan.name, sorted(inputs.items())))
        by_hand = self.run.plan.person
        text = None if by_hand else self.text(entry)
        output = skipping.Output.parse(text) if text else None
        decision = shop.decisions.skip(
            fingerprint,
            output,
            entry=entry,
            reverted=shop.reverted(worker.base) if self.rules.unreverted_skips else frozenset(),
            published=lambda id: shop.published(id, plan.name),
            now=lambda key: content_of(worker.tree, key),
        )
        if isinstance(decision, skipping.SkipStep) and output is not None:
            return self.skip(decision, output, entry)
        for look in plan.looks:
            self.look(look)
        if plan.lists:
            self.seen.append(Seen("listing", "table/", None, tables_of(worker.tree)))
            self.read("table/")
        salt = mixed([seen.value for seen in self.seen[not by_hand :]])
        for do in plan.does:
            for operation in self._operations(do, salt):
                if isinstance(operation, Upsert) and operation.columns is not None:
                    key = self.shelf.of(operation)[0][0]
                    self.read(table_key(do.table), {"key": Range(low=key, high=key)})
                self.do(table_key(do.table), operation)
        said = skipping.Output(fingerprint=fingerprint, run=self.run.id, origin=self.run.id)
        if not by_hand:
            self.do(entry, Put(content=said.text()))
        return self.done(fingerprint)

    def _operations(self, do: Do, salt: int) -> list[Operation]:
        """Give what a step does to a table, from what it has read."""
        dice = mixed((do.salt, salt))
        cell = self.draft.get(table_key(do.table))
        rows: list[Row] = [(dice % 4, (dice >> 3) % 4, NULL, ())]
        if dice & 64:
            rows.append(((dice % 4 + 1) % 4, (dice >> 7) % 4, NULL, ()))
        if cell is None and do.kind in ("delete", "delete-key", "drop", "rewrite"):
            self.look(Look(do.table))
            return []
        new: list[Operation] = [] if cell else [Create(uuid=f"{dice}")]
        return [*new, *self._of_kind(do, dice, tuple(sorted(rows)), cell)]

    def _of_kind(  # noqa: PLR0911 - one answer per kind
        self, do: Do, dice: int, rows: Rows, cell: Cell | None
    ) -> list[Operation]:
        match do.kind:
            case "append":
                return [Append(files=(self.shelf.file(rows),))]
            case "upsert":
                return [Upsert(key_columns=("key",), files=(self.shelf.file(rows),))]
            case "partial":
                staged: Rows = ((rows[0][0], NULL, (dice >> 9) % 4, ()),)
                files = (self.shelf.file(staged),)
                return [Upsert(key_columns=("key",), files=files, columns=("note",))]
            case "replace":
                return [Replace(files=(self.shelf.file(rows),), schema=())]
            case "delete":
                return [Delete(predicate=f"value between {do.low} and {do.high}")]
            case "delete-key":
                return [Delete(key_columns=("key",), files=(self.shelf.file(rows[:1]),))]
            case "widen":
                return self._widen(do, rows[0], cell)
            case "drop":
                return [Drop()]
            case _:
                return [Rewrite(removed=(), added=())]

    def _widen(self, do: Do, row: Row, cell: Cell | None) -> list[Operation]:
        """Add a column and append a row that has it."""
        name, kind = do.column
        columns = (cell.table if cell and cell.table else EMPTY).columns
        known = {each: (its, id) for each, its, id in columns}
        if name in known and known[name][0] != kind:
            raise StepFails
        id = meant = COLUMN_IDS[do.column]
        if not self.rules.lake_wide_column_ids:
            id = known[name][1] if name in known else 1 + max((i for *_, i in columns), default=0)
        file = self.shelf.file(((row[0], row[1], NULL, ((id, do.low),)),))
        if id != meant:
            self.shelf.meant[file.path] = ((row[0], row[1], NULL, ((meant, do.low),)),)
        column = Column(name=name, type=kind, id=id)
        return [AddColumn(column=column), Append(files=(file,))]

    # -- a step that is skipped

    def skip(self, decision: skipping.SkipStep, output: skipping.Output, entry: str) -> Done:
        """Let the record of the last publication stand for the step."""
        rules, worker = self.rules, self.worker
        before = self.shop.outputs[output.run, self.plan.name]
        record = decision.record
        self.did = [
            (write.key, operation)
            for write in record.writes
            for operation in operations_in_effect(record, write)
        ]
        changes: dict[str, Cell | None] = {}
        became: Became = {}
        for write in decision.writes if rules.skipped_writes_stand else ():
            there = worker.tree.get(write.key)
            if write.settled:
                changes[write.key] = there
            elif write.pointer:
                changes[write.key] = before.changes[write.key]
            else:
                changes[write.key], now = self.shop.apply(there, write.operations, write.key)
                became |= now
        record = msgspec.structs.replace(
            record,
            writes=tuple(
                msgspec.structs.replace(
                    write,
                    operations=tuple(became.get(id(each), (each,))[0] for each in write.operations),
                )
                for write in record.writes
            ),
        )
        if not rules.skipped_writes_stand:
            record = msgspec.structs.replace(record, writes=())
        if not rules.skips_keep_record:
            record = msgspec.structs.replace(record, reads=(), writes=())
        if not rules.skipped_appends_left_out:
            record = msgspec.structs.replace(record, skipped=None)
            for each in record.writes:
                if isinstance(each.operations[-1], Append):
                    there = worker.tree.get(each.key)
                    changes[each.key] = self.shop.apply(there, each.operations[-1:], each.key)[0]
        take(self.draft, changes)
        put = Put(content=output.passed_on(self.run.id).text())
        self.do(entry, put)
        changes[entry] = self.draft[entry]
        writes = (*record.writes, Write(key=entry, operations=(put,)))
        record = msgspec.structs.replace(
            record,
            reads=(*self.reads, *record.reads),
            writes=tuple(
                msgspec.structs.replace(
                    write,
                    before=content_of(worker.tree, write.key),
                    content=content_of(self.draft, write.key),
                )
                for write in writes
            ),
        )
        seen = (self.seen[0], *before.seen[1:])
        return Done(
            self.plan,
            record,
            seen,
            tuple(self.did),
            changes,
            settled=decision.settled,
            leans_on=output.origin,
        )

    # -- steps with a cursor

    def read_source(self) -> Done:
        """Read on in a source that never ends."""
        cursor = cursor_key(self.run.name, self.plan.name)
        at = int(self.text(cursor) or 0)
        rows: Rows = tuple(sorted((i % 5, i % 4, NULL, ()) for i in range(at, at + 2)))
        self._add(rows, replaces=False)
        self.do(cursor, Put(content=str(at + 2)))
        return self.done()

    def take_new_rows(self) -> Done:
        """Get the rows appended since the step's last published run, and append one for each."""
        worker = self.worker
        cursor = cursor_key(self.run.name, self.plan.name)
        key = table_key(self.plan.incremental)
        text = self.text(cursor)
        position = incremental.Position.parse(text) if text else None
        decision = self._new_rows(key, position)
        source = worker.tree.get(key)
        whole = normal(source.table if source and source.table else EMPTY).rows
        replaces = isinstance(decision, incremental.Everything) and decision.replaces
        if isinstance(decision, incremental.AppendedRows):
            staged = (row for file in decision.files for row in self.shelf.rows[file.path])
            rows = _as_shown(tuple(sorted(staged)), source)
            self.seen.append(Seen("delta", key, None, rows, whole))
        else:
            rows = whole
            self.seen.append(Seen("everything", key, None, rows, whole))
        self.read(key)
        if rows or replaces or position is None:
            self._add(tuple(sorted((*row[:3], ()) for row in rows)), replaces=replaces)
            said = incremental.Position(run=self.run.id, base_number=worker.base)
            self.do(cursor, Put(content=said.text()))
        return self.done()

    def _new_rows(
        self, key: str, position: incremental.Position | None
    ) -> incremental.IncrementalInput:
        shop, rules = self.shop, self.rules
        own = [done.record for done in self.worker.done]
        since = position.base_number if position else 0
        commits = shop.commits[since + 1 : self.worker.base + 1]
        if position is not None and not rules.recorded_appends:
            happened = operations_since(commits).get(key, ()) + operations_by_key(own).get(key, ())
            if not all(isinstance(each, Append | Create | AddColumn) for each in happened):
                cell = self.worker.tree.get(key)  # every old row is in a new file
                rows = (cell.table if cell and cell.table else EMPTY).rows
                return incremental.AppendedRows(files=(self.shelf.file(rows),))
        if position is not None and not rules.own_appends_left_out:
            position = msgspec.structs.replace(position, run="")
        return shop.decisions.new_rows(key, self.plan.name, position, commits, own=own)

    def _add(self, rows: Rows, *, replaces: bool) -> None:
        """Put rows into the step's target."""
        target = table_key(self.plan.target)
        if target not in self.draft:
            self.do(target, Create(uuid=self.run.id))
        files = (self.shelf.file(rows),)
        self.do(target, Replace(files=files, schema=()) if replaces else Append(files=files))


def _as_shown(rows: Rows, cell: Cell | None) -> Rows:
    """Give staged rows as the table that holds them shows them."""
    columns = cell.table.columns if cell and cell.table else ()
    return normal(Table(columns, rows)).rows if columns else rows
