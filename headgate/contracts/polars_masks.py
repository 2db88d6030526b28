"""The mask of a contract's row checks as one Polars expression, for frames in memory."""

from collections.abc import Sequence

import polars as pl

from headgate.contracts import checks
from headgate.contracts.polars_expressions import expression
from headgate.contracts.row_checks import violation
from headgate.contracts.specs import ContractSpec
from headgate.masks import MASK_BITS


def polars_mask(spec: ContractSpec, only: Sequence[str] | None = None) -> pl.Expr:
    """Give the integer whose bit i is set where row check i is violated; the same as the SQL's.

    ``only`` names the checks, one per bit; default: the contract's row checks in order, 63 of them
    at most. The frame's columns are typed as ``arrow_schema`` says.
    """
    names = row_check_names(spec)[:MASK_BITS] if only is None else only
    # An expression without a column has one row; this gives the mask as many as the frame.
    none = pl.col(spec.columns[0].name).is_null() & pl.lit(False)  # noqa: FBT003
    bits = [none.cast(pl.Int64)]
    for bit, name in enumerate(names):
        violated = expression(violation(_row_check(spec, name), spec.kinds))
        bits.append(violated.fill_null(False).cast(pl.Int64) * (1 << bit))  # noqa: FBT003
    return pl.sum_horizontal(bits).alias("_mask")


def row_check_names(spec: ContractSpec) -> tuple[str, ...]:
    """Give the names of the checks that a row alone decides."""
    return tuple(check.name for check in spec.checks if isinstance(check, checks.RowCheck))


def _row_check(spec: ContractSpec, name: str) -> checks.RowCheck:
    check = spec.by_name[name]
    if not isinstance(check, checks.RowCheck):
        raise TypeError(name)
    return check
