"""Quarantined rows that a source's later operations have overtaken: they leave the quarantine.

What was set aside is a state that its row had once. When the row is changed again, or goes, that
state is nobody's any more: played again, it would bring back what the source has deleted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import msgspec
import pyarrow as pa

from headgate.engines import Session, Sql
from headgate.lake import Entry, Read, Tree, table_key
from headgate.names import literal, quote
from headgate.runs.outputs import Output, Target
from headgate.runs.quarantine import ID, SCHEMA, TEXT_FORM, quarantine_table
from headgate.runs.setting_aside import Rejects, exchange
from headgate.runs.wiring import Wiring

_HELD: Final = "_hg_held"
_TOUCHED: Final = "_hg_touched"


def without_overtaken(
    wiring: Wiring,
    session: Session,
    tree: Tree,
    target: Target,
    output: Output,
    *,
    touched: pa.Table | None,
    names: Mapping[str, str],
) -> Output:
    """Give an output that also takes the rows out of quarantine whose keys were touched.

    ``touched`` has the keys under the source's names (``names`` leads from the table's to them);
    None stands for all there are. Rows that this output itself sets aside stay.
    """
    key = table_key(quarantine_table(target.table))
    entry = tree.get(key)
    if entry is None or entry.table is None or not entry.table.rows:
        return output
    session.bind({_HELD: wiring.lake.tables.scan(entry)})
    text = f"select {ID} from {_HELD} where {ID} is not null"
    if touched is not None:
        session.bind({_TOUCHED: touched})
        text += f" and exists ({_same_key(target.key, names)})"
    gone = session.reader(Sql(text=text)).read_all().column(0)
    if not len(gone):
        return output
    return _exchanged(wiring, session, target, output, key, entry, gone)


def _same_key(keys: Sequence[str], names: Mapping[str, str]) -> str:
    record = (
        f"case when form = {literal(TEXT_FORM)} then json_extract_string(payload, '/raw') "
        "else payload end"
    )
    valid = f"case when json_valid({record}) then {record} end"
    same = []
    for key in keys:
        given = names.get(key, key)
        found = (f"json_extract_string({valid}, {literal(_pointer(n))})" for n in (given, key))
        same.append(f"t.{quote(given)}::varchar = coalesce({', '.join(found)})")
    return f"select 1 from {_TOUCHED} t where {' and '.join(same)}"


def _pointer(name: str) -> str:
    """Give a field's JSON pointer (RFC 6901)."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _exchanged(
    wiring: Wiring,
    session: Session,
    target: Target,
    output: Output,
    key: str,
    entry: Entry,
    gone: pa.ChunkedArray,
) -> Output:
    rejects = Rejects(
        table=target.table,
        mode=target.mode,
        contract=target.spec.digest if target.spec else "",
        run=target.run,
        step=target.step,
        attempt=target.attempt,
        prefix=f"{target.prefix}-overtaken",
        owner=entry.table.owner if entry.table else None,
    )
    done = exchange(
        wiring,
        session,
        output.changes.get(key) or entry,
        rejects,
        gone=gone.combine_chunks(),
        changed=SCHEMA.empty_table(),
    )
    mine = next((write for write in output.writes if write.key == key), None)
    write = done.write
    if mine is not None:
        write = msgspec.structs.replace(
            mine,
            operations=(*mine.operations, *write.operations),
            content=write.content,
        )
    rows = f"{len(gone):,} quarantined row{'s' if len(gone) > 1 else ''} of {target.table}"
    verb = "were" if len(gone) > 1 else "was"
    return replace(
        output,
        changes={**output.changes, key: done.entry},
        writes=(*(each for each in output.writes if each.key != key), write),
        reads=(*output.reads, Read(key=key, content=entry.content)),
        notes=(*output.notes, f"{rows} {verb} overtaken by later changes."),
    )
