"""One file read by the source of files: its rows, what is no row, or how it fails."""

from contextlib import closing
from pathlib import Path

import pytest

from headgate.errors import HeadgateError
from headgate.sources import Batch, FileSource, Setting
from headgate.testing.source_suite import rows_of


def batches(root: Path, *paths: str, **options: object) -> list[Batch]:
    """Give all batches of files."""
    setting = Setting(root=root, cache=root / ".cache")
    with closing(FileSource({"paths": paths, **options}, setting)) as source:
        found = list(source.read(None))
    assert not list((root / ".cache" / "files").glob("reading-*")), "copies are left"
    return found


def rows(root: Path, *paths: str, **options: object) -> list[dict]:
    """Give the rows of files none of whose records is put aside."""
    found = batches(root, *paths, **options)
    assert [batch.unread for batch in found if batch.unread is not None] == []
    return rows_of(found)


def aside(root: Path, *paths: str, **options: object) -> list[dict]:
    """Give what is put aside."""
    found = batches(root, *paths, **options)
    return [row for b in found if b.unread is not None for row in b.unread.to_pylist()]


def failure(root: Path, *paths: str, **options: object) -> HeadgateError:
    """Give the error that reading raises."""
    with pytest.raises(HeadgateError) as caught:
        batches(root, *paths, **options)
    return caught.value
