"""JSON files: whatever their form, each record is given as it is, or put aside with its place."""

import codecs
import gzip
import io
import json
import tracemalloc
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headgate.errors import HeadgateError
from headgate.source_columns import POSITION, RECORD
from headgate.sources import FileSource, Setting
from headgate.sources.formats.json_scanning import Scanner
from headgate.testing.source_suite import rows_of

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet=st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)
RECORDS = st.lists(st.dictionaries(st.text(max_size=5), VALUES, max_size=4), max_size=6)


def batches(root: Path, name: str, **options: object) -> list:
    setting = Setting(root=root, cache=root / ".cache")
    with closing(FileSource({"paths": (name,), **options}, setting)) as source:
        assert source.native(None) is None
        return list(source.read(None))


def read(path: Path, content: str | bytes, **options: object) -> tuple[list, list]:
    """Give a file's records, and what is no record."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    found = batches(path.parent, path.name, **options)
    aside = [row for b in found if b.unread is not None for row in b.unread.to_pylist()]
    return rows_of(found), aside


def failure(path: Path, content: str | bytes, **options: object) -> HeadgateError:
    with pytest.raises(HeadgateError) as caught:
        read(path, content, **options)
    return caught.value


class Dribbling(io.RawIOBase):
    """A stream that gives a few bytes at a time, whatever is asked for."""

    def __init__(self, content: bytes, size: int) -> None:
        self._content, self._size = io.BytesIO(content), size

    def read(self, _: int = -1) -> bytes:
        return self._content.read(self._size)


# -- cutting


@given(
    records=RECORDS,
    size=st.integers(1, 40),
    indent=st.sampled_from([None, 0, 2]),
    ascii=st.booleans(),
)
def test_an_array_is_cut_into_its_elements_however_the_bytes_arrive(records, size, indent, ascii):  # noqa: A002
    text = json.dumps(records, indent=indent, ensure_ascii=ascii).encode()
    found = list(Scanner(Dribbling(text, size), "x", 10**6).records(()))
    assert [json.loads(each) for _, each in found] == records
    for line, each in found:
        assert each.split(b"\n")[0] in text.split(b"\n")[line - 1]


@given(records=RECORDS, other=VALUES, size=st.integers(1, 40), indent=st.sampled_from([None, 1]))
def test_records_inside_of_others_are_found_by_their_path(records, other, size, indent):
    document = {"x": other, "a": {"items": records, "y": other}, "z": [other]}
    text = json.dumps([document, document], indent=indent).encode()
    found = list(Scanner(Dribbling(text, size), "x", 10**6).records(("a", "items")))
    assert [json.loads(each) for _, each in found] == records * 2


@given(records=RECORDS.filter(bool), separator=st.sampled_from(["", "\n", " ", "\r\n\r\n"]))
def test_values_one_after_the_other_are_records(records, separator):
    text = separator.join(map(json.dumps, records)).encode()
    found = Scanner(io.BytesIO(text), "x", 10**6).records(())
    assert [json.loads(each) for _, each in found] == records


# -- forms


ROWS = [{"id": 1, "a": {"b": [1, None]}}, {"id": 2, "x": 'ä "{[\\'}]


@pytest.mark.parametrize(
    ("name", "text", "options"),
    [
        ("a.json", json.dumps(ROWS), {}),
        ("a.json", json.dumps(ROWS, indent=2), {}),
        ("a.json", "\n".join(map(json.dumps, ROWS)), {}),
        ("a.json", "".join(map(json.dumps, ROWS)), {}),
        ("a.json", json.dumps({"meta": 1, "data": {"rows": ROWS}}), {"records": "data.rows"}),
        ("a.json", json.dumps([{"rows": ROWS[:1]}, {"rows": ROWS[1:]}]), {"records": "rows"}),
        ("a.jsonl", "\r\n".join(map(json.dumps, ROWS)), {}),
        ("a.ndjson", "\n\n" + "\n \n".join(map(json.dumps, ROWS)) + "\n\n", {}),
        ("a.dat", "\n".join(map(json.dumps, ROWS)), {"format": "ndjson"}),
    ],
)
def test_each_form_gives_the_same_records(tmp_path, name, text, options):
    assert read(tmp_path / name, text, **options) == (ROWS, [])
    packed = tmp_path / f"{name}.gz"
    if "format" not in options:
        assert read(packed, gzip.compress(text.encode()), **options) == (ROWS, [])


def test_one_object_is_one_record_and_nothing_is_none(tmp_path):
    assert read(tmp_path / "a.json", '{"id": 1}') == ([{"id": 1}], [])
    for nothing in ("", "  \n", "[]", " [ ] "):
        assert read(tmp_path / "a.json", nothing) == ([], [])
        assert read(tmp_path / "a.jsonl", nothing.strip(" []")) == ([], [])
    assert read(tmp_path / "a.json", '{"rows": []}', records="rows") == ([], [])


def test_a_record_is_passed_on_as_it_is_written(tmp_path):
    text = '{"n":1e2,"big":123456789012345678901234567890,"z":1.10,"d":1,"d":2}'
    (tmp_path / "a.jsonl").write_text(f" {text} \n")
    [batch] = batches(tmp_path, "a.jsonl")
    assert batch.rows.to_pydict() == {"_hg_record": [text], "_hg_position": ["a.jsonl:1"]}


def test_positions_are_files_and_lines(tmp_path):
    (tmp_path / "a.json").write_text('[\n{"id": 1},\n\n{\n"id": 2}\n, 3]')
    [batch] = batches(tmp_path, "a.json")
    assert batch.rows["_hg_position"].to_pylist() == ["a.json:2", "a.json:4"]
    assert batch.unread.to_pylist() == [
        {
            "_position": "a.json:6",
            "_raw": "3",
            "_column": None,
            "_reason": "It is no JSON object.",
        }
    ]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_encodings_are_found_by_their_mark_or_said(tmp_path, encoding, name):
    rows = [{"x": "Zürich"}, {"x": "€"}]
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    content = text.encode(encoding)
    if content[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF32_LE[:2], codecs.BOM_UTF8[:2]}:
        assert read(tmp_path / name, content) == (rows, [])
    assert read(tmp_path / name, content, encoding=encoding) == (rows, [])


# -- bad input


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ('{"a": tru}', "It is not JSON: Expecting value: line 1 column 7"),
        ('{"a": 1,}', "It is not JSON: "),
        ('{"a": NaN}', "It is not JSON"),
        ('{"a": "\t"}', "It is not JSON: Invalid control character"),
        ('"text"', "It is no JSON object"),
        ("[1, 2]", "It is no JSON object"),
        ('{"a": "\\ud800"}', "It holds what no text can: half of a pair of surrogates"),
        (b'{"a": "\xfc"}', "It is not UTF-8: byte 0xfc at 7. Say what it is: encoding="),
        ("{" * 3, "It is not JSON"),
        ('{"a": {"b": 1}', "It is not JSON"),
    ],
)
def test_a_bad_line_is_put_aside_alone(tmp_path, bad, reason):
    raw = bad.encode() if isinstance(bad, str) else bad
    rows, aside = read(tmp_path / "a.jsonl", b'{"id":1}\n' + raw + b'\n{"id":2}\n')
    assert rows == [{"id": 1}, {"id": 2}]
    assert [row["_position"] for row in aside] == ["a.jsonl:2"]
    assert aside[0]["_reason"].startswith(reason)
    assert aside[0]["_raw"].encode("utf-8") == raw.replace(b"\xfc", b"\\xfc")


def test_a_bad_element_of_an_array_is_put_aside_alone(tmp_path):
    text = '[{"id":1}, {"a": tru}, {"a" 1}, nope, {"id":2}]'
    rows, aside = read(tmp_path / "a.json", text)
    assert rows == [{"id": 1}, {"id": 2}]
    assert [row["_raw"] for row in aside] == ['{"a": tru}', '{"a" 1}', "nope"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[{"id":1},\n{"id":', 2),
        ('[{"id":1}\n{"id":2}]', 2),
        ('[{"id":1},\n"abc', 2),
        ('[{"id":1},\n\n', 3),
        ("[1,\n}", 2),
        ("[1,,2]", 1),
        ("]", 1),
    ],
)
def test_a_structure_that_breaks_stops_the_read_with_its_line(tmp_path, text, line):
    error = failure(tmp_path / "a.json", text)
    assert error.code == "file-malformed"
    assert f"a.json:{line}:" in error.message


def test_a_path_that_leads_nowhere_is_named_with_what_there_is(tmp_path):
    error = failure(tmp_path / "a.json", '{"data": {"items": []}}', records="data.rows")
    assert error.code == "records-missing"
    assert "items" in error.message
    for bad in ("", "a..b", 3):
        assert failure(tmp_path / "a.json", "[]", records=bad).code == "bad-option"
    assert failure(tmp_path / "a.jsonl", "", records="a").code == "unknown-option"


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_a_record_that_is_too_long_is_refused_before_it_is_in_memory(tmp_path, name):
    text = '{"id": 1}\n{"x": "' + "y" * 5_000_000
    error = failure(tmp_path / name, text, largest_record_bytes=1_000_000)
    assert error.code == "record-too-large"
    assert f"{name}:2" in error.message
    assert failure(tmp_path / name, "", largest_record_bytes=0).code == "bad-option"


def test_what_is_passed_over_may_be_as_long_as_it_likes(tmp_path):
    skipped = json.dumps({"blob": ["y" * 1000] * 5000, "rows": [{"id": 1}]})
    rows, _ = read(tmp_path / "a.json", skipped, records="rows", largest_record_bytes=100_000)
    assert rows == [{"id": 1}]


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_endless_nesting_is_put_aside(tmp_path, name):
    rows, aside = read(tmp_path / name, '{"id":1}\n{"a":' + "[" * 100_000 + "]" * 100_000 + "}\n")
    assert rows == [{"id": 1}]
    assert len(aside) == 1


def test_endless_lists_on_the_way_to_records_are_refused(tmp_path):
    error = failure(tmp_path / "a.json", "[" * 100_000, records="a")
    assert error.code == "record-too-deep"


def test_a_gzip_that_breaks_off_is_named_with_where(tmp_path):
    lines = "".join(f'{{"id": {number}}}\n' for number in range(100_000)).encode()
    packed = gzip.compress(lines)
    error = failure(tmp_path / "a.jsonl.gz", packed[:-1000])
    assert error.code == "file-damaged"
    assert error.facts["offset"] == len(packed) - 1000


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_memory_is_bounded_by_the_piece_and_not_by_the_file(tmp_path, name):
    record = json.dumps({"id": 1, "x": "y" * 200})
    separator, begin, end = (",", "[", "]") if name == "a.json" else ("\n", "", "")
    (tmp_path / name).write_text(begin + separator.join([record] * 150_000) + end)
    setting = Setting(root=tmp_path, cache=tmp_path / ".cache")
    (tmp_path / f"small-{name}").write_text(record)
    with closing(FileSource({"paths": (f"small-{name}",)}, setting)) as source:
        list(source.read(None))  # what is imported does not count
    with closing(FileSource({"paths": (name,)}, setting)) as source:
        source.fingerprint()
        tracemalloc.start()
        count = sum(batch.rows.num_rows for batch in source.read(None))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert count == 150_000
    assert peak < 16_000_000  # the file has 34 MB


FRAGMENTS = st.lists(
    st.sampled_from(
        ['{"a":1}', "{", "}", '"a":', ",", "\n", "\n", " ", "\r", "1", '"', '{"b":[', "]", "{}"]
    ),
    max_size=12,
).map("".join)
LINES = st.sampled_from(['{"a": 1}', '{"b": [{"c": null}]} ', "", "[1]", '{"a"', "é", "{} {}"])


@given(FRAGMENTS | st.lists(LINES | FRAGMENTS, max_size=8).map("\n".join))
@example('{"a":{}\n{"b":1}}\n')
@example('{"a":"}\n{"}\n')
@example('{}{}\n{"a":\n1}\n')
@example('{"a":1}\r\n{"a":2}\r\n')
def test_each_line_is_read_by_itself(
    tmp_path_factory: pytest.TempPathFactory, content: str
) -> None:
    path = tmp_path_factory.mktemp("lines") / "a.ndjson"
    sound, unsound = [], []
    for number, line in enumerate(content.split("\n"), 1):
        try:
            is_sound = isinstance(json.loads(line), dict)
        except ValueError:
            is_sound = False
        if is_sound:
            sound.append((line.strip(), f"a.ndjson:{number}"))
        elif line.strip():
            unsound.append((line, f"a.ndjson:{number}"))
    path.write_text(content, newline="")
    rows = [row for batch in batches(path.parent, path.name) for row in batch.rows.to_pylist()]
    _, aside = read(path, content)
    assert [(each[RECORD], each[POSITION]) for each in rows] == sound
    assert [(each["_raw"], each["_position"]) for each in aside] == unsound
