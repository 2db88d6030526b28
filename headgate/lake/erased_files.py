"""Writing a data file again without some of its rows: everything else of it stays as it was."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headgate.lake.operations import Column
from headgate.lake.storage import Storage, data_file_damaged, data_file_missing

_FIELD_ID = b"PARQUET:field_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowGroup:
    """A row group of a data file: its rows under the file's own names.

    ``names`` maps the columns of the table, as it is now, to those of the file.
    """

    number: int
    rows: pa.Table
    names: Mapping[str, str]


class StoredRows:
    """The rows of one data file, row group by row group.

    Args:
        storage: where it is.
        path: relative.
        columns: the table's columns, as conditions name them; a file's columns are known by id.
    """

    def __init__(self, storage: Storage, path: str, columns: Sequence[Column]) -> None:
        self._storage = storage
        self._path = path
        try:
            self._source = storage.open(path)
        except FileNotFoundError as error:
            raise data_file_missing(storage.absolute(path)) from error
        try:
            self._file = pq.ParquetFile(self._source, memory_map=False)
        except (pa.ArrowInvalid, OSError) as error:
            self._source.close()
            raise data_file_damaged(storage.absolute(path), str(error)) from error
        ids = {column.id: column.name for column in columns}
        self.names: dict[str, str] = {}
        for field in self._file.schema_arrow:
            id_ = int((field.metadata or {}).get(_FIELD_ID, b"0"))
            if id_ in ids:
                self.names[ids[id_]] = field.name

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._source.close()

    def groups(self, only: Sequence[str] | None = None) -> Iterator[RowGroup]:
        """Give the row groups, one at a time; with ``only`` just those of the table's columns."""
        wanted = None if only is None else [self.names[name] for name in only]
        for number in range(self._file.num_row_groups):
            rows = self._file.read_row_group(number, columns=wanted, use_threads=False)
            yield RowGroup(number=number, rows=rows, names=self.names)

    def group(self, number: int) -> RowGroup:
        """Give one row group whole."""
        rows = self._file.read_row_group(number, use_threads=False)
        return RowGroup(number=number, rows=rows, names=self.names)

    def without(self, rows: Mapping[int, pa.Array]) -> tuple[bytes | None, int]:
        """Give the file's bytes without rows (by row group, their positions), and how many stay.

        None where none does.
        """
        stays = 0
        sink = io.BytesIO()
        schema = self._file.schema_arrow
        with pq.ParquetWriter(
            sink, schema, compression=self._compression(), write_statistics=_told(schema)
        ) as writer:
            for group in self.groups():
                gone = rows.get(group.number)
                kept = group.rows
                if gone is not None:
                    there = pa.array(range(kept.num_rows), pa.int64())
                    kept = kept.filter(pc.invert(pc.is_in(there, value_set=gone)))
                stays += kept.num_rows
                if kept.num_rows:
                    writer.write_table(kept)
        return (sink.getvalue() if stays else None), stays

    def _compression(self) -> str:
        metadata = self._file.metadata
        if not metadata.num_row_groups or not metadata.num_columns:
            return "ZSTD"
        found = str(metadata.row_group(0).column(0).compression)
        return "NONE" if found == "UNCOMPRESSED" else found


def _told(schema: pa.Schema) -> list[str]:
    """Give the columns whose least and greatest values are told: Arrow tells them without NaN."""
    return [field.name for field in schema if not pa.types.is_floating(field.type)]
