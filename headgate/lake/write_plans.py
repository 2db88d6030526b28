"""What a write needs before it begins: where its files go, under which schema, what comes first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeAlias

from headgate.errors import Invalid
from headgate.filesets import WriteTarget
from headgate.lake.allocation import Allocation
from headgate.lake.column_types import plain
from headgate.lake.entries import Entry
from headgate.lake.loading import LOADING
from headgate.lake.operations import Column, Create, Operation
from headgate.lake.partitions import PartitionField, partition_expression, partition_fields
from headgate.lake.schema_changes import added_rows_plan, replaced_columns, written_columns
from headgate.lake.storage import Storage
from headgate.names import Ids, suggestion

if TYPE_CHECKING:
    import pyarrow as pa

WriteMode: TypeAlias = Literal["append", "replace", "upsert"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WritePlan:
    """How a step's rows get into a table.

    ``columns`` are those of the files to write: what the rows have, as the table has it.
    ``operations`` come before the operation that adds the rows. ``bounded`` names the columns that
    need bounds wherever they stand: keys, and what the table is sorted or divided by.
    ``partition_columns`` gives the column behind each of the target's ``partition_by``.
    """

    target: WriteTarget
    columns: tuple[Column, ...]
    operations: tuple[Operation, ...]
    uuid: str
    partition: tuple[str, ...] = ()
    partition_columns: Mapping[str, str] = field(default_factory=dict)
    bounded: tuple[str, ...] = ()


class WritePlanner:
    """Plans writes to the tables of a lake; gives new columns and schemas their ids."""

    def __init__(self, storage: Storage, allocation: Allocation, ids: Ids) -> None:
        self._storage = storage
        self._allocation = allocation
        self._ids = ids

    def plan(
        self,
        before: Entry | None,
        arrow_schema: "pa.Schema",
        *,
        table: str,
        mode: WriteMode,
        prefix: str,
        partition: Sequence[str],
        sort_by: Sequence[str],
        key_columns: Sequence[str],
        staged_input: bool,
    ) -> WritePlan:
        """Decide how rows get into a table; see ``Tables.plan_write``."""
        with LOADING:
            from headgate.lake.schemas import arrow_schema as to_arrow  # noqa: PLC0415
            from headgate.lake.schemas import columns_of  # noqa: PLC0415

        incoming = columns_of(arrow_schema)
        _check_keys(key_columns, incoming, table)
        body = before.table if before is not None else None
        operations: list[Operation] = []
        if body is None:
            uuid, fields = self._ids.unique(), tuple(partition)
            operations.append(Create(uuid=uuid, partition=fields))
        else:
            uuid, fields = body.uuid, body.partition
            _check_partition(partition, fields, table)
        existing = body.schema if body is not None else ()
        epochs = body.drop_epochs if body is not None else {}
        allocate = partial(self._allocation.allocate, uuid)
        if mode == "replace":
            columns = replaced_columns(
                existing, incoming, table=table, drop_epochs=epochs, allocate=allocate
            )
        else:
            plan = added_rows_plan(
                existing, incoming, table=table, drop_epochs=epochs, allocate=allocate
            )
            columns = plan.columns
            operations += plan.operations
        _check_sort(sort_by, columns, table)
        sort = tuple(sort_by) or (body.sort_by if body is not None else ())
        partitions = partition_fields(fields, columns, table=table)
        if not staged_input:
            _check_divides(partitions, incoming, table)
        bounded = (
            *key_columns,
            *(body.key_columns if body is not None else ()),
            *sort,
            *(each.column for each in partitions),
        )
        if mode != "replace":
            columns = written_columns(columns, incoming)
        if staged_input:
            partitions = ()
        types = {column.name: plain(column.type) for column in columns}
        return WritePlan(
            target=WriteTarget(
                directory=self._storage.absolute(self._storage.make_data_directory(uuid)),
                store=self._storage.store,
                prefix=prefix,
                schema=to_arrow(columns),
                partition_by={
                    each.name: partition_expression(each, types[each.column]) for each in partitions
                },
                sort_by=tuple(name for name in sort if name in types),
            ),
            columns=columns,
            operations=tuple(operations),
            uuid=uuid,
            partition=fields,
            partition_columns={each.name: each.column for each in partitions},
            bounded=tuple(dict.fromkeys(bounded)),
        )


def _check_keys(key_columns: Sequence[str], incoming: Sequence[Column], table: str) -> None:
    names = {column.name for column in incoming}
    for key in key_columns:
        if key not in names:
            raise Invalid(
                "schema-key-missing",
                f"The rows for table {table!r} lack the key column {key!r}.",
                hint="Return the key column, or declare another key. Columns: " + ", ".join(names),
                table=table,
                column=key,
            )


def _check_sort(sort_by: Sequence[str], columns: Sequence[Column], table: str) -> None:
    names = [column.name for column in columns]
    for name in sort_by:
        if name not in names:
            close = suggestion(name, names)
            raise Invalid(
                "sort-unknown-column",
                f"Table {table!r} is to be sorted by {name!r}, which it does not have.",
                hint=f"Did you mean {close!r}?" if close else "Columns: " + ", ".join(names),
                table=table,
                column=name,
            )


def _check_divides(
    partition: Sequence[PartitionField], incoming: Sequence[Column], table: str
) -> None:
    names = {column.name for column in incoming}
    for each in partition:
        if each.column not in names:
            raise Invalid(
                "partition-column-missing",
                f"The rows for table {table!r} lack {each.column!r}, which it is partitioned by.",
                hint="Return the column, NULL where it has no value.",
                table=table,
                column=each.column,
            )


def _check_partition(wanted: Sequence[str], there: Sequence[str], table: str) -> None:
    if wanted and tuple(wanted) != tuple(there):
        raise Invalid(
            "partition-differs",
            f"Table {table!r} is partitioned by ({', '.join(there) or 'nothing'}), not by"
            f" ({', '.join(wanted)}).",
            hint="Drop the table first, or write another one: a table keeps its partition.",
            table=table,
        )
