"""XML files: elements become records, and nothing that a stranger's file asks for is done."""

import gzip

import pandas as pd
import pytest
from reading_files import aside, batches, failure, rows

ORDERS = """<?xml version="1.0"?>
<shop xmlns="http://example.com/shop" xmlns:x="http://example.com/x">
  <meta><made>today</made></meta>
  <orders>
    <order id="1" x:rush="yes">
      <customer><name>Zürich &amp; Söhne</name></customer>
      <line sku="a">2</line>
      <line sku="b">3</line>
      <note/>
    </order>
    <order id="2">
      <customer><name><![CDATA[<b>]]></name></customer>
      <line sku="c">4</line>
      <note> kept </note>
    </order>
  </orders>
</shop>
"""
FIRST = {
    "id": "1",
    "rush": "yes",
    "customer": {"name": "Zürich & Söhne"},
    "line": [{"sku": "a", "_text": "2"}, {"sku": "b", "_text": "3"}],
    "note": None,
}
SECOND = {
    "id": "2",
    "customer": {"name": "<b>"},
    "line": {"sku": "c", "_text": "4"},
    "note": " kept ",
}


@pytest.mark.parametrize("record", ["order", "orders/order", "/shop/orders/order"])
def test_records_are_elements_at_a_path(tmp_path, record):
    (tmp_path / "a.xml").write_text(ORDERS)
    assert rows(tmp_path, "a.xml", record=record) == [FIRST, SECOND]


def test_without_a_path_the_roots_elements_are_records_if_they_are_of_one_kind(tmp_path):
    (tmp_path / "a.xml").write_text("<r><a><x>1</x></a><a y='2'/><a>3</a><a/></r>")
    assert rows(tmp_path, "a.xml") == [{"x": "1"}, {"y": "2"}, {"_text": "3"}, {"_text": None}]
    (tmp_path / "a.xml").write_text(ORDERS)
    error = failure(tmp_path, "a.xml")
    assert error.code == "xml-record-unsaid"
    assert "meta and orders" in error.message


def test_what_may_repeat_is_always_a_list_where_it_is_said(tmp_path):
    (tmp_path / "a.xml").write_text("<r><a><t>1</t></a><a><t>1</t><t>2</t></a><a/></r>")
    assert rows(tmp_path, "a.xml", lists=["t"]) == [
        {"t": ["1"]},
        {"t": ["1", "2"]},
        {"_text": None},
    ]


def test_an_attribute_and_an_element_of_one_name_are_put_aside_or_told_apart(tmp_path):
    (tmp_path / "a.xml").write_text("<r><a id='1'><id>2</id></a>\n<a id='3'/></r>")
    assert rows(tmp_path, "a.xml", attribute_prefix="at_") == [
        {"at_id": "1", "id": "2"},
        {"at_id": "3"},
    ]
    [bad] = aside(tmp_path, "a.xml")
    assert bad["_position"] == "a.xml:1"
    assert bad["_raw"] == '{"id":["1","2"]}'
    assert "attribute_prefix" in bad["_reason"]


def test_nil_is_null_and_empty_texts_are(tmp_path):
    (tmp_path / "a.xml").write_text(
        '<r xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        '<a><x xsi:nil="true"/><y></y><z> </z></a></r>'
    )
    assert rows(tmp_path, "a.xml") == [{"x": None, "y": None, "z": " "}]


def test_text_between_elements_is_kept(tmp_path):
    (tmp_path / "a.xml").write_text("<r><p>one <b>two</b> three</p></r>")
    assert rows(tmp_path, "a.xml") == [{"b": "two", "_text": "one  three"}]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1", "windows-1252"])
def test_the_declared_encoding_is_believed(tmp_path, encoding):
    text = f'<?xml version="1.0" encoding="{encoding}"?><r><a><x>Zürich</x></a></r>'
    (tmp_path / "a.xml").write_bytes(text.encode(encoding))
    assert rows(tmp_path, "a.xml") == [{"x": "Zürich"}]


def test_a_wrong_encoding_is_named_with_its_line(tmp_path):
    (tmp_path / "a.xml").write_bytes("<r>\n<a><x>Zürich</x></a></r>".encode("latin-1"))
    error = failure(tmp_path, "a.xml")
    assert error.code == "file-malformed"
    assert "a.xml:2" in error.message
    assert rows(tmp_path, "a.xml", encoding="latin-1") == [{"x": "Zürich"}]
    (tmp_path / "a.xml").write_bytes(b'<?xml version="1.0" encoding="no-such"?><r/>')
    assert failure(tmp_path, "a.xml").code in {"encoding-wrong", "file-malformed"}


