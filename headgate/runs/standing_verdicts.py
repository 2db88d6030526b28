"""Which publication judged a table last: what a verdict by delta starts from.

A tree keeps, for each table with a contract, the number of the publication whose record holds the
verdict. It is written with the publication and read at its head; it is no read and no write of the
run, for it says only where to look, and what is found there must match to the letter.
"""

from collections.abc import Mapping, Sequence

from headgate.contracts import ChangeCheck, ContractSpec, RowsChange, verdict_key
from headgate.lake import Commit, Entry, Lake, table_key
from headgate.verdicts import Verdict

_MOST_VERDICTS = 1_000
"""How far back is looked for publications that changed the table."""


def standing_key(table: str) -> str:
    """Give the tree key under which a table's last verdict is found."""
    return f"verdict/{table}"


def standing_entries(
    verdicts: Sequence[Verdict], number: int, removed: Sequence[str] = ()
) -> Mapping[str, Entry | None]:
    """Give the entries a publication of that number sets for what it judged.

    ``removed`` names tables that have no contract any more.
    """
    found: dict[str, Entry | None] = {standing_key(table): None for table in removed}
    for verdict in verdicts:
        found[standing_key(verdict.table)] = Entry(
            kind="contract", content=verdict_key(verdict), data=str(number)
        )
    return found


def standing_verdict(
    lake: Lake, head: Commit, table: str, contents: Mapping[str, str]
) -> Verdict | None:
    """Give the verdict on a table as it is at a head, where one was recorded for these contents."""
    found = _recorded(lake, head, table)
    if found is None or dict(found[0].contents) != dict(contents):
        return None
    return found[0]


def measured_before(
    lake: Lake, head: Commit | None, table: str, spec: ContractSpec
) -> Mapping[str, Sequence[float]]:
    """Give what the contract's comparing checks had measured, newest first, by their names.

    Of publications that left the table as it was only one counts. Row counts are known of every
    verdict, whatever its contract.
    """
    wanted = [check for check in spec.checks if isinstance(check, ChangeCheck)]
    found: dict[str, list[float]] = {check.name: [] for check in wanted}
    seen: str | None = None
    at = head
    for _ in range(_MOST_VERDICTS):
        if at is None or all(len(found[c.name]) >= c.over for c in wanted):
            break
        recorded = _recorded(lake, at, table)
        if recorded is None:
            break
        verdict, commit = recorded
        content = verdict.contents.get(table_key(table))
        if content != seen:
            seen = content
            for check in wanted:
                value = _measured(verdict, check)
                if value is not None:
                    found[check.name].append(value)
        at = lake.commit(commit.parent) if commit.parent is not None else None
    return found


def _measured(verdict: Verdict, check: ChangeCheck) -> float | None:
    if isinstance(check, RowsChange):
        return verdict.rows
    for result in verdict.results:
        if result.check == check.name and isinstance(result.measured, int | float):
            return result.measured
    return None


def _recorded(lake: Lake, head: Commit, table: str) -> tuple[Verdict, Commit] | None:
    """Give the last verdict on a table in a head's past, and the publication that recorded it."""
    entry = lake.tree(head).get(standing_key(table))
    if entry is None or not (entry.data or "").isdecimal():
        return None
    back = head.number - int(entry.data or 0)
    if back < 0:
        return None
    commit = lake.resolve(f"{head.id}~{back}") if back else head
    for verdict in commit.record.verdicts:
        if verdict.table == table and verdict_key(verdict) == entry.content:
            return verdict, commit
    return None
