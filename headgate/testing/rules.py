"""The rules of SEMANTICS that were reached by brute force, each to be taken out and found missing.

Production holds them all and has no switch: what lacks a rule is the abstract publisher, or what it
shows to the graph test (:class:`Blurred`).
"""

from dataclasses import dataclass, fields, replace

import msgspec

from headgate.lake.effects import operations_in_effect
from headgate.lake.operations import Append, Footprint, Operation
from headgate.lake.records import Commit, Read, Write
from headgate.lake.serialization import Transaction
from headgate.testing.abstract_lake import NULL


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules of SEMANTICS that were reached by brute force. Production holds them all."""

    own_reads: bool = True
    ordered_operations: bool = True
    footprints_retaken: bool = True
    checkpoint_fence: bool = True
    publication_fence: bool = True
    appends_only_commute: bool = True
    write_edges_whole: bool = True
    low: bool = True
    operations_applied_again: bool = True
    predicate_on_every_row: bool = True
    no_op_needs_current: bool = True
    lake_wide_column_ids: bool = True
    unreverted_skips: bool = True
    skips_keep_record: bool = True
    skipped_writes_stand: bool = True
    skipped_appends_left_out: bool = True
    recorded_appends: bool = True
    own_appends_left_out: bool = True
    position_in_record: bool = True
    position_reverted: bool = True
    followers_replayed: bool = True
    cascades_go_on: bool = True
    reads_keep_their_commit: bool = True

    @classmethod
    def without(cls, name: str) -> "Rules":
        """Give all rules but one."""
        return replace(cls(), **{name: False})

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Give the names of all rules."""
        return tuple(each.name for each in fields(cls))


class Blurred:
    """Records as the graph test would see them without one of its rules."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    @staticmethod
    def is_needed(rules: Rules) -> bool:
        """Whether one of the graph test's own rules is taken out."""
        return not (rules.low and rules.write_edges_whole and rules.appends_only_commute)

    def commit(self, commit: Commit) -> Commit:
        """Give a publication as the test sees it."""
        record = commit.record
        if not self._rules.low:
            record = msgspec.structs.replace(record, low=None)
        steps = tuple(
            msgspec.structs.replace(
                step,
                reads=tuple(x for read in step.reads for x in self._read(read)),
                writes=tuple(
                    x
                    for write in step.writes
                    if (operations := operations_in_effect(step, write))
                    for x in self._write(msgspec.structs.replace(write, operations=operations))
                ),
                skipped=None,
            )
            for step in record.steps
        )
        return msgspec.structs.replace(commit, record=msgspec.structs.replace(record, steps=steps))

    def transaction(self, run: Transaction) -> Transaction:
        """Give the run as the test sees it."""
        return replace(
            run,
            reads=tuple(x for read in run.reads for x in self._read(read)),
            writes=tuple(x for write in run.writes for x in self._write(write)),
        )

    def _read(self, read: Read) -> list[Read]:
        if self._rules.write_edges_whole or not read.key.startswith("table/"):
            return [read]
        return [
            msgspec.structs.replace(read, key=f"{read.key}#{each}")
            for each in self._cells(read.footprint)
        ]

    def _write(self, write: Write) -> list[Write]:
        if not self._rules.appends_only_commute:
            if any(isinstance(each, Append) for each in write.operations):
                return [msgspec.structs.replace(write, operations=(Append(files=()),))]
            return [write]
        if self._rules.write_edges_whole or not write.key.startswith("table/"):
            return [write]
        by_cell: dict[int, list[Operation]] = {}
        for each in write.operations:
            for cell in self._cells(getattr(each, "footprint", None)):
                by_cell.setdefault(cell, []).append(each)
        return [
            msgspec.structs.replace(write, key=f"{write.key}#{cell}", operations=tuple(found))
            for cell, found in by_cell.items()
        ]

    @staticmethod
    def _cells(footprint: Footprint | None) -> range:
        """Give the keys a footprint may hold: edges then follow from shared keys only."""
        if not footprint or "key" not in footprint:
            return range(NULL, 6)
        span = footprint["key"]
        return range(int(span.low or 0), int(span.high or 0) + 1)
