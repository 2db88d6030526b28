"""ORC, Avro and Parquet: typed columns, the same as another library's reader gives."""

# ruff: noqa: DTZ001 - local times have no zone

import gzip
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import fastavro
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import orc
from reading_files import batches, failure, rows

from headgate.sources import FileSource, Setting

FIELDS = {
    "b": ("boolean", True),
    "i": ("int", -5),
    "l": ("long", 2**60),
    "f": ("float", 0.5),
    "d": ("double", 1 / 3),
    "s": ("string", "Zürich"),
    "y": ("bytes", b"\x00\xff"),
    "e": ({"type": "enum", "name": "e", "symbols": ["A", "B"]}, "B"),
    "x": ({"type": "fixed", "name": "x", "size": 2}, b"ab"),
    "day": ({"type": "int", "logicalType": "date"}, date(2026, 1, 2)),
    "ms": ({"type": "int", "logicalType": "time-millis"}, time(1, 2, 3, 4000)),
    "us": ({"type": "long", "logicalType": "time-micros"}, time(1, 2, 3, 4)),
    "at": (
        {"type": "long", "logicalType": "timestamp-millis"},
        datetime(2026, 1, 2, 3, 4, 5, 6000, UTC),
    ),
    "atu": (
        {"type": "long", "logicalType": "timestamp-micros"},
        datetime(2026, 1, 2, 3, 4, 5, 6, UTC),
    ),
    "local": (
        {"type": "long", "logicalType": "local-timestamp-micros"},
        datetime(2026, 1, 2, 3, 4, 5, 6),
    ),
    "dec": (
        {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2},
        Decimal("-12345678.90"),
    ),
    "fix": (
        {
            "type": "fixed",
            "name": "f16",
            "size": 16,
            "logicalType": "decimal",
            "precision": 38,
            "scale": 9,
        },
        Decimal("12345678901234567890123456789.123456789"),
    ),
    "list": ({"type": "array", "items": ["null", "long"]}, [1, None, 3]),
    "map": ({"type": "map", "values": "int"}, {"a": 1}),
    "rec": (
        {
            "type": "record",
            "name": "inner",
            "fields": [{"name": "q", "type": ["null", "string"]}],
        },
        {"q": "z"},
    ),
}


def avro(path: Path, fields: dict, codec: str = "null") -> None:
    schema = {
        "type": "record",
        "name": "row",
        "fields": [{"name": n, "type": ["null", kind]} for n, (kind, _) in fields.items()],
    }
    full = {name: value for name, (_, value) in fields.items()}
    with path.open("wb") as file:
        fastavro.writer(file, schema, [full, dict.fromkeys(full)], codec=codec)


@pytest.mark.parametrize("codec", ["null", "deflate", "bzip2", "xz"])
def test_each_avro_type_is_the_same_as_fastavro_reads(tmp_path, codec):
    avro(tmp_path / "a.avro", FIELDS, codec)
    with (tmp_path / "a.avro").open("rb") as file:
        theirs = list(fastavro.reader(file))
    [first, second] = rows(tmp_path, "a.avro")
    first["map"] = dict(first["map"])
    assert [first, second] == theirs
    assert set(second.values()) == {None}


def test_avro_types_are_kept_as_types(tmp_path):
    avro(tmp_path / "a.avro", FIELDS)
    [batch] = batches(tmp_path, "a.avro")
    schema = batch.rows.schema
    assert schema.field("dec").type == pa.decimal128(10, 2)
    assert schema.field("at").type == pa.timestamp("us", tz="UTC")
    assert schema.field("local").type == pa.timestamp("us")
    assert schema.field("day").type == pa.date32()
    assert schema.field("rec").type == pa.struct([("q", pa.string())])
    assert schema.field("map").type == pa.map_(pa.string(), pa.int32())


def test_an_avro_union_of_several_types_becomes_json_text(tmp_path):
    kinds = ["null", "long", "string", {"type": "array", "items": "bytes"}]
    schema = {
        "type": "record",
        "name": "row",
        "fields": [
            {"name": "u", "type": kinds},
            {"name": "in", "type": {"type": "array", "items": ["long", "string"]}},
            {"name": "id", "type": {"type": "string", "logicalType": "uuid"}},
            {
                "name": "tree",
                "type": [
                    "null",
                    {
                        "type": "record",
                        "name": "tree",
                        "fields": [
                            {"name": "v", "type": "int"},
                            {"name": "next", "type": ["null", "tree"]},
                        ],
                    },
                ],
            },
        ],
    }
    uuid = UUID(int=7)
    tree = {"v": 1, "next": {"v": 2, "next": None}}
    made = [
        {"u": value, "in": [1, "x"], "id": uuid, "tree": tree}
        for value in (1, "1", None, [b"\x00"])
    ]
    with (tmp_path / "a.avro").open("wb") as file:
        fastavro.writer(file, schema, made)
    found = rows(tmp_path, "a.avro")
    assert [row["u"] for row in found] == ["1", '"1"', None, '["AA=="]']
    assert found[0]["in"] == ["1", '"x"']
    assert found[0]["id"] == str(uuid)
    assert found[0]["tree"] == {"v": 1, "next": '{"v":2,"next":null}'}


