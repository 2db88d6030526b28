"""Which publication judged a table last: what a verdict by delta starts from.

A tree keeps, for each table with a contract, the number of the publication whose record holds the
verdict. It is written with the publication and read at its head; it is no read and no write of the
run, for it says only where to look, and what is found there must match to the letter.
"""

from collections.abc import Mapping, Sequence

from headgate.contracts import verdict_key
from headgate.lake import Commit, Entry, Lake
from headgate.verdicts import Verdict


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
    entry = lake.tree(head).get(standing_key(table))
    if entry is None or not (entry.data or "").isdecimal():
        return None
    back = head.number - int(entry.data or 0)
    if back < 0:
        return None
    commit = lake.resolve(f"{head.id}~{back}") if back else head
    for verdict in commit.record.verdicts:
        if (
            verdict.table == table
            and verdict_key(verdict) == entry.content
            and dict(verdict.contents) == dict(contents)
        ):
            return verdict
    return None
