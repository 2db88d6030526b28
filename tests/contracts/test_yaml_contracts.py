"""YAML and class make one contract; what is wrong in a file is refused with its line."""

import datetime as dt
import decimal
from typing import Annotated

import pytest

import headgate as hg
from headgate.contracts import contract_spec
from headgate.contracts.yaml_contracts import read_contract
from headgate.errors import Invalid

TEXT = """\
contract: Order
description: What an order must be.
undeclared: drop
columns:
  order_id: long
  customer:
    type: int
    column: Customer No.
    description: Who ordered.
    references: {targets: customers.customer_id, severity: quarantine}
  country: {type: string, one_of: [NO, SE, 010]}
  placed_on: {type: date, not_null: quarantine, between: [2020-01-01, null]}
  placed_at: {type: timestamptz, between: {low: 2020-01-01T00:00:00Z}}
  amount:
    type: double
    between: {low: 0, high: 850, severity: quarantine}
    unique: true
  code:
    type: string | null
    length: [1, 40]
    pattern:
      - {regex: "^a", name: begins}
      - {regex: "b$"}
    expression: {sql: code <> 'x', severity: warn}
  discount: {type: "decimal(4, 2) | null", between: {high: 0.5, severity: warn}}
rules:
  - unique: {columns: order_id, keep: last, order_by: [placed_on]}
  - references: {targets: [stops.line, stops.number], columns: [order_id, customer]}
  - rows: {at_least: 10}
  - completeness: {column: amount, at_least: 0.99}
  - rows: {change: [-0.5, 1.0], over: 5, severity: warn}
  - completeness: {column: code, change: [-0.02, null]}
  - freshness: {column: placed_at, max_age: 90m}
  - expression: {sql: discount is null or amount > 50, severity: warn, name: small discounts}
"""


class Order(
    hg.Contract,
    undeclared="drop",
    rules=(
        hg.unique("order_id", keep="last", order_by="placed_on"),
        hg.references("stops.line", "stops.number", columns=("order_id", "customer")),
        hg.rows(at_least=10),
        hg.completeness("amount", 0.99),
        hg.rows(change=(-0.5, 1.0), over=5, severity="warn"),
        hg.completeness("code", change=(-0.02, None)),
        hg.freshness("placed_at", dt.timedelta(minutes=90)),
        hg.expression("discount is null or amount > 50", severity="warn", name="small discounts"),
    ),
):
    """What an order must be."""

    order_id: int
    customer: Annotated[
        hg.Int32,
        hg.column("Customer No."),
        hg.references("customers.customer_id", severity="quarantine"),
    ]
    country: Annotated[str, hg.one_of("NO", "SE", "010")]
    placed_on: Annotated[
        hg.Date, hg.not_null(severity="quarantine"), hg.between(dt.date(2020, 1, 1), None)
    ]
    placed_at: Annotated[hg.UtcTimestamp, hg.between(dt.datetime(2020, 1, 1, tzinfo=dt.UTC), None)]
    amount: Annotated[float, hg.between(0, 850, severity="quarantine"), hg.unique()]
    code: Annotated[
        str | None,
        hg.length(1, 40),
        hg.pattern("^a", name="begins"),
        hg.pattern("b$"),
        hg.expression("code <> 'x'", severity="warn"),
    ]
    discount: Annotated[
        decimal.Decimal | None, hg.Decimal(4, 2), hg.between(None, 0.5, severity="warn")
    ]


def read(text, **options):
    return read_contract(text, **{"name": "orders", "file": "contracts/orders.yaml", **options})


def test_yaml_and_class_are_one_contract():
    written, made = read(TEXT.replace("010", "'010'")), contract_spec(Order)
    assert set(written.by_name) == set(made.by_name)
    assert written.to_dict()["columns"][0] == made.to_dict()["columns"][0]
    assert written.digest == made.digest
    assert written.description == made.description
    assert written.columns[1].description == "Who ordered."


def test_the_severity_of_the_file_is_that_of_rules_without_their_own():
    spec = read(
        "severity: quarantine\ncolumns: {a: {type: long, between: [1, 2]}}\n"
        "rules: [rows: {at_least: 1}]"
    )

    class Same(hg.Contract, severity="quarantine", rules=hg.rows(at_least=1)):
        a: Annotated[int, hg.between(1, 2)]

    assert spec.digest == contract_spec(Same).digest
    assert spec.name == "orders"


