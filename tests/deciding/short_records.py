"""Short ways to write records, for these tests."""

from collections.abc import Sequence
from datetime import UTC, datetime

from headgate.filesets import DataFile
from headgate.lake import (
    Append,
    Column,
    Commit,
    Delete,
    Entry,
    Footprint,
    Isolation,
    Operation,
    Range,
    Read,
    Record,
    Replace,
    StepRecord,
    TableBody,
    Upsert,
    Write,
)

INSTANT = datetime(2026, 1, 1, tzinfo=UTC)


def file(name: str = "f", rows: int = 1) -> DataFile:
    return DataFile(path=name, rows=rows, size_bytes=1, checksum=name)


def span(low: int, high: int, column: str = "k") -> Footprint:
    return {column: Range(low=low, high=high)}


def append(name: str = "f", footprint: Footprint | None = None) -> Append:
    return Append(files=(file(name),), key_columns=("k",), footprint=footprint or {})


def upsert(
    name: str = "f", footprint: Footprint | None = None, columns: tuple[str, ...] | None = None
) -> Upsert:
    return Upsert(
        key_columns=("k",), files=(file(name),), columns=columns, footprint=footprint or {}
    )


def replace(name: str = "f", schema: tuple[Column, ...] = ()) -> Replace:
    return Replace(files=(file(name),), schema=schema)


def delete(predicate: str = "v > 1", footprint: Footprint | None = None) -> Delete:
    return Delete(predicate=predicate, footprint=footprint or {})


def column(name: str, kind: str = "long", id: int = 9) -> Column:
    return Column(name=name, type=kind, id=id)


def table(content: str, *columns: Column, owner: str | None = None) -> Entry:
    body = TableBody(
        uuid="u", metadata="m", schema=columns, rows=0, size_bytes=0, files=0, owner=owner
    )
    return Entry(kind="table", content=content, table=body)


def read(key: str, footprint: Footprint | None = None, **more: object) -> Read:
    return Read(key=f"table/{key}", footprint=footprint, **more)  # type: ignore[arg-type]


def write(key: str, *operations: Operation, **more: object) -> Write:
    full = key if "/" in key else f"table/{key}"
    given = {"before": "old", "content": "new", **more}
    return Write(key=full, operations=operations, **given)  # type: ignore[arg-type]


def step(
    name: str = "s",
    reads: Sequence[Read] = (),
    writes: Sequence[Write] = (),
    **more: object,
) -> StepRecord:
    return StepRecord(step=name, reads=tuple(reads), writes=tuple(writes), **more)  # type: ignore[arg-type]


def commit(
    number: int,
    *steps: StepRecord,
    base: int | None = None,
    low: int | None = None,
    isolation: Isolation = "serializable",
    run: str | None = None,
    reverts: tuple[str, ...] = (),
) -> Commit:
    return Commit(
        id=f"c{number}",
        parent=f"c{number - 1}",
        number=number,
        tree="t",
        record=Record(
            kind="revert" if reverts else "run",
            at=INSTANT,
            run=run or f"r{number}",
            isolation=isolation,
            base_number=number - 1 if base is None else base,
            low=low,
            steps=steps,
            reverts=reverts,
        ),
    )
