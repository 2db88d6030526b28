"""Which quarantined rows are older than what their key has become since they were set aside.

A rejected row of Monday must not take the place of Thursday's accepted one, nor of Thursday's that
was rejected as well. A key was written again if its row now is not the one that was there when the
row was set aside: changed, new, or gone.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing

import pyarrow as pa

from headgate.contracts import ContractSpec
from headgate.engines import Sql
from headgate.lake import Entry, table_key
from headgate.names import quote
from headgate.runs.payloads import decoded, under_type
from headgate.runs.quarantine import ID, TEXT_FORM
from headgate.runs.wiring import Wiring

_KEYS, _NOW, _THEN = "_hg_keys", "_hg_now", "_hg_then"
_MINE = "_hg_id"


def superseded(
    wiring: Wiring,
    rows: pa.Table,
    now: Entry | None,
    *,
    table: str,
    key: Sequence[str],
    spec: ContractSpec | None,
) -> frozenset[str]:
    """Give the ids of quarantined rows whose keys were written again since.

    Where history does not reach back to that moment, a key that is there counts as written again.
    Costs a look at the table's keys now and then, for each run that set rows aside.
    """
    if now is None or not key:
        return frozenset()
    found: set[str] = set()
    runs = rows.column("run").to_pylist()
    for run in dict.fromkeys(runs):
        mine = rows.filter(pa.array([each == run for each in runs]))
        keys = _keys(wiring, mine, now, key, spec)
        if keys.num_rows:
            found |= _written_again(wiring, keys, now, _then(wiring, run, table), key)
    return frozenset(found)


def followed(
    wiring: Wiring,
    rows: pa.Table,
    now: Entry | None,
    *,
    key: Sequence[str],
    spec: ContractSpec | None,
) -> frozenset[str]:
    """Give the ids of those rows of a quarantine that later ones of the same key have followed.

    Rows that one run set aside come in no order: none of them is later.
    """
    if now is None or not key:
        return frozenset()
    numbers = {run: _number(wiring, run) for run in set(rows.column("run").to_pylist())}
    set_aside = dict(
        zip(
            rows.column(ID).to_pylist(),
            map(numbers.__getitem__, rows.column("run").to_pylist()),
            strict=True,
        )
    )
    keys = _keys(wiring, rows, now, key, spec)
    columns = (keys.column(name).to_pylist() for name in key)
    named = dict(zip(keys.column(_MINE).to_pylist(), zip(*columns, strict=True), strict=True))
    latest: dict[tuple[object, ...], int] = {}
    for id, values in named.items():
        latest[values] = max(set_aside[id], latest.get(values, set_aside[id]))
    return frozenset(str(id) for id, values in named.items() if set_aside[id] < latest[values])


def _number(wiring: Wiring, run: str) -> int:
    """Give where in its branch's history a run was published."""
    made = wiring.lake.metastore.run(run)
    commit = wiring.lake.metastore.commit(made.commit) if made and made.commit else None
    return commit.number if commit is not None else -1


def _keys(
    wiring: Wiring, rows: pa.Table, now: Entry, key: Sequence[str], spec: ContractSpec | None
) -> pa.Table:
    """Give the keys of rows that have readable ones, beside their ids."""
    schema = wiring.lake.tables.scan_files(now, ()).schema
    sources = {column.name: column.source for column in spec.columns} if spec else {}
    is_row = [form != TEXT_FORM for form in rows.column("form").to_pylist()]
    rows = rows.filter(pa.array(is_row))
    payloads = [decoded(text) for text in rows.column("payload").to_pylist()]
    columns: dict[str, pa.Array] = {_MINE: rows.column(ID).combine_chunks()}
    for name in key:
        values = [each.get(name, each.get(sources.get(name, name))) for each in payloads]
        columns[name], _ = under_type(values, schema.field(name).type)
    return pa.table(columns).drop_null()


def _then(wiring: Wiring, run: str, table: str) -> Entry | None:
    made = wiring.lake.metastore.run(run)
    commit = wiring.lake.metastore.commit(made.commit) if made and made.commit else None
    return wiring.lake.tree(commit).get(table_key(table)) if commit is not None else None


def _written_again(
    wiring: Wiring, keys: pa.Table, now: Entry, then: Entry | None, key: Sequence[str]
) -> set[str]:
    tables = wiring.lake.tables
    scans: Mapping[str, Entry] = {_NOW: now, **({_THEN: then} if then is not None else {})}
    with closing(wiring.engine().session()) as session:
        session.bind({_KEYS: keys, **{name: tables.scan(entry) for name, entry in scans.items()}})
        named = ", ".join(quote(name) for name in key)
        if then is None:
            text = f"select {_MINE} from {_KEYS} semi join {_NOW} using ({named})"
        else:
            known = set(tables.scan_files(then, ()).schema.names)
            both = [n for n in tables.scan_files(now, ()).schema.names if n in known]
            shown = ", ".join(quote(name) for name in both)
            there = f"select {shown} from {_NOW} semi join {_KEYS} using ({named})"
            before = f"select {shown} from {_THEN} semi join {_KEYS} using ({named})"
            changed = f"({there} except {before}) union all ({before} except {there})"
            text = f"select {_MINE} from {_KEYS} semi join ({changed}) as changed using ({named})"
        found = session.reader(Sql(text=text)).read_all()
    return {str(id) for id in found.column(_MINE).to_pylist()}
