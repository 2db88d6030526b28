"""CSV that does not parse: whole records to quarantine, each with the line on which it begins."""

import json

import pytest

CONTRACT = """
class Row(hg.Contract):
    id: int
    name: str
    amount: Annotated[float | None, hg.between(0, 1000, severity="quarantine")]

rows = hg.files("data/rows.csv", contract=Row)
"""
PLAIN = 'rows = hg.files("data/rows.csv")\n'
RECORDS = (
    ("id,name,amount", None),
    ("1,a,1", None),
    ("2,b", "malformed"),
    ("3,c,3,more", "malformed"),
    ('4,"of\ntwo lines",4', None),
    ('5,"of\nthree\nlines",5,more', "malformed"),
    ('6,"cr\r\nlf",many', "amount is double"),
    ('7,"bad"quote,7', "malformed"),
    ("x,h,8", "id is long"),
    ("99999999999999999999999,i,9", "id is long"),
    ('10,"\n\n",5000', "amount between 0 and 1000"),
    ("11,k,nan", "amount between 0 and 1000"),
    ("12,l", "malformed"),
    ("13,m,13", None),
)


def numbered():
    """Give each record with its line and what is wrong with it."""
    line = 1
    for text, wrong in RECORDS:
        yield text, line, wrong
        line += 1 + text.count("\n")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_record_is_published_or_set_aside_with_its_line(place, end):
    place.steps(CONTRACT)
    place.write("data/rows.csv", "".join(text + end for text, _, _ in numbered()))
    words = place("run").err
    assert "4 rows   9 quarantined" not in words
    assert "3 rows   10 quarantined" in words
    good = [text for text, _, wrong in numbered() if wrong is None][1:]
    ids = [row["id"] for row in place.rows("select id from rows order by id")]
    assert ids == [int(text.partition(",")[0]) for text in good]
    aside = place.rows('select payload, position, checks from "_quarantine"."rows"')
    assert {row["position"]: row["checks"] for row in aside} == {
        f"data/rows.csv:{line}": [wrong] for _, line, wrong in numbered() if wrong is not None
    }
    raw = {row["position"]: json.loads(row["payload"]) for row in aside}
    for text, line, wrong in numbered():
        if wrong == "malformed":
            assert raw[f"data/rows.csv:{line}"]["raw"].rstrip("\r\n") == text


def test_the_words_lead_to_the_rows(place):
    place.steps(CONTRACT)
    place.write("data/rows.csv", "id,name,amount\n1,a,1\n2,b\n")
    assert "Quarantine: headgate quarantine show rows" in place("run").err
    shown = place("quarantine", "show", "rows").out
    assert "data/rows.csv:3" in shown
    assert "malformed" in shown


@pytest.mark.parametrize(
    ("steps", "text", "code", "said"),
    [
        (CONTRACT, "id,nam,amount\n1,a,1\n", "contract-raw-columns", "name is missing"),
        (PLAIN, "id,name,name\n1,a,b\n", "csv-duplicate-names", "two columns named 'name'"),
        (PLAIN, "a,a\n1,2\n", "csv-duplicate-names", "two columns named 'a'"),
        (PLAIN, "a,A\n1,2\n", "csv-duplicate-names", "(capital letters do not count)"),
        (PLAIN, "id,name\n1,caf\xe9\n".encode("latin1"), "encoding-unknown", "0xe9 on line 2"),
        (PLAIN, b"\x00\x01\xff\xfe" * 50, "encoding-unknown", "data/rows.csv"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused_whole(place, steps, text, code, said):
    place.steps()
    place("run")
    head = place.head()
    place.steps(steps)
    place.write("data/rows.csv", text)
    words = place("run", exits=3)
    assert said in words.err
    place.is_unchanged(head, words)
    error = place.error("resume", words.resume, exits=3)
    assert error["code"] == code
    place.write("data/rows.csv", "id,name,amount\n1,a,1\n")
    assert "Published 1 table" in place("resume", words.resume).err


@pytest.mark.parametrize(
    "text",
    ["\ufeffid,name,amount\n1,a,1\n", "id;name;amount\n1;a;1\n", "id,name,amount\n\n1,a,1\n"],
)
def test_what_can_be_understood_is(place, text):
    place.steps(CONTRACT)
    place.write("data/rows.csv", text)
    place("run")
    assert place.rows("select * from rows") == [{"id": 1, "name": "a", "amount": 1.0}]


def test_a_quote_that_is_never_closed_loses_nothing(place):
    place.steps(CONTRACT)
    text = "id,name,amount\n1,a,1\n" + '2,"open,2\n' + "3,c,3\n" * 5_000
    place.write("data/rows.csv", text)
    said = place("run", exits=0)  # what the open quote swallowed is one record, kept whole
    [aside] = place.rows('select payload, position from "_quarantine"."rows"')
    assert aside["position"] == "data/rows.csv:3"
    assert json.loads(aside["payload"])["raw"] == text[len("id,name,amount\n1,a,1\n") :], said.err
