"""Merging an abstract run onto a head, carrying kept steps over: what was decided, done."""

from collections.abc import Mapping, Sequence

import msgspec

from headgate.lake.effects import operations_by_key, operations_since
from headgate.lake.entries import Entry
from headgate.lake.merging import (
    Apply,
    Ask,
    KeepPointer,
    MergeConflict,
    Question,
    Reexecute,
)
from headgate.lake.operations import Append, Column, Delete, Operation, Replace, Upsert
from headgate.lake.records import Commit
from headgate.runs import reexecution
from headgate.testing.abstract_lake import Cell, Table, Tree, applied, matches, widened
from headgate.testing.abstract_runs import (
    Became,
    Done,
    Lost,
    Merged,
    Run,
    Worker,
    as_merged,
)
from headgate.testing.abstract_steps import Workshop


class Merger:
    """Does what the merge and the re-execution decide."""

    def __init__(self, shop: Workshop) -> None:
        self.shop = shop
        self.rules, self.decisions, self.shelf = shop.rules, shop.decisions, shop.shelf

    def merge(self, run: Run, worker: Worker, head: Tree) -> Merged | Lost:
        """Meet what was published since with the run's operations, key by key."""
        window = self.shop.commits[worker.base + 1 :]
        theirs = operations_since(window)
        changes: dict[str, Cell | None] = {}
        became: Became = {}
        widths: dict[str, tuple[Column, ...]] = {}
        lost: list[str] = []
        forced: set[str] = set()
        for key, mine in operations_by_key(done.record for done in worker.done).items():
            there, here = head.get(key), worker.tree.get(key)
            decision = self.decisions.merge(
                key,
                theirs.get(key, ()),
                mine,
                head_entry=self._head_entry(key, there, here, window),
                run_entry=here.entry if here else None,
                isolation=run.plan.isolation,
                facts=self.facts,
            )
            match decision:
                case KeepPointer(columns=columns):
                    widths[key] = columns
                    changes[key] = widened(here, columns, self.shelf)
                    became |= _replacements(mine, columns, changes[key])
                case Apply(operations=again):
                    if key.startswith("table/") and not self.rules.predicate_on_every_row:
                        changes[key] = self._apply_narrowly(there, again, theirs.get(key, ()))
                        continue
                    changes[key], now = self.shop.apply(there, again, key)
                    became |= now
                case Reexecute(reason=reason):
                    lost.append(f"{key}: {reason}")
                case MergeConflict(reason=reason):
                    lost.append(f"{key}: {reason}")
                    forced.add(key)
        if lost:
            return Lost(tuple(lost), frozenset(forced))
        if not self.rules.position_in_record:
            changes |= _cursors(worker.done)
        return Merged(changes, became, widths)

    def _head_entry(
        self, key: str, there: Cell | None, here: Cell | None, window: Sequence[Commit]
    ) -> Entry | None:
        """Give the head's entry; without the rule, an output seen on the way passes for it."""
        if there is None or here is None:
            return there.entry if there else None
        if not self.rules.no_op_needs_current and any(
            write.key == key and write.content == here.entry.content
            for commit in window
            for write in commit.record.writes
        ):
            return msgspec.structs.replace(there.entry, content=here.entry.content)
        return there.entry

    def _apply_narrowly(
        self, cell: Cell | None, operations: Sequence[Operation], theirs: Sequence[Operation]
    ) -> Cell | None:
        """Apply operations as one would who looks at the head's new files only."""
        new = [row for each in theirs if isinstance(each, Append) for row in self.shelf.of(each)]
        for operation in operations:
            if isinstance(operation, Delete) and cell is not None and cell.table is not None:
                _, old = self.shelf.touched.get(id(operation), (operation, ()))
                gone = {*old, *(row for row in new if matches(operation, row, self.shelf))}
                rows = tuple(row for row in cell.table.rows if row not in gone)
                cell = self.shelf.cell(Table(cell.table.columns, rows), (rows, id(operation)))
            else:
                cell, _ = applied(cell, operation, self.shelf)
        return cell

    def keep(
        self,
        worker: Worker,
        done: Done,
        decision: reexecution.StepDecision,
        theirs: Mapping[str, tuple[Operation, ...]],
    ) -> Done | None:
        """Carry a kept step over to the new base; None where its output does not fit there."""
        changes: dict[str, Cell | None] = {}
        became: Became = {}
        widths: dict[str, tuple[Column, ...]] = {}
        for write in decision.writes:
            there, here = worker.tree.get(write.key), done.changes.get(write.key)
            if write.pointer and write.key.startswith("table/"):
                merged = self.decisions.merge(
                    write.key,
                    theirs.get(write.key, ()),
                    write.operations,
                    head_entry=there.entry if there else None,
                    run_entry=here.entry if here else None,
                    isolation="serializable",
                    facts=self.facts,
                )
                if isinstance(merged, Reexecute | MergeConflict):
                    return None
                columns = merged.columns if isinstance(merged, KeepPointer) else ()
                widths[write.key] = columns
                changes[write.key] = widened(here, columns, self.shelf)
                became |= _replacements(write.operations, columns, changes[write.key])
            elif write.pointer or not self.rules.operations_applied_again:
                changes[write.key] = here
            else:
                changes[write.key], now = self.shop.apply(there, write.operations, write.key)
                became |= now
        if not self.rules.position_in_record:
            changes |= _cursors([done])
        merged_done = Merged(changes, became, widths)
        return as_merged(done, merged_done, worker.tree, self.shelf)

    def facts(self, question: Question) -> bool:
        """Answer a question about rows."""
        if question.ask is Ask.DELETE_FILES:
            return False
        return not self._keys(question.head).isdisjoint(self._keys(question.run))

    def _keys(self, operation: Operation | None) -> frozenset[int]:
        held = self.shelf.touched.get(id(operation))
        if held is not None:
            return frozenset(row[0] for row in held[1])
        if isinstance(operation, Append | Upsert):
            return frozenset(row[0] for row in self.shelf.of(operation))
        return frozenset(range(10))


def _replacements(
    operations: Sequence[Operation], columns: tuple[Column, ...], cell: Cell | None
) -> Became:
    """Give what replacements become that keep columns others have added."""
    if not columns:
        return {}
    content = cell.entry.content if cell else None
    return {
        id(each): (msgspec.structs.replace(each, schema=(*each.schema, *columns)), content)
        for each in operations
        if isinstance(each, Replace)
    }


def _cursors(done: Sequence[Done]) -> dict[str, Cell | None]:
    return {
        key: cell
        for each in done
        for key, cell in each.changes.items()
        if key.startswith("cursor/")
    }
