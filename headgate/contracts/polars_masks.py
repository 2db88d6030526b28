"""The mask of a contract's row checks as Polars expressions, for frames that are in memory already."""

from collections.abc import Sequence

import polars as pl

from headgate.contracts import checks
from headgate.contracts.polars_expressions import expression
from headgate.contracts.row_checks import violation
from headgate.contracts.specs import ContractSpec
from headgate.masks import MASK_BITS


def polars_mask(spec: ContractSpec, only: Sequence[str] | None = None) -> pl.Expr:
    """Give the integer whose bit i is set where row check i is violated; the same as the SQL's.

    ``only`` names the checks, one per bit; default: the contract's row checks in order, 63 of them at most.
    The frame's columns are typed as ``arrow_schema`` says.
    """
    names = row_check_names(spec)[:MASK_BITS] if only is None else only
    bits = [
        pl.when(expression(violation(check, spec.kinds)))
        .then(pl.lit(1 << bit, dtype=pl.Int64))
        .otherwise(pl.lit(0, dtype=pl.Int64))
        for bit, check in enumerate(_row_check(spec, name) for name in names)
    ]
    return (
        pl.sum_horizontal(bits).alias("_mask") if bits else pl.lit(0, dtype=pl.Int64).alias("_mask")
    )


def row_check_names(spec: ContractSpec) -> tuple[str, ...]:
    """Give the names of the checks that a row alone decides."""
    return tuple(check.name for check in spec.checks if isinstance(check, checks.RowCheck))


def _row_check(spec: ContractSpec, name: str) -> checks.RowCheck:
    check = spec.by_name[name]
    if not isinstance(check, checks.RowCheck):
        raise TypeError(name)
    return check
