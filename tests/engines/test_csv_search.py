"""Records of plain CSV files are found by their text exactly where a reader of lines finds them."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate import file_ranges
from headgate.engines import DuckDB, MaskQuery, NativeFiles, Sql, csv_search, positions
from headgate.engines.csv_search import Plain, find
from headgate.filesets import WriteTarget

NAMES = ("id", "name", "note")
VALUES = st.text(alphabet="ab1 é\t", max_size=12)
RECORDS = st.tuples(VALUES, VALUES, VALUES)
OTHER = st.sampled_from(["", "1,2", "a,b,c,d", "id,name,note"])


def files(path, **options):
    declared = {"columns": dict.fromkeys(NAMES, "VARCHAR"), "header": True, "null": ("",)}
    return NativeFiles(
        paths=(str(path),),
        format="csv",
        options=declared | options,
        shown={str(path): path.name},
    )


def key(record):
    return tuple(value.encode() or None for value in record)


@settings(
    max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    lines=st.lists(st.one_of(RECORDS.map(",".join), OTHER), max_size=20),
    wanted=st.lists(RECORDS, max_size=4),
    among=st.integers(0, 4),
    known=st.permutations(range(3)).flatmap(
        lambda order: st.integers(1, 3).map(lambda count: tuple(order[:count]))
    ),
    end=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
    chunk=st.integers(1, 40),
    cores=st.integers(1, 4),
    skip=st.integers(0, 2),
)
def test_what_is_found_is_what_a_reader_of_lines_finds(
    tmp_path, monkeypatch, lines, wanted, among, known, end, last, chunk, cores, skip
):
    monkeypatch.setattr(csv_search, "_CHUNK_BYTES", chunk)
    monkeypatch.setattr(file_ranges, "LARGE_BYTES", 1)
    monkeypatch.setattr(file_ranges.os, "cpu_count", lambda: cores)
    path = tmp_path / "rows.csv"
    whole = ["skipped"] * skip + [",".join(NAMES), *lines]
    path.write_bytes((end.join(whole) + (end if last else "")).encode())
    there = [(number, line.split(",")) for number, line in enumerate(whole, start=1)]
    rows = [(at, tuple(row)) for at, row in there[skip + 1 :] if len(row) == len(NAMES)]
    asked = [tuple(row[at] for at in known) for row in [*wanted, *(row for _, row in rows[:among])]]
    numbers = {key(row): number for number, row in enumerate(dict.fromkeys(asked))}
    plain = Plain.of(files(path, skip=skip), str(path), [NAMES[at] for at in known])
    found = find(str(path), plain, numbers)
    if found is None:
        assert not numbers or min(len(plain.beginning(row)) for row in numbers) < 2
        return
    assert found == [
        (numbers[part], at)
        for at, row in rows
        if (part := key([row[place] for place in known])) in numbers
    ]


@pytest.mark.parametrize(
    "options",
    [
        {"comment": "#"},
        {"encoding": "latin-1"},
        {"compression": "gzip"},
        {"columns": {"id": "BIGINT", "name": "VARCHAR", "note": "VARCHAR"}},
        {"columns": {"name": "VARCHAR", "note": "VARCHAR"}},
    ],
)
def test_files_whose_lines_do_not_show_their_values_are_left_to_a_reader(tmp_path, options):
    assert Plain.of(files(tmp_path / "rows.csv", **options), "rows.csv", NAMES) is None


def test_a_quote_anywhere_leaves_the_file_to_a_reader(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text('id,name,note\n11,a,b\n22,"x",y\n')
    plain = Plain.of(files(path), str(path), NAMES)
    assert find(str(path), plain, {key(("11", "a", "b")): 0}) is None
    unquoted = Plain.of(files(path, quote=""), str(path), NAMES)
    assert find(str(path), unquoted, {key(("22", '"x"', "y")): 0}) == [(0, 3)]


@pytest.mark.parametrize("quote", ["", '"'])
def test_rejected_rows_have_their_lines_with_quotes_and_without(tmp_path, monkeypatch, quote):
    """Of equal rows the first is kept: told are the others' lines."""
    records = ["10,#a#,x", "11,#b#,", "10,#a#,x", "12,#b#,y", "11,#b#,"]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join([",".join(NAMES), *records]).replace("#", quote))
    searched = []

    def noticed(*given):
        searched.append(find(*given))
        return searched[-1]

    monkeypatch.setattr(positions, "find", noticed)
    columns = ", ".join(f'"{name}"' for name in NAMES)
    mask = MaskQuery(
        expression="case when row_number() over (partition by id) > 1 then 1 else 0 end",
        names=("id unique",),
        quarantine_bits=1,
    )
    with DuckDB() as engine:
        session = engine.session()
        session.bind({"_hg_raw": files(path)})
        rows = Sql(text=f'select {columns} from "_hg_raw"', verbatim={n: n for n in NAMES})
        schema = session.schema(rows)
        target = WriteTarget(directory=str(tmp_path / "out"), prefix="t", schema=schema)
        written = session.write(rows, target, mask=mask)
        session.close()
    assert [found is not None for found in searched] == [not quote]
    rejected = zip(*written.rejected.select(["id", "_position"]).to_pydict().values(), strict=True)
    assert sorted(rejected) == [("10", "rows.csv:4"), ("11", "rows.csv:6")]
