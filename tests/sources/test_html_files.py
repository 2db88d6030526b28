"""HTML pages: rows of tables as they are seen, and records by CSS selectors."""

import io

import pandas as pd
import pytest
from reading_files import failure, rows

from headgate.sources.formats.html import HtmlQuery, html_records

TABLES = """<!doctype html><meta charset="utf-8"><title>x</title>
<table id="first"><tr><th>a<th>b</tr><tr><td>1<td>2</td></tr></table>
<table><caption>The  second</caption>
<thead><tr><th rowspan="2">City</th><th colspan="2">People</th></tr>
<tr><th>2020</th><th>2021</th></tr></thead>
<tbody><tr><td rowspan="2">Zürich<br>(ZH)</td><td>1</td><td>2</td></tr>
<tr><td>3</td><td><table><tr><td>inner</td></tr></table></td></tr>
<tr><td>Bern</td></tr></tbody></table>
"""


def test_a_table_is_named_by_number_caption_or_id(tmp_path):
    (tmp_path / "a.html").write_text(TABLES)
    assert rows(tmp_path, "a.html", html_table=1) == [{"a": "1", "b": "2"}]
    assert rows(tmp_path, "a.html", html_table="first") == [{"a": "1", "b": "2"}]
    second = [
        {"City": "Zürich (ZH)", "People 2020": "1", "People 2021": "2"},
        {"City": "Zürich (ZH)", "People 2020": "3", "People 2021": "inner"},
        {"City": "Bern"},
    ]
    assert rows(tmp_path, "a.html", html_table="The second") == second
    assert rows(tmp_path, "a.html", html_table=2) == second
    error = failure(tmp_path, "a.html")
    assert error.code == "html-table-unsaid"
    assert "The second" in error.message
    assert failure(tmp_path, "a.html", html_table=9).code == "html-table-missing"
    assert failure(tmp_path, "a.html", html_table="no").code == "html-table-missing"


def test_columns_without_a_heading_are_numbered_and_no_row_is_taken_for_one(tmp_path):
    (tmp_path / "a.html").write_text("<table><tr><td>1<td>2<tr><td>3<td>4<td>5</table>")
    assert rows(tmp_path, "a.html") == [
        {"column0": "1", "column1": "2"},
        {"column0": "3", "column1": "4", "column2": "5"},
    ]
    assert rows(tmp_path, "a.html", header=True) == [{"1": "3", "2": "4", "column2": "5"}]


def test_headings_of_one_name_are_told_apart(tmp_path):
    (tmp_path / "a.html").write_text("<table><tr><th>a<th>A<th>a<tr><td>1<td>2<td>3</table>")
    assert rows(tmp_path, "a.html") == [{"a": "1", "A_2": "2", "a_3": "3"}]


def test_the_same_rows_as_pandas_reads(tmp_path):
    page = "<table><tr><th>id<th>x</tr>" + "".join(
        f"<tr><td rowspan={1 + n % 2}>{n}<td> a  {n} </tr>" + ("<tr><td>y</tr>" if n % 2 else "")
        for n in range(50)
    )
    (tmp_path / "a.html").write_text(page + "</table>")
    [theirs] = pd.read_html(io.StringIO(page), converters={"id": str, "x": str})
    assert rows(tmp_path, "a.html") == theirs.to_dict("records")


SHOP = """<div class="p" data-id="1"><h2>One <em>two</em></h2><a href="/1">more</a>
<ul><li>x<li>y</ul><script>no()</script></div>
<div class="p" data-id="2"><h2>Three</h2></div>"""


def test_records_are_chosen_by_selectors(tmp_path):
    (tmp_path / "a.html").write_text(SHOP)
    fields = {"name": "h2", "url": "a@href", "tags": ["li"], "id": "@data-id", "all": ""}
    assert rows(tmp_path, "a.html", select="div.p", fields=fields) == [
        {"name": "One two", "url": "/1", "tags": ["x", "y"], "id": "1", "all": "One two more x y"},
        {"name": "Three", "url": None, "tags": [], "id": "2", "all": "Three"},
    ]
    assert rows(tmp_path, "a.html", select="div.none", fields=fields) == []


@pytest.mark.parametrize(
    "options",
    [
        {"select": "div"},
        {"fields": {"a": "b"}},
        {"select": "div[", "fields": {"a": "b"}},
        {"select": "div", "fields": {"a": "b["}},
        {"select": "div", "fields": {"a": ["b", "c"]}},
        {"select": "div", "fields": {"a": "b"}, "html_table": 1},
        {"html_table": 0},
        {"html_table": True},
        {"header": 1},
        {"encoding": "no-such"},
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path, options):
    (tmp_path / "a.html").write_text("<div>x</div>")
    assert failure(tmp_path, "a.html", **options).code == "bad-option"


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [("utf-8", "utf-8"), ("iso-8859-1", "cp1252"), ("windows-1252", "cp1252"), (None, "utf-16")],
)
def test_a_declared_encoding_is_believed(declared, encoding):
    meta = f'<meta http-equiv="Content-Type" content="text/html; charset={declared}">'
    page = f"{meta if declared else ''}<table><tr><td>Zürich €</table>".encode(encoding)
    [(_, record)] = html_records(page, HtmlQuery(), shown="x")
    assert record == {"column0": "Zürich €"}


def test_an_encoding_nobody_declares_is_never_guessed(tmp_path):
    (tmp_path / "a.html").write_bytes("<table>\n<tr><td>Zürich</table>".encode("latin-1"))
    error = failure(tmp_path, "a.html")
    assert error.code == "encoding-unknown"
    assert error.facts["line"] == 2
    assert rows(tmp_path, "a.html", encoding="latin-1") == [{"column0": "Zürich"}]
    (tmp_path / "b.html").write_bytes(b'<meta charset="utf-8"><table><tr><td>\xfc</table>')
    assert failure(tmp_path, "b.html").code == "encoding-wrong"


@pytest.mark.parametrize("page", ["", "  ", "<!-- nothing -->", "no tags at all"])
def test_a_page_without_a_table_is_named(tmp_path, page):
    (tmp_path / "a.html").write_text(page)
    assert failure(tmp_path, "a.html").code == "html-table-missing"
    assert rows(tmp_path, "a.html", select="p", fields={"x": "b"}) == []


def test_a_page_that_is_too_large_is_refused(tmp_path):
    (tmp_path / "a.html").write_text("<p>" * 1000)
    assert failure(tmp_path, "a.html", largest_record_bytes=100).code == "record-too-large"


def test_spans_beyond_all_measure_are_cut_as_browsers_do():
    page = b'<table><tr><td colspan="99999999">x<td rowspan="99999999">y<tr><td>z</table>'
    found = [record for _, record in html_records(page, HtmlQuery(), shown="x")]
    assert len(found) == 2
    assert len(found[0]) == 1001
