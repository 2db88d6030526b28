# ruff: noqa: E501 - cases as tables
"""SQL conditions: what they mean on a row, and what is refused with the reason."""

import asking
import pyarrow as pa
import pytest

import headgate as hg
from headgate.contracts import ContractSpec, contract_spec, ingest_mask, validate_expressions
from headgate.contracts.parsing import parse_condition
from headgate.contracts.types import parse_type
from headgate.errors import Invalid

COLUMNS = {
    "i": "long", "j": "int", "f": "double", "d": "decimal(9, 2)", "wide": "decimal(38, 2)", "s": "string", "b": "boolean",
    "day": "date", "at": "timestamptz", "local": "timestamp", "l": "list<long>", "raw": "binary", "Odd Name": "long",
}  # fmt: skip
KINDS = {name: parse_type(text) for name, text in COLUMNS.items()}

ROW = {"i": 7, "j": -2, "f": 2.5, "s": "Ab é", "b": True, "l": [1, 2], "Odd Name": 1}
MEANS = {
    "i > 5": True, "i > 5 and j > 0": False, "i > 5 or missing is null": None, "I > 5": True, '"odd name" = 1': True,
    "i between 7 and 8": True, "i not between 7 and 8": False, "i in (1, 7)": True, "i not in (1, 7)": False, "i in (j, 7)": True,
    "i / 2 = 3.5": True, "i // 2 = 3": True, "j // 3 = 0": True, "j % 3 = -2": True, "i / 0 > 1": "null", "i % 0 = 1": "null",
    "s like 'A%'": True, "s like '_b _'": True, "s not like '%b%'": False, "s like '%É'": False, "lower(s) = 'ab é'": True,
    "upper(s) = 'AB é'": True, "length(s) = 4": True, "s || '!' = 'Ab é!'": True, "starts_with(s, 'Ab')": True, "suffix(s, 'é')": True,
    "contains(s, ' ')": True, "regexp_matches(s, '^A')": True, "regexp_full_match(s, 'A')": False, "trim(' x ') = 'x'": True,
    "b": True, "not b": False, "b is true": True, "b is not true": False, "day is null": True, "day is not null": False,
    "coalesce(day, date '2013-01-01') = date '2013-01-01'": True, "nullif(i, 7) is null": True, "len(l) = 2": True,
    "case when i > 5 then 'big' else 'small' end = 'big'": True, "case i when 7 then true end": True, "if(b, 1, 2) = 1": True,
    "greatest(i, j, 9) = 9": True, "least(i, null) = 7": True, "day is distinct from null": False, "i is not distinct from 7": True,
    "abs(j) = 2": True, "-j = 2": True, "isnan(f)": False, "f * 2 = 5": True, "cast(i as double) / 2 = 3.5": True, "i = 7.0": True,
    "i < 7.5": True, "interval '90 minutes' > interval '1 hour'": True, "true": True, "i != 7": False, "i <> 7": False, "i == 7": True,
    "day > '2013-01-01'": "null", "(i > 5) = b": True, "i > 5 -- why not": True, "i > /* five */ 5": True,
}  # fmt: skip


def tree(sql):
    return parse_condition(sql, KINDS)


@pytest.fixture(scope="module")
def connection():
    opened = asking.connect()
    yield opened
    opened.close()


@pytest.mark.parametrize("sql", [sql for sql in MEANS if "missing" not in sql])
def test_conditions_mean_what_they_say(connection, sql):
    spec = ContractSpec.from_dict(
        {
            "name": "T",
            "columns": [{"name": name, "type": kind} for name, kind in COLUMNS.items()],
            "checks": [{"check": "expression", "sql": sql, "severity": "quarantine"}],
        }
    )
    good, _, _ = asking.split(connection, spec, asking.table_of(spec, [ROW]))
    assert bool(good) is (MEANS[sql] is not False)


