# ruff: noqa: E501, C408, ICN001 - cases as tables
"""Contracts as classes: what annotations mean, and which mistakes are told when the class is made."""

import datetime
import decimal
import enum
import subprocess
import sys
from typing import Annotated, ClassVar, Literal, TypedDict

import pyarrow as pa
import pytest

import headgate as hg
from headgate.contracts import ContractSpec, arrow_schema, contract_spec, ingest_mask
from headgate.errors import Corrupt, Invalid


class Place(TypedDict):
    lat: float
    lon: float


class Colour(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


class Everything(hg.Contract, undeclared="refuse"):
    """One column of every type."""

    kind: ClassVar[str] = "not a column"
    i: int
    i32: hg.Int32
    f: float | None
    f32: hg.Float32 | None
    s: str
    b: bool
    raw: bytes
    day: hg.Date
    plain_day: datetime.date
    clock: datetime.time
    at: hg.UtcTimestamp
    local: hg.LocalTimestamp
    price: Annotated[decimal.Decimal, hg.Decimal(9, 2)]
    short_price: hg.Decimal(9, 2)
    tags: list[str]
    place: Place | None
    places: list[Place]
    letter: Literal["a", "b"]
    colour: Colour


def test_annotations_become_columns_and_arrow_types():
    place = pa.struct([("lat", pa.float64()), ("lon", pa.float64())])
    assert arrow_schema(contract_spec(Everything)) == pa.schema(
        {
            "i": pa.int64(),
            "i32": pa.int32(),
            "f": pa.float64(),
            "f32": pa.float32(),
            "s": pa.string(),
            "b": pa.bool_(),
            "raw": pa.binary(),
            "day": pa.date32(),
            "plain_day": pa.date32(),
            "clock": pa.time64("us"),
            "at": pa.timestamp("us", "UTC"),
            "local": pa.timestamp("us"),
            "price": pa.decimal128(9, 2),
            "short_price": pa.decimal128(9, 2),
            "tags": pa.list_(pa.string()),
            "place": place,
            "places": pa.list_(place),
            "letter": pa.string(),
            "colour": pa.string(),
        }
    )


def test_none_in_an_annotation_allows_null_and_nothing_else_does():
    assert contract_spec(Everything).nullable == {"f", "f32", "place"}


def test_literals_and_enums_are_accepted_values():
    checks = contract_spec(Everything).by_name
    assert checks["letter one of a, b"].values == ("a", "b")
    assert checks["colour one of red, blue"].values == ("red", "blue")


def test_a_contract_survives_storage_with_its_identity():
    spec = contract_spec(Everything)
    again = ContractSpec.from_json(spec.to_json())
    assert again == spec
    assert again.digest == spec.digest
    assert ContractSpec.from_dict(spec.to_dict()) == spec


def test_names_and_descriptions_are_no_part_of_the_identity_but_rules_are():
    class Another(hg.Contract):
        "Documented."

        a: Annotated[int, hg.between(0, 5)]

    class Same(hg.Contract):
        a: Annotated[int, hg.between(0, 5)]

    class Stricter(hg.Contract):
        a: Annotated[int, hg.between(0, 4)]

    digests = [contract_spec(c).digest for c in (Another, Same, Stricter)]
    assert digests[0] == digests[1] != digests[2]


def test_severity_is_the_rules_own_or_the_contracts():
    class Mixed(
        hg.Contract,
        rules=(hg.unique("a"), hg.rows(at_least=1), hg.unique("b", keep="last", order_by="a")),
        severity="quarantine",
    ):
        a: Annotated[int, hg.between(0, 5, severity="warn")]
        b: Annotated[int, hg.not_null(severity="fail")]

    assert {name: check.severity for name, check in contract_spec(Mixed).by_name.items()} == {
        "a is not null": "quarantine",
        "a between 0 and 5": "warn",
        "b is not null": "fail",
        "a unique": "quarantine",
        "at least 1 rows": "fail",
        "b unique": "quarantine",
    }


def test_a_contract_may_extend_another_and_change_a_field():
    class Base(hg.Contract, rules=hg.unique("a"), undeclared="drop"):
        a: Annotated[int, hg.between(0, 5)]
        b: str

    class Wider(Base, rules=hg.rows(at_least=1)):
        a: Annotated[int, hg.between(0, 9)]
        c: float | None

    spec = contract_spec(Wider)
    assert list(spec.kinds) == ["a", "b", "c"]
    assert spec.undeclared == "drop"
    assert set(spec.by_name) == {
        "a is not null", "a between 0 and 9", "b is not null", "a unique", "at least 1 rows",
    }  # fmt: skip


def test_texts_of_instants_decimals_and_days_are_stored_and_compared():
    class Bounds(hg.Contract):
        at: Annotated[
            hg.UtcTimestamp,
            hg.between("2013-01-01", datetime.datetime(2014, 1, 1, tzinfo=datetime.UTC)),
        ]
        day: Annotated[hg.Date, hg.between(datetime.date(2013, 1, 1), None)]
        price: Annotated[decimal.Decimal, hg.Decimal(9, 2), hg.one_of(decimal.Decimal("1.50"), "2")]

    text = ingest_mask(contract_spec(Bounds), ["at", "day", "price"]).query.expression
    assert "TIMESTAMPTZ '2013-01-01 00:00:00+00:00'" in text
    assert "DATE '2013-01-01'" in text
    assert "CAST('1.50' AS DECIMAL(9, 2))" in text
    assert "CAST('2.00' AS DECIMAL(9, 2))" in text


def wrong(**annotations):
    """Define a contract of these fields; ``_rules`` and ``_options`` go to the class."""
    options = annotations.pop("_options", {})
    rules = annotations.pop("_rules", ())
    return type("Wrong", (hg.Contract,), {"__annotations__": annotations}, rules=rules, **options)


MISTAKES = {
    "a list of nothing": (dict(a=list), "contract-annotation", "Wrong.a", "list[str]"),
    "a bare datetime": (dict(a=datetime.datetime), "contract-annotation", "Wrong.a", "UtcTimestamp"),
    "a bare decimal": (dict(a=decimal.Decimal), "contract-annotation", "Wrong.a", "hg.Decimal(9, 2)"),
    "two types": (dict(a=int | str), "contract-annotation", "Wrong.a", "int"),
    "no type at all": (dict(a=object), "contract-annotation", "Wrong.a", "object"),
    "a rule without brackets": (dict(a=Annotated[int, hg.between]), "contract-rule", "Wrong.a", "brackets"),
    "a pattern for numbers": (dict(a=Annotated[int, hg.pattern("x")]), "contract-rule", "'a matches x'", "for text"),
    "a length of a number": (dict(a=Annotated[int, hg.length(1)]), "contract-rule", "a has", "no length"),
    "text for a number": (dict(a=Annotated[int, hg.between("x", None)]), "contract-rule", "'x'", "compared"),
    "a number for text": (dict(a=Annotated[str, hg.one_of(1)]), "contract-rule", "1 cannot", "string"),
    "a zone for local time": (
        dict(a=Annotated[hg.LocalTimestamp, hg.between("2013-01-01T00:00:00Z", None)]),
        "contract-rule", "a at least", "compared",
    ),
    "ordered booleans": (dict(a=Annotated[bool, hg.between(True, None)]), "contract-rule", "a at least", "order"),
    "ends that cross": (
        dict(a=Annotated[hg.Date, hg.between("2013-02-01", "2013-01-01")]), "contract-rule", "a between", "above",
    ),
    "look-around": (dict(a=Annotated[str, hg.pattern("(?=x)")]), "contract-pattern", "a matches", "look-ahead"),
    "a field's rule on the class": (dict(a=int, _rules=hg.between(1, 2)), "contract-rule", "Wrong.rules", "field"),
    "the table's rule on a field": (dict(a=Annotated[int, hg.rows(1)]), "contract-rule", "Wrong.a", "rules="),
    "an unknown column": (dict(abc=int, _rules=hg.unique("abd")), "contract-unknown-column", "'abd'", "abc"),
    "no column named": (dict(a=int, _rules=hg.unique()), "contract-rule", "Wrong.rules", "names no column"),
    "one column twice": (dict(a=int, _rules=hg.unique("a", "a")), "contract-rule", "a, a", "twice"),
    "the same check twice": (
        dict(a=Annotated[int, hg.between(1, 2), hg.between(1, 2)]), "contract-duplicate-check", "a between", "name=",
    ),
    "two names that SQL takes for one": (dict(a=int, A=int), "contract-column", "a and A", "SQL"),
    "a quarantined table": (
        dict(a=int, _rules=hg.rows(1, severity="quarantine")), "contract-rule", "at least 1 rows", "quarantined",
    ),
    "freshness of a number": (dict(a=int, _rules=hg.freshness("a", "1h")), "contract-rule", "a no older", "instant"),
    "no column": (dict(), "contract-empty", "Wrong", "no column"),
    "an unknown policy": (dict(a=int, _options={"undeclared": "x"}), "contract-rule", "Wrong", "'keep'"),
    "an unknown severity": (dict(a=int, _options={"severity": "x"}), "contract-rule", "Wrong", "'warn'"),
    "a reference of three to two": (
        dict(a=int, _rules=hg.references("p.x", "p.y", columns=("a",))), "contract-rule", "a in p.x, y", "refer",
    ),
    "not_null beside None": (
        dict(a=Annotated[int | None, hg.not_null(severity="warn")]), "contract-rule", "Wrong.a", "allows None",
    ),
    "rules that are no rules": (dict(a=int, _rules=("unique",)), "contract-rule", "Wrong.rules", "no rule"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_told_with_class_field_and_rule(mistake):
    fields, code, where, why = MISTAKES[mistake]
    with pytest.raises(Invalid) as caught:
        wrong(**dict(fields))
    assert caught.value.code == code
    assert "Wrong" in caught.value.message
    assert where in caught.value.message
    assert why in str(caught.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: hg.between(None, None),
        lambda: hg.between(2, 1),
        lambda: hg.between(0.0, float("nan")),
        lambda: hg.between(0.0, float("inf")),
        hg.one_of,
        hg.length,
        lambda: hg.length(3, 2),
        lambda: hg.rows(-1),
        lambda: hg.rows(1.5),
        lambda: hg.references("airlines"),
        lambda: hg.references("a.x", "b.y", columns=("x", "y")),
        lambda: hg.unique("a", keep="last"),
        lambda: hg.unique("a", order_by="b"),
        lambda: hg.unique("a", keep="newest", order_by="b"),
        lambda: hg.unique("a", keep="last", order_by="b", severity="warn"),
        lambda: hg.expression("  "),
        lambda: hg.freshness("a", "soon"),
        lambda: hg.freshness("a", datetime.timedelta(0)),
        lambda: hg.completeness("a", 1.5),
        lambda: hg.column(""),
        lambda: hg.between(1, 2, severity="loud"),
        lambda: hg.not_null(severity="loud"),
    ],
)
def test_a_rule_that_contradicts_itself_is_refused_where_it_is_written(make):
    with pytest.raises(Invalid) as caught:
        make()
    assert caught.value.code == "contract-rule"


def test_names_that_only_a_type_checker_sees_are_explained():
    module = (
        "from __future__ import annotations\n"
        "import headgate as hg\n"
        "class Late(hg.Contract):\n    a: Decimal\n"
    )
    with pytest.raises(Invalid, match="'Decimal', which the module does not know"):
        exec(module, {"__name__": "late"})


def test_annotations_as_texts_are_read():
    scope = {"__name__": __name__}
    exec("from __future__ import annotations\nimport headgate as hg\n"
         "class Late(hg.Contract):\n    a: int | None\n", scope)  # fmt: skip
    assert contract_spec(scope["Late"]).nullable == {"a"}


def test_a_contract_holds_no_row():
    with pytest.raises(TypeError, match="describes rows"):
        Everything()


def test_what_is_no_contract_is_refused_as_one():
    with pytest.raises(Invalid) as caught:
        contract_spec(int)
    assert caught.value.code == "contract-expected"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"undeclared": "never"}, "contract-document"),
        ({"columns": [{"name": "a", "type": "integer"}]}, "contract-type"),
        ({"checks": [{"check": "betwixt", "column": "a"}]}, "contract-document"),
        ({"checks": [{"check": "between", "column": "a", "lower": 1}]}, "contract-document"),
        ({"checks": [{"check": "between", "column": "b", "low": 1}]}, "contract-unknown-column"),
        ({"checks": [{"check": "between", "column": "a"}]}, "contract-rule"),
        ({"colums": []}, "contract-document"),
    ],
)
def test_a_mapping_with_a_mistake_is_told_as_such(change, code):
    document = {"name": "T", "columns": [{"name": "a", "type": "long"}], **change}
    with pytest.raises(Invalid) as caught:
        ContractSpec.from_dict(document)
    assert caught.value.code == code


def test_a_stored_contract_of_a_newer_version_is_not_half_read():
    newer = (
        contract_spec(Everything).to_json().replace('"name":"Everything"', '"name":"E","novel":1')
    )
    with pytest.raises(Corrupt) as caught:
        ContractSpec.from_json(newer)
    assert caught.value.code == "contract-unreadable"


def test_declaring_and_storing_a_contract_loads_nothing_heavy():
    program = """
import sys
import headgate as hg
from typing import Annotated
from headgate.contracts import ContractSpec, contract_spec, still_valid
class Flight(hg.Contract, rules=(hg.unique("a"), hg.expression("a > 1"), hg.rows(at_least=1))):
    a: Annotated[int, hg.between(1, 2)]
    b: Annotated[str, hg.pattern(r"^\\\\d+$")]
spec = ContractSpec.from_json(contract_spec(Flight).to_json())
spec.digest, spec.references
print(*{"duckdb", "polars", "pyarrow", "sqlglot", "pandas", "numpy"} & set(sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not done.stdout.strip()
