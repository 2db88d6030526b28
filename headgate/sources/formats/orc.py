"""ORC files: typed columns, a stripe in memory at a time."""

from collections.abc import Iterator, Mapping
from typing import IO

import pyarrow as pa
from pyarrow import orc

from headgate.errors import Corrupt
from headgate.sources.formats.packing import opened, unpacked
from headgate.sources.formats.pieces import PIECE_ROWS, Piece
from headgate.sources.formats.raw_file import RawFile


def read(file: RawFile, options: Mapping[str, object], after: int) -> Iterator[Piece]:  # noqa: ARG001
    """Give a file's rows.

    Raises:
        Corrupt: ``file-damaged``.
    """
    with opened(unpacked(file)) as stream:
        yield from _pieces(file, stream, after)


def _pieces(file: RawFile, stream: IO[bytes], after: int) -> Iterator[Piece]:
    done = 0
    try:
        source = orc.ORCFile(pa.PythonFile(stream, "r"))
        for number in range(source.nstripes):
            stripe = pa.Table.from_batches([source.read_stripe(number)])
            begin = max(0, after - done)
            for at in range(begin, stripe.num_rows, PIECE_ROWS):
                rows = stripe.slice(at, PIECE_ROWS)
                yield Piece(rows=rows, records=done + at + rows.num_rows)
            done += stripe.num_rows
    except (pa.ArrowException, OSError) as error:
        raise Corrupt(
            "file-damaged",
            f"{file.shown} is no whole ORC file: {error}",
            hint="Fetch the file again.",
            path=file.shown,
        ) from error
    if done <= after:
        yield Piece(rows=source.schema.empty_table(), records=done)