def test_avro_that_holds_no_records_is_refused(tmp_path):
    with (tmp_path / "a.avro").open("wb") as file:
        fastavro.writer(file, "long", [1, 2])
    assert failure(tmp_path, "a.avro").code == "avro-not-rows"


def test_an_avro_codec_nobody_reads_is_named(tmp_path):
    avro(tmp_path / "a.avro", {"i": ("int", 1)})
    raw = (tmp_path / "a.avro").read_bytes()
    (tmp_path / "a.avro").write_bytes(raw.replace(b"\x08null", b"\x08nope", 1))
    assert failure(tmp_path, "a.avro").code == "file-damaged"


TABLE = pa.table(
    {
        "i": pa.array([1, None, 3], pa.int32()),
        "s": pa.array(["a", "ü", None]),
        "d": pa.array([Decimal("1.10"), None, Decimal("-3.00")], pa.decimal128(9, 2)),
        "day": pa.array([date(2026, 1, 2), None, date(1900, 1, 1)]),
        "at": pa.array([datetime(2026, 1, 2, 3, 4, 5, 6), None, None], pa.timestamp("us")),
        "l": pa.array([[1, 2], [], None], pa.list_(pa.int64())),
        "r": pa.array([{"q": 1}, None, {"q": None}], pa.struct([("q", pa.int64())])),
        "b": pa.array([b"\x00", None, b""]),
    }
)


@pytest.mark.parametrize("compression", ["uncompressed", "zlib", "snappy", "zstd", "lz4"])
def test_orc_rows_are_the_same_as_arrow_reads(tmp_path, compression):
    orc.write_table(TABLE, tmp_path / "a.orc", compression=compression)
    theirs = orc.read_table(tmp_path / "a.orc").to_pylist()
    assert rows(tmp_path, "a.orc") == theirs
    assert theirs[0]["d"] == Decimal("1.10")


def test_orc_is_read_a_stripe_at_a_time_and_taken_up_within_one(tmp_path):
    big = pa.table({"i": range(200_000), "x": ["x" * 20] * 200_000})
    orc.write_table(big, tmp_path / "a.orc", stripe_size=100_000)
    assert orc.ORCFile(tmp_path / "a.orc").nstripes > 2
    found = batches(tmp_path, "a.orc")
    assert [n for batch in found for n in batch.rows["i"].to_pylist()] == list(range(200_000))
    setting = Setting(root=tmp_path, cache=tmp_path / ".cache")
    for batch in found[:: max(1, len(found) // 5)]:
        source = FileSource({"paths": ("a.orc",)}, setting)
        begin = batch.rows["i"][-1].as_py() + 1
        again = [n for b in source.read(batch.cursor) for n in b.rows["i"].to_pylist()]
        assert again == list(range(begin, 200_000))


def test_parquet_written_by_polars_is_read_the_same(tmp_path):
    frame = pl.DataFrame({"i": [1, None], "s": ["a", None], "l": [[1.5], None]})
    frame.write_parquet(tmp_path / "a.parquet")
    (tmp_path / "b.parquet.gz").write_bytes(gzip.compress((tmp_path / "a.parquet").read_bytes()))
    assert rows(tmp_path, "a.parquet") == frame.to_dicts()
    assert rows(tmp_path, "b.parquet.gz") == frame.to_dicts()


@pytest.mark.parametrize("end", ["avro", "orc", "parquet"])
def test_what_is_no_whole_file_is_named(tmp_path, end):
    path = tmp_path / f"a.{end}"
    if end == "avro":
        avro(path, FIELDS)
    elif end == "orc":
        orc.write_table(TABLE, path)
    else:
        pq.write_table(TABLE, path)
    whole = path.read_bytes()
    for damaged in (b"", b"nothing of the kind", whole[:-20], whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        error = failure(tmp_path, f"a.{end}")
        assert error.code == "file-damaged"
        assert f"a.{end}" in error.message
