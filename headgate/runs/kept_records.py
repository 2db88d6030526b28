"""Records as they came, kept where the engine can spill them until all of them were looked at.

What is wrong with a record is found here: what is no JSON object, what is nested too deeply, what
has a key twice. Such records stay in what is kept, and are told as unread.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headgate import source_columns
from headgate.engines import Session, Sql
from headgate.errors import Invalid
from headgate.names import literal
from headgate.records import Guarded, Shape, doubled_keys, guarded, untagged
from headgate.runs.arrivals import UNREAD, Arrivals
from headgate.runs.record_shapes import RecordShapes, Span

RECORDS: Final = "_hg_records"
"""The engine's table of the records that were kept."""

_ARRIVING: Final = "_hg_arriving"
_DOUBLED: Final = "_hg_doubled"
_ASIDE: Final = "_hg_aside"
ROOT: Final = "_hg_root"
"""The column that says in which record of the source a record is, however deep."""
_CHUNK_ROWS: Final = 65_536
_THREADS: Final = 2
_SPAN_BYTES: Final = 16 * 1024 * 1024
_NO_JSON: Final = "this is no JSON"

_ARRIVED: Final = pa.schema(
    [
        pa.field("_hg_row", pa.int64()),
        pa.field("_hg_position", pa.string()),
        pa.field("_hg_record", pa.string()),
        pa.field("_hg_single", pa.bool_()),
        pa.field("_hg_fault", pa.string()),
    ]
)

KEEP: Final = f"""
select _hg_row, _hg_row as {ROOT}, _hg_position, _hg_record, _hg_single,
  case when _hg_fault is not null then _hg_fault
       when _hg_record is null then 'there is no record'
       when _hg_type is null then '{_NO_JSON}'
       when _hg_type <> 'OBJECT' then 'this is no JSON object'
  end as _hg_fault
from (select *, try(json_type(_hg_record)) as _hg_type from {_ARRIVING})
"""


