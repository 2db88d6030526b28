# ruff: noqa: E501 - cases as tables
"""The SQL of masks and questions, pinned: what changes here changes what engines are asked.

``python tests/contracts/test_golden_sql.py`` writes the files anew.
"""

import sys
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import pytest

import headgate as hg
from headgate.contracts import cast_plan, contract_spec, ingest_mask, questions

GOLDEN = Path(__file__).parents[1] / "golden" / "contracts"


class Flight(
    hg.Contract,
    rules=(
        hg.unique("carrier", "flight", "time_hour"),
        hg.unique("tailnum", keep="last", order_by="time_hour"),
        hg.expression(
            "arr_time is null or dep_delay is not null", name="no arrival without departure"
        ),
        hg.expression("arr_time - dep_delay * 2 <= 2400.5 and carrier like 'U_%'"),
        hg.rows(at_least=300_000),
        hg.freshness("time_hour", "7d"),
        hg.completeness("tailnum", 0.9, severity="warn"),
    ),
):
    carrier: Annotated[str, hg.references("airlines.carrier"), hg.pattern(r"^[A-Z\d]{2}$")]
    flight: int
    tailnum: Annotated[str | None, hg.references("planes.tailnum", severity="quarantine")]
    dep_delay: Annotated[int | None, hg.between(-60, 1500), hg.column("Dep Delay (raw)")]
    arr_time: hg.Int32 | None
    fare: Annotated[float | None, hg.between(0, None, severity="warn")]
    price: Annotated[hg.Decimal(9, 2) | None, hg.one_of("9.99", 10)]
    time_hour: hg.UtcTimestamp


RAW = pa.schema(
    [
        ("carrier", pa.string()), ("flight", pa.string()), ("tailnum", pa.string()), ("Dep Delay (raw)", pa.float64()),
        ("arr_time", pa.int32()), ("fare", pa.string()), ("price", pa.float64()), ("time_hour", pa.string()), ("extra", pa.int64()),
    ]
)  # fmt: skip
PARENTS = {"airlines": {"carrier": "string"}, "planes": {"tailnum": "string"}}


def texts():
    spec = contract_spec(Flight)
    plan = cast_plan(spec, RAW)
    whole = ingest_mask(spec, plan.columns, casts=plan, parents=PARENTS).query
    appended = ingest_mask(
        spec, plan.columns, parents=PARENTS, existing="flights", whole=False
    ).query
    schema = {name: str(kind) for name, kind in spec.kinds.items()}
    asked = questions(spec, "raw.flights", schema=schema, tables=PARENTS)
    return {
        "casts": plan.select('"raw"'),
        "mask": _of(whole),
        "mask_of_appended_rows": _of(appended),
        "questions": "\n\n".join(question.sql for question in asked),
    }


def _of(query):
    parts = [f"-- {name}\n{text}" for name, text in query.preparations.items()]
    expression = query.expression.replace(" | CASE", "\n| CASE")
    names = "\n".join(f"-- bit {bit}: {name}" for bit, name in enumerate(query.names))
    return "\n\n".join([*parts, f"{names}\n-- quarantine {query.quarantine_bits:b}\n{expression}"])


@pytest.mark.parametrize("name", ["casts", "mask", "mask_of_appended_rows", "questions"])
def test_the_sql_is_the_golden_one(name):
    assert texts()[name] + "\n" == (GOLDEN / f"{name}.sql").read_text()


if __name__ == "__main__":
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for name, text in texts().items():
        (GOLDEN / f"{name}.sql").write_text(text + "\n")
    sys.stdout.write(f"{GOLDEN}\n")
