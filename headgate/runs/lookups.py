"""Which tables a contract looks into to decide what becomes of a row: such a look is a read."""

from headgate.contracts import ContractSpec
from headgate.verdicts import Severity


def looked_up(spec: ContractSpec) -> tuple[str, ...]:
    """Give the tables that decide which rows are accepted: they are read, not only judged against."""
    return tuple(
        table
        for table in spec.references
        if any(
            check.severity is Severity.QUARANTINE and getattr(check, "table", None) == table
            for check in spec.checks
        )
    )