REFUSED = {
    "random() > 0.5": "not part of contracts",
    "now() > at": "not part of contracts",
    "current_date > day": "not part of contracts",
    "sum(i) > 1": "not part of contracts",
    "row_number() over () = 1": "not part of contracts",
    "i in (select 1)": "not part of contracts",
    "exists (select 1)": "not part of contracts",
    "(select true)": "not part of contracts",
    "t.i > 1": "'t' is no column of the contract",
    "sqrt(f) > 1": "not part of contracts",
    "round(f, 1) > 1": "not part of contracts",
    "s ilike 'a%'": "not part of contracts",
    "s similar to 'a'": "not part of contracts",
    "s glob 'a*'": "not part of contracts",
    "s like 'a!%' escape '!'": "not part of contracts",
    "s ~ 'a'": "'~' is read in different ways",
    "s like s": "needs a text as its pattern",
    "regexp_matches(s, s)": "needs a text as its pattern",
    "regexp_matches(s, 'a', 'i')": "not part of contracts",
    "regexp_matches(s, '(?=a)')": "look-ahead",
    "cast(s as integer) > 1": "not part of contracts",
    "try_cast(s as double) > 1": "not part of contracts",
    "cast(d as decimal(5, 1)) > 1": "may lose digits",
    "i >": "no SQL condition",
    "i > 1; drop table x": "not one condition",
    "i > 1, j > 1": "not one condition",
    "i > 1 from t": "not one condition",
    "i > 1 order by 1": "not one condition",
    "i as x": "not part of contracts",
    "*": "not part of contracts",
    "i": "not a condition",
    "null": "always NULL",
    "ii > 1": "no column of the contract",
    "i > 'x'": "cannot be compared",
    "s > 1": "cannot be compared",
    "b > 1": "cannot be compared",
    "at > local": "cannot be compared",
    "at > 'yesterday'": "is no instant",
    "day > '2013-02-30'": "is no date",
    "l = l": "cannot be compared",
    "raw = raw": "cannot be compared",
    "not i": "not a boolean",
    "i and b": "not a boolean",
    "s + 1 > 1": "no numbers",
    "at + 1 > at": "means nothing",
    "at + interval 1 month > at": "no length of time",
    "i * i * i > 1": "may need 192 bits",
    "wide * wide > 1": "may need 76 digits",
    "wide > f": "without guessing",
    "f % 2 = 1": "only whole numbers",
    "hour(day) = 1": "has no hour",
    "length(i) = 1": "has no length",
    "i > ?": "not part of contracts",
    "i > $x": "not part of contracts",
    "i > 123456789012345678901234567890123456789012": "too large",
    "case when b then 1 else 'x' end = 1": "cannot be",
    "f > 1e400": "too large",
    "f > 1e5.0": "no number",
    "f > 1e": "no number",
    "i > 0x1F": "not part of contracts",
}  # fmt: skip


@pytest.mark.parametrize(("sql", "why"), REFUSED.items())
def test_what_engines_could_take_differently_is_refused_with_the_reason(sql, why):
    with pytest.raises(Invalid) as caught:
        tree(sql)
    assert caught.value.code in {"contract-expression", "contract-pattern"}
    assert why in caught.value.message
    assert sql.split(" -- ")[0][:20] in caught.value.message


def test_a_misspelt_column_is_suggested():
    with pytest.raises(Invalid) as caught:
        tree("locl is null")
    assert caught.value.hint == "Did you mean 'local'?"


def test_conditions_are_refused_before_anything_is_computed():
    class Wrong(hg.Contract, rules=hg.expression("sqrt(a) > 1")):
        a: float

    with pytest.raises(Invalid, match=r"Wrong: 'sqrt\(a\) > 1': .* is not part of contracts"):
        validate_expressions(contract_spec(Wrong))


def test_the_same_text_is_refused_with_the_same_words_each_time():
    messages = []
    for _ in range(3):
        with pytest.raises(Invalid) as caught:
            tree("sqrt(f) > 1")
        messages.append(str(caught.value))
    assert len(set(messages)) == 1


def test_values_in_conditions_cannot_leave_their_quotes(connection):
    class Quoted(
        hg.Contract, rules=hg.expression("s <> '''; drop table x; --'", severity="quarantine")
    ):
        s: str

    table = pa.table({"s": ["'; drop table x; --", "y"]})
    _, bad, _ = asking.split(connection, contract_spec(Quoted), table)
    assert [row["s"] for row, _ in bad] == ["'; drop table x; --"]
    assert "drop table" in ingest_mask(contract_spec(Quoted), ["s"]).query.expression
