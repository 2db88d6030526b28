import pytest

from headgate.errors import Invalid
from headgate.pipelines import condition

COLUMNS = ("amount", "Day", "Dep Delay (raw)")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("amount > 10", '"amount" > 10'),
        ("AMOUNT>10 AND day is null", '"amount" > 10 AND "Day" IS NULL'),
        ('"Dep Delay (raw)" in (1, 2)', '"Dep Delay (raw)" IN (1, 2)'),
        ("Day = 'it''s; drop table x'", "\"Day\" = 'it''s; drop table x'"),
        ("age(Day, date '2013-01-01') > interval 1 day", None),
        ("true", "TRUE"),
    ],
)
def test_a_condition_gets_one_spelling(text: str, wanted: str | None) -> None:
    found = condition(text, COLUMNS, what="the delete")
    assert wanted is None or found == wanted
    assert condition(found, COLUMNS, what="the delete") == found


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("amount >", "bad-condition"),
        ("", "bad-condition"),
        ("amount > 1; drop table x", "bad-condition"),
        ("amuont > 1", "bad-condition"),
        ("other.amount > 1", "bad-condition"),
        ("amount > (select 1)", "bad-condition"),
        ("amount > max(amount)", "bad-condition"),
        ("row_number() over () > 1", "bad-condition"),
        ("amount > $low", "bad-condition"),
        ("Day < now()", "sql-not-repeatable"),
        ("amount > random()", "sql-not-repeatable"),
        ("age(Day) > interval 1 day", "sql-not-repeatable"),
    ],
)
def test_a_condition_speaks_of_its_row_alone(text: str, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        condition(text, COLUMNS, what="the delete")
    assert caught.value.code == code
    assert "the delete" in caught.value.message
    assert "<class" not in caught.value.message
