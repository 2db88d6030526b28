"""Which tables a contract looks into to decide what becomes of a row: such a look is a read."""

from headgate.contracts import ContractSpec
from headgate.pipelines import Mode


def looked_up(spec: ContractSpec | None, table: str | None, mode: Mode) -> tuple[str, ...]:
    """Give the tables that decide which rows are accepted: they count as read."""
    if spec is None or table is None:
        return ()
    own = (table,) if mode == "append" and spec.splits_by_keys else ()
    return (*spec.splits_by_parents, *own)
