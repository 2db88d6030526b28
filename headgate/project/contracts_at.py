"""Contracts as they hold at a ref: those that were published there, not those in the files."""

from collections.abc import Mapping

from headgate.contracts import ContractSpec
from headgate.errors import NotFound
from headgate.lake import contract_key
from headgate.project.views import View


def contract_at(view: View, table: str) -> ContractSpec:
    """Give a table's contract.

    Raises:
        NotFound: ``no-contract``, ``unknown-table``.
    """
    entry = view.tree.get(contract_key(table))
    if entry is None or entry.data is None:
        view.table(table)
        raise NotFound(
            "no-contract",
            f"{table} has no contract at {view.ref}.",
            hint="headgate contract list  shows which tables have one.",
            table=table,
        )
    return ContractSpec.from_json(entry.data)


def contracts_at(view: View) -> Mapping[str, ContractSpec]:
    """Give every contract, by table."""
    return {
        key.removeprefix(contract_key("")): ContractSpec.from_json(entry.data)
        for key, entry in view.tree.items(contract_key(""))
        if entry.data is not None
    }
