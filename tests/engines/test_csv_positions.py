"""Rows of CSV files: none lost, none doubled, every bad one with the line its record begins on."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.engines import DuckDB, MaskQuery, NativeFiles, Sql, Written
from headgate.errors import Invalid
from headgate.filesets import WriteTarget

SCHEMA = pa.schema([("id", pa.int64()), ("text", pa.string())])
COLUMNS = {"id": "BIGINT", "text": "VARCHAR"}
TEXTS = {"id": "VARCHAR", "text": "VARCHAR"}
MASK = MaskQuery(
    expression="(case when id % 3 = 0 then 1 else 0 end) | "
    "(case when id % 5 = 0 then 2 else 0 end)",
    names=("three", "five"),
    quarantine_bits=1,
)
KEYED = MaskQuery(
    expression="case when id in (select id from doubled) then 1 else 0 end",
    names=("unique",),
    quarantine_bits=1,
    preparations={"doubled": "select id from _rows group by id having count(*) > 1"},
)


@dataclass(frozen=True)
class Line:
    text: str
    kind: str  # good, bad, blank
    id: int = 0


def good(id: int, text: str) -> Line:
    quoted = '"' + text.replace('"', '""') + '"'
    return Line(f"{id},{quoted}", "good", id)


LINES = st.one_of(
    st.builds(good, st.integers(0, 40), st.text(alphabet='ab",\n é', max_size=8)),
    st.builds(lambda i: Line(f"{i},plain", "good", i), st.integers(0, 40)),
    st.just(Line("", "blank")),
    st.sampled_from([Line("7", "bad"), Line("1,2,3", "bad"), Line("x,y", "bad")]),
    st.just(Line('2,"x"y', "bad")),
    st.just(Line('4,5" pipe', "good", 4)),
)


CAST = MaskQuery(
    expression='(case when id is null and "_raw.id" is not null then 1 else 0 end) | '
    "(case when id % 3 = 0 then 2 else 0 end)",
    names=("id is bigint", "three"),
    quarantine_bits=3,
)
CASTING = Sql(
    text='select try_cast(id as bigint) as id, text, id as "_raw.id" from "_hg_raw"',
)


def read(
    engine: DuckDB, path: Path, out: Path, mask: MaskQuery | None, *, casting: bool = False
) -> Written:
    columns = TEXTS if casting else COLUMNS
    options = {"columns": columns, "header": True, "delimiter": ",", "null": ("",)}
    files = NativeFiles(
        paths=(str(path),), format="csv", options=options, shown={str(path): path.name}
    )
    session = engine.session()
    try:
        target = WriteTarget(directory=str(out), prefix="t", schema=SCHEMA)
        session.bind({"_hg_raw": files})
        return session.write(CASTING if casting else files, target, mask=mask)
    finally:
        session.close()


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(lines=st.lists(LINES, max_size=25), end=st.sampled_from(["\n", "\r\n"]), last=st.booleans())
@pytest.mark.parametrize("masked", ["", "masked", "keyed", "cast"])
def test_every_record_is_accepted_rejected_or_malformed_with_its_line(
    engine, tmp_path_factory, masked, lines, end, last
):
    directory = tmp_path_factory.mktemp("csv")
    path = directory / "rows.csv"
    text = end.join(["id,text", *(line.text for line in lines)]) + (end if last else "")
    path.write_bytes(text.encode())
    masks = {"masked": MASK, "keyed": KEYED, "cast": CAST}
    written = read(engine, path, directory, masks.get(masked), casting=masked == "cast")

    at, places = 2, []
    for line in lines:
        places.append(at)
        at += line.text.count("\n") + 1
    numbered = list(zip(lines, places, strict=True))
    unread = (
        masked == "cast"
    )  # text is read as it is: what is no number is a bad row, no bad record
    bad = [
        place
        for line, place in numbered
        if line.kind == "bad" and not (unread and line.text == "x,y")
    ]
    rows = [
        (None if line.text == "x,y" else line.id, place)
        for line, place in numbered
        if line.kind == "good" or (unread and line.text == "x,y")
    ]
    ids = [id for id, _ in rows]
    rejected = {
        "": [],
        "masked": [row for row in rows if row[0] is not None and row[0] % 3 == 0],
        "keyed": [row for row in rows if ids.count(row[0]) > 1],
        "cast": [row for row in rows if row[0] is None or row[0] % 3 == 0],
    }[masked]

    assert written.rows_read == len(rows) + len(bad)
    malformed = written.malformed.column("_position").to_pylist() if written.malformed else []
    assert sorted(malformed) == sorted(f"rows.csv:{place}" for place in bad)
    found = []
    if written.rejected is not None:
        table = written.rejected
        ids = table.column("_raw.id" if unread else "id").to_pylist()
        found = list(zip(map(str, ids), table.column("_position").to_pylist(), strict=True))
    assert sorted(found) == sorted(
        ("x" if id is None else str(id), f"rows.csv:{place}") for id, place in rejected
    )
    accepted = [
        row for path in written.paths for row in pq.read_table(path).column("id").to_pylist()
    ]
    assert sorted(accepted) == sorted(id for id, place in rows if (id, place) not in rejected)


def test_the_text_of_a_malformed_record_is_kept(engine, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text('id,text\n1,a\n\n2,"b\nc",d\n3,e\n')
    [record] = read(engine, path, tmp_path, None).malformed.to_pylist()
    assert record["_raw"] == '2,"b\nc",d'
    assert record["_position"] == "rows.csv:4"


def test_a_quote_that_never_closes_loses_nothing_in_silence(engine, tmp_path):
    path = tmp_path / "rows.csv"
    lines = [f"{i},text {i}" for i in range(200_000)]
    lines[10] = '10,"open'
    path.write_text("\n".join(["id,text", *lines]) + "\n")
    with pytest.raises(
        Invalid, match=r"the record on line 12 of rows\.csv is never closed"
    ) as caught:
        read(engine, path, tmp_path, MASK)
    assert caught.value.code == "csv-quote-open"
    assert not list(tmp_path.glob("*.parquet"))


def test_mixed_line_ends_are_named_and_nothing_is_written(engine, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b"id,text\n1,a\r\n2,b\n3,c,d\n")
    with pytest.raises(Invalid, match="different ways") as caught:
        read(engine, path, tmp_path, MASK)
    assert caught.value.code == "csv-unreadable"
    assert not list(tmp_path.glob("*.parquet"))


def test_a_query_that_only_looks_stops_at_the_first_malformed_record(engine, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("id,text\n1,a\n2\n")
    options = {"columns": COLUMNS, "header": True, "delimiter": ","}
    session = engine.session()
    session.bind({"raw": NativeFiles(paths=(str(path),), format="csv", options=options)})
    with pytest.raises(Invalid) as caught:
        session.scalars("select max(text) as m, min(id) as i from raw")
    assert caught.value.code == "csv-unreadable"
    assert "rows.csv" in caught.value.message
    session.close()


def test_bytes_that_are_no_utf8_are_a_malformed_record(engine, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b"id,text\n1,a\n2,Z\xfcrich\n3,c\n")
    written = read(engine, path, tmp_path, MASK)
    assert written.malformed.column("_position").to_pylist() == ["rows.csv:3"]
    assert (written.rows, written.rows_read) == (1, 3)
