"""The types of columns where no contract says them."""

from pathlib import Path

import pyarrow as pa
import pytest

from headgate.engines import DuckDB
from headgate.sources import FileSource, Setting


def types(root: Path, text: str) -> list[str]:
    (root / "a.csv").write_text(text)
    source = FileSource({"paths": ("a.csv",)}, Setting(root=root, cache=root / ".cache"))
    files = source.native(None).files
    assert files is not None
    with DuckDB(threads=1, temp_directory=root / ".spill") as engine:
        session = engine.session()
        schema: pa.Schema = session.schema(files)
        session.close()
    return [str(field.type) for field in schema]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("true", "bool"),
        ("7", "int64"),
        ("0.5", "double"),
        ("2026-01-01", "date32[day]"),
        ("2026-01-01 09:30:00", "timestamp[us]"),
        ("2026-01-01T09:30:00Z", "timestamp[us, tz=UTC]"),
        ("007", "string"),
    ],
)
def test_a_value_that_is_missing_does_not_make_a_column_text(
    tmp_path: Path, value: str, kind: str
) -> None:
    assert types(tmp_path, f"id,a\n1,{value}\n2,\n3,{value}\n") == ["int64", kind]


def test_a_column_without_a_value_is_text(tmp_path: Path) -> None:
    assert types(tmp_path, "id,a\n1,\n2,\n") == ["int64", "string"]