class KeptRecords:
    """The records of one reading. ``tagged``: some have numbers that are kept as texts."""

    def __init__(self, session: Session, arrivals: Arrivals, *, table: str) -> None:
        self._session = session
        self._arrivals = arrivals
        self._table = table
        self._raised: BaseException | None = None
        self._conditions = ["_hg_fault is null"]
        self._has_aside = False
        self._has_large = False
        self._rows = 0
        self._spans: list[Span] = []
        self._span_bytes = 0
        self.tagged = False
        self._keep()

    def _keep(self) -> None:
        """Keep the records where the engine can spill them; say what is wrong with each."""
        reader = pa.RecordBatchReader.from_batches(_ARRIVED, self._remembering())
        self._session.bind({_ARRIVING: reader})
        try:
            self._session.keep(RECORDS, Sql(text=KEEP))
        except Exception:
            if self._raised is not None:
                raise self._raised  # noqa: B904 - the engine's error is only its echo
            raise

    def _remembering(self) -> Iterator[pa.RecordBatch]:
        try:
            yield from self._guarded()
        except BaseException as error:
            self._raised = error
            raise

    def _arriving(self) -> Iterator[pa.RecordBatch]:
        for batch in self._arrivals:
            if not batch.rows.num_rows:
                continue
            if source_columns.RECORD not in batch.rows.column_names:
                raise Invalid(
                    "columns-differ",
                    f"The source of {self._table} gives records, and then columns (batch "
                    f"{self._arrivals.batches}).",
                    hint="Give one of them.",
                    table=self._table,
                )
            yield from batch.rows.to_batches(max_chunksize=_CHUNK_ROWS)

    def _guarded(self) -> Iterator[pa.RecordBatch]:
        """Guard records while the next ones are read."""
        waiting: deque[tuple[pa.RecordBatch, Future[Guarded]]] = deque()
        with ThreadPoolExecutor(_THREADS, "headgate-guard") as pool:
            for chunk in self._arriving():
                texts = chunk.column(source_columns.RECORD).cast(pa.string())
                waiting.append((chunk, pool.submit(guarded, texts)))
                if len(waiting) > _THREADS:
                    first, future = waiting.popleft()
                    yield self._chunk(first, future.result())
            for last, future in waiting:
                yield self._chunk(last, future.result())

    def _chunk(self, chunk: pa.RecordBatch, kept: Guarded) -> pa.RecordBatch:
        row, count = self._rows, chunk.num_rows
        self._rows += count
        self._note_span(row, row + count, chunk.nbytes)
        self.tagged = self.tagged or bool(pc.any(kept.single).as_py())
        self._has_large = self._has_large or kept.has_large
        positions = pa.nulls(count, pa.string())
        if source_columns.POSITION in chunk.schema.names:
            positions = chunk.column(source_columns.POSITION).cast(pa.string())
        rows = pa.array(np.arange(row, row + count))
        return pa.record_batch(
            [rows, positions, kept.texts, kept.single, kept.faults], schema=_ARRIVED
        )

    def _note_span(self, low: int, high: int, size: int) -> None:
        """Note rows that fit into memory together."""
        if self._spans and self._span_bytes + size <= _SPAN_BYTES:
            low = self._spans.pop()[0]
            size += self._span_bytes
        self._spans.append((low, high))
        self._span_bytes = size

    def live(self, relation: str) -> str:
        """Give the records of a relation that are to become rows, as far as that is known."""
        return f"(select * from {relation} where {' and '.join(self._conditions)})"

    def shape(self) -> Shape:
        """Give the shape of all records that are sound; leave out those with a key twice."""
        live = self.live(RECORDS)
        shapes = RecordShapes(self._session, live, self._spans, has_large=self._has_large)
        shape = shapes.shape(live, tagged=self.tagged)
        doubled = f"{shapes.untold} and ({doubled_keys(shape)})"
        self._session.keep(_DOUBLED, Sql(text=f"select {ROOT} from {live} where {doubled}"))
        if self._scalar(f"select count(*) as n from {_DOUBLED}"):
            self._conditions.append(f"{ROOT} not in (select {ROOT} from {_DOUBLED})")
            shape = shapes.shape(self.live(RECORDS), tagged=self.tagged)
        return shape

    def set_aside(self, parts: Mapping[str, str]) -> None:
        """Leave out records for a value in them: column to a query of those records' ``ROOT``."""
        if not parts:
            return
        found = (
            f"select {ROOT}, {literal(column)} as _hg_column from ({query})"
            for column, query in parts.items()
        )
        self._session.keep(_ASIDE, Sql(text=" union ".join(found)))
        if self._scalar(f"select count(*) as n from {_ASIDE}"):
            self._has_aside = True
            self._conditions.append(f"{ROOT} not in (select {ROOT} from {_ASIDE})")

    def unread(self) -> pa.Table | None:
        """Give the records that become no rows: broken, or with a value that has no place."""
        faulty = f"select {ROOT}, _hg_fault as _reason, NULL::varchar as _column from "
        parts = [
            f"{faulty}{RECORDS} where _hg_fault is not null",
            f"select {ROOT}, 'an object has a key twice', NULL from {_DOUBLED}",
        ]
        if self._has_aside:
            parts.append(
                f"select {ROOT}, 'the value does not fit the column', "
                f"string_agg(distinct _hg_column, ', ' order by _hg_column) from {_ASIDE} "
                f"group by {ROOT}"
            )
        text = (
            "select r._hg_position as _position, r._hg_record as _raw, f._column, f._reason "
            f"from {RECORDS} r join ({' union all '.join(parts)}) f "
            f"on r._hg_row = f.{ROOT} order by r._hg_row"
        )
        found = self._session.reader(Sql(text=text)).read_all().cast(UNREAD)
        if found.num_rows:
            found = _explained(found, tagged=self.tagged)
        never = self._arrivals.unread()
        parts_found = [each for each in (never, found) if each is not None and each.num_rows]
        return pa.concat_tables(parts_found) if parts_found else None

    def _scalar(self, sql: str) -> int:
        return int(str(self._session.scalars(sql)["n"]))


def _explained(unread: pa.Table, *, tagged: bool) -> pa.Table:
    """Give records that were set aside as they came, and what is wrong with those that are none."""
    raw, reasons = unread.column("_raw").to_pylist(), unread.column("_reason").to_pylist()
    if tagged:
        raw = [untagged(each) if each else each for each in raw]
    reasons = [
        f"{reason}: {_mistake(text)}" if reason == _NO_JSON and text is not None else reason
        for text, reason in zip(raw, reasons, strict=True)
    ]
    columns = {"_raw": raw, "_reason": reasons}
    for number, name in enumerate(unread.column_names):
        if name in columns:
            unread = unread.set_column(number, name, pa.array(columns[name], pa.string()))
    return unread


def _mistake(text: str) -> str:
    """Say what is wrong with a text that is no JSON."""
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        return str(error).removeprefix("JSON is malformed: ")
    return "it cannot be read"
