"""What became of a contract is told in the direction in which it breaks somebody."""

import pytest

from headgate.contracts import contract_schema, differences, overall
from headgate.contracts.yaml_contracts import COLUMN_WORDS, TABLE_WORDS, read_contract

BASE = """
columns:
  a: {type: long, between: [0, 10]}
  b: {type: string | null, one_of: [x, y], length: [1, 5]}
  c: timestamptz
rules:
  - unique: a
  - rows: {at_least: 5}
  - completeness: {column: b, at_least: 0.5}
  - freshness: {column: c, max_age: 1h}
  - expression: {sql: a > 1, name: big}
"""


def compared(old, new):
    return differences(*(read_contract(text, name="T", file="t.yaml") for text in (old, new)))


@pytest.mark.parametrize(
    ("old", "new", "direction"),
    [
        ("[0, 10]", "[0, 11]", "weaker"),
        ("[0, 10]", "[1, 10]", "stronger"),
        ("[0, 10]", "[1, 11]", "breaking"),
        ("[0, 10]", "{low: 0}", "weaker"),
        ("[x, y]", "[x, y, z]", "weaker"),
        ("[x, y]", "[x]", "stronger"),
        ("[x, y]", "[x, z]", "breaking"),
        ("[1, 5]", "[1, 6]", "weaker"),
        ("at_least: 5", "at_least: 6", "stronger"),
        ("at_least: 0.5", "at_least: 0.4", "weaker"),
        ("max_age: 1h", "max_age: 30m", "stronger"),
        ("sql: a > 1", "sql: a > 2", "breaking"),
        ("name: big", "name: big, severity: warn", "weaker"),
        ("name: big", "name: big, severity: quarantine", "same"),
        ("  - unique: a\n", "", "weaker"),
        ("  c: timestamptz\n", "  c: timestamptz\n  d: long\n", "stronger"),
        ("  c: timestamptz\n", "  c: timestamptz | null\n", "weaker"),
        ("type: string | null", "type: string", "stronger"),
        ("  c: timestamptz\n", "  c: timestamp\n", "breaking"),
        ("type: long,", "type: long, column: A,", "breaking"),
        ("\ncolumns", "\nundeclared: refuse\ncolumns", "stronger"),
        ("\ncolumns", "\nundeclared: drop\ncolumns", "weaker"),
        ("\ncolumns", "\ndescription: another\ncolumns", "same"),
        ("unique: a", "unique: {columns: a, severity: warn}", "weaker"),
    ],
)
def test_each_change_has_its_direction(old, new, direction):
    assert old in BASE
    found = compared(BASE, BASE.replace(old, new))
    assert overall(found) == direction
    back = {"weaker": "stronger", "stronger": "weaker"}.get(direction, direction)
    if "undeclared: drop" not in new:
        assert overall(compared(BASE.replace(old, new), BASE)) == back


def test_the_same_contract_has_no_differences():
    assert compared(BASE, BASE) == ()


def test_a_weaker_and_a_stronger_change_break_both_sides():
    found = compared(BASE, BASE.replace("[0, 10]", "[0, 11]").replace("at_least: 5", "at_least: 6"))
    assert [each.direction for each in found] == ["weaker", "stronger"]
    assert overall(found) == "breaking"


def test_the_schema_knows_every_word():
    schema = contract_schema()
    column = schema["properties"]["columns"]["additionalProperties"]["anyOf"][1]
    assert set(column["properties"]) >= set(COLUMN_WORDS)
    assert set(schema["properties"]["rules"]["items"]["properties"]) == set(TABLE_WORDS)
    assert all(each["description"] for each in column["properties"].values() if "anyOf" in each)