def test_the_same_rows_as_pandas_reads(tmp_path):
    frame = pd.DataFrame({"id": range(500), "name": [f"n&<{n}>" for n in range(500)]})
    frame.to_xml(tmp_path / "a.xml", index=False)
    theirs = pd.read_xml(tmp_path / "a.xml", dtype=str).to_dict("records")
    assert rows(tmp_path, "a.xml") == theirs
    (tmp_path / "b.xml.gz").write_bytes(gzip.compress((tmp_path / "a.xml").read_bytes()))
    assert rows(tmp_path, "b.xml.gz") == theirs


# -- bad input

BILLION = (
    '<?xml version="1.0"?>\n<!DOCTYPE lolz [<!ENTITY lol "lol">'
    + "".join(
        f'<!ENTITY lol{n} "{f"&lol{n - 1 if n > 1 else str()};" * 10}">' for n in range(1, 10)
    )
    + "]>\n<r><a><x>&lol9;</x></a></r>"
)


@pytest.mark.parametrize(
    "text",
    [
        BILLION,
        '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r><a>&x;</a></r>',
        '<!DOCTYPE r SYSTEM "http://127.0.0.1:1/x.dtd"><r><a/></r>',
        '<!DOCTYPE r [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]><r><a/></r>',
    ],
)
def test_a_document_type_is_refused_before_anything_is_expanded_or_fetched(tmp_path, text):
    (tmp_path / "a.xml").write_text(text)
    error = failure(tmp_path, "a.xml")
    assert error.code == "xml-doctype"
    assert "a.xml:" in error.message


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("<r>\n<a>1</a>\n<a>", 3),
        ("<r>\n<a></b></r>", 2),
        ("<r><a>&nope;</a></r>", 1),
        ("", 1),
        ("no xml", 1),
        ("<r><a>\x00</a></r>", 1),
        ("<r><a/></r><r/>", 1),
    ],
)
def test_what_is_not_well_formed_is_named_with_its_line(tmp_path, text, line):
    (tmp_path / "a.xml").write_text(text)
    error = failure(tmp_path, "a.xml")
    assert error.code == "file-malformed"
    assert f"a.xml:{line}:" in error.message


def test_a_path_that_leads_nowhere_is_named(tmp_path):
    (tmp_path / "a.xml").write_text("<r><a/></r>")
    assert failure(tmp_path, "a.xml", record="b").code == "records-missing"
    for bad in ("", "/", "a//b", 3):
        assert failure(tmp_path, "a.xml", record=bad).code == "bad-option"
    assert failure(tmp_path, "a.xml", lists=3).code == "bad-option"


@pytest.mark.parametrize(
    "text",
    [
        "<r>\n<a>" + "x" * 3_000_000 + "</a></r>",
        "<r>\n<a x='" + "x" * 3_000_000 + "'/></r>",
        "<r>\n<" + "x" * 3_000_000 + "/></r>",
        "<r>\n<a>" + "<b/>" * 1_000_000 + "</a></r>",
        "<r>\n<!--" + "x" * 3_000_000 + "--></r>",
    ],
    ids=["text", "attribute", "name", "elements", "comment"],
)
def test_a_record_that_is_too_long_is_refused_with_its_line(tmp_path, text):
    (tmp_path / "a.xml").write_text(text)
    error = failure(tmp_path, "a.xml", largest_record_bytes=500_000)
    assert error.code == "record-too-large"
    assert "a.xml:2" in error.message


def test_endless_nesting_is_refused_with_its_line(tmp_path):
    (tmp_path / "a.xml").write_text("<r>\n<a>" + "<b>" * 100_000)
    error = failure(tmp_path, "a.xml")
    assert error.code == "record-too-deep"
    assert "a.xml:2" in error.message


def test_memory_is_bounded_by_the_record_and_not_by_the_file(tmp_path):
    import tracemalloc

    with (tmp_path / "a.xml").open("w") as file:
        file.write("<r>")
        for number in range(60_000):
            file.write(f"<a><id>{number}</id><x>{'x' * 200}</x></a>")
        file.write("</r>")
    from headgate.sources import FileSource, Setting

    (tmp_path / "b.xml").write_text("<r><a><id>1</id></a><a><id>2</id></a></r>")
    setting = Setting(root=tmp_path, cache=tmp_path / ".cache")
    list(FileSource({"paths": ("b.xml",)}, setting).read(None))  # what is imported does not count
    source = FileSource({"paths": ("a.xml",)}, setting)
    tracemalloc.start()
    count = sum(batch.rows.num_rows for batch in source.read(None))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 60_000
    assert peak < 12_000_000  # the file has 14 MB; a piece some 3


def test_positions_are_the_lines_on_which_records_begin(tmp_path):
    (tmp_path / "a.xml").write_text("<r>\n<a>\n1</a>\n\n<a/></r>")
    [batch] = batches(tmp_path, "a.xml")
    assert batch.rows["_hg_position"].to_pylist() == ["a.xml:2", "a.xml:5"]