def test_scalars_are_what_they_look_like():
    spec = read("columns: {a: {type: string, one_of: [NO, yes, on, 1:30, '1', 0o17x, 2020-01-01]}}")
    assert spec.checks[1].values == ("NO", "yes", "on", "1:30", "1", "0o17x", "2020-01-01")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "the file is empty"),
        ("- a", 1, "a contract is a mapping of contract, description"),
        ("columns:\n  a: long\n  b: [\n", 4, "this is no YAML"),
        ("columns:\n  a: long\n  a: int\n", 3, "'a' is here twice; line 2"),
        ("columns:\n  a: &x long\n  b: *x\n", 2, "anchors and aliases"),
        ("columns:\n  a: !!python/name:os.system long\n", 2, "the tag"),
        ("columns:\n  <<: {a: long}\n", 2, "the column << has no key"),
        ("columms:\n  a: long\n", 1, "Did you mean columns?"),
        ("columns:\n  a:\n    type: long\n    betwen: [1, 2]\n", 4, "Did you mean between?"),
        ("columns:\n  a:\n    between: [1, 2]\n", 3, "has no type:"),
        ("columns:\n  a: lonk\n", 2, "'lonk' is no column type"),
        ("columns:\n  a: 5\n", 2, "the column a is a mapping"),
        ("columns:\n  a: {type: long}\nrules:\n  - uniqe: a\n", 4, "Did you mean unique?"),
        (
            "columns:\n  a: {type: long}\nrules:\n  - unique: a\n    severity: warn\n",
            5,
            "no key 'severity'",
        ),
        ("columns:\n  a: {type: long}\nrules:\n  - unique: b\n", 4, "reads 'b'"),
        (
            "columns:\n  a: {type: long}\nrules:\n  - rows: {at_leas: 1}\n",
            4,
            "Did you mean at_least?",
        ),
        ("columns:\n  a: {type: long}\nrules:\n  - completeness: {column: a}\n", 4, "at_least"),
        (
            "columns:\n  a: {type: long}\nrules:\n  - rows: 5\n",
            4,
            "takes a mapping of at_least, at_most",
        ),
        ("columns:\n  a:\n    type: long\n    between: [1, 2, 3]\n", 4, "takes [low, high]"),
        ("columns:\n  a:\n    type: string\n    pattern: 5\n", 4, "Put quotes around it"),
        ("columns:\n  a:\n    type: string\n    pattern: '(?=a)'\n", 3, "look-ahead"),
        ("columns:\n  a:\n    type: long\n    between: [x, 5]\n", 3, "cannot be compared"),
        ("columns:\n  a:\n    type: long\n    between: [5, 1]\n", 4, "above the high end"),
        ("columns:\n  a:\n    type: long\n    severity: warn\n", 4, "no key 'severity'"),
        ("columns:\n  a:\n    type: long | null\n    not_null: warn\n", 3, "allows None"),
        ("columns:\n  a: long\nseverity: warm\n", 3, "'warm' is not one of"),
        ("columns:\n  a: long\nundeclared: no\n", 3, "is not one of keep, refuse, drop"),
        (
            "columns:\n  a: long\nrules:\n  - rows: {change: [1, 0]}\n",
            4,
            "nothing lies there",
        ),
        (
            "columns:\n  a: long\nrules:\n  - rows: {change: 5}\n",
            4,
            "it is (low, high)",
        ),
        (
            "columns:\n  a: long\nrules:\n  - rows: {change: [0, 1], over: x}\n",
            4,
            "it is a count",
        ),
        ("columns: {}\n", 1, "holds names"),
        ("a: " + "[" * 40 + "]" * 40, 1, "deeper than"),
        ("a: 1" + " " * 300_000, 1, "longer than"),
        ("columns:\n  a: long\n  A: long\n", 1, "one name to SQL"),
        ("columns:\n  a: \x01\n", 1, "this is no YAML"),
    ],
)
def test_what_is_wrong_has_a_line(text, line, words):
    with pytest.raises(Invalid) as caught:
        read(text)
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"contracts/orders.yaml:{line}: ")
    assert caught.value.facts["line"] == line
