"""What the server's catalog says of a table: its columns, their types, what rows are known by."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import psycopg

from headgate.errors import NotFound, Refused
from headgate.names import suggestion
from headgate.sources.postgres_changes.kinds import Kind, kind_of
from headgate.sources.postgres_changes.positions import ColumnsSeen, Entry

Session: TypeAlias = psycopg.Connection[tuple[Any, ...]]

NOTHING, FULL, INDEX = "n", "f", "i"
PARTITIONED = "p"

_RESOLVE = """
select c.oid::int8, n.nspname, c.relname, c.relkind::text, c.relreplident::text,
  c.relpersistence::text
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.oid = coalesce(
  (select r.oid from pg_class r join pg_namespace s on s.oid = r.relnamespace
   where s.nspname = %(schema)s and r.relname = %(name)s),
  to_regclass(%(text)s))
"""
_TABLES = """
select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema')
"""
_COLUMNS = """
select a.attname, a.atttypid::int8, a.atttypmod, a.attgenerated <> '' as generated,
  a.atthasdef or a.atthasmissing or a.attidentity <> '' or t.typdefault is not null or exists (
    select from pg_inherits i join pg_attribute p on p.attrelid = i.inhrelid
    where i.inhparent = a.attrelid and p.attname = a.attname and p.atthasmissing) as filled,
  a.attnum::int8, a.xmin::text::int8
from pg_attribute a join pg_type t on t.oid = a.atttypid
where a.attrelid = %s and a.attnum > 0 and not a.attisdropped order by a.attnum
"""
_IDENTITY = """
select a.attname from pg_index i join pg_attribute a
on a.attrelid = i.indrelid and a.attnum = any(i.indkey::int2[])
where i.indrelid = %s and case when %s = 'i' then i.indisreplident else i.indisprimary end
order by array_position(i.indkey::int2[], a.attnum)
"""
_UNIQUE = """
select array_agg(a.attname::text) from pg_index i
cross join unnest(i.indkey::int2[]) with ordinality k(number, at)
join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number
where i.indrelid = %s and i.indisunique and i.indisvalid and i.indpred is null
  and i.indexprs is null and k.at <= i.indnkeyatts
group by i.indexrelid
"""
_TYPES = """
select oid::int8, typtype::text, typbasetype::int8, typtypmod from pg_type where oid = any(%s)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PgTable:
    """A table as the catalog has it now.

    ``columns`` are those that the log tells of: no generated ones; ``entries`` has what the catalog
    knows them by. ``defaults`` names those that rows may have got a value of when they came, which
    the log does not tell. ``key`` is what rows are known by in the log; empty: by nothing, or by
    all. ``unique`` has the columns of which no two rows have the same values, by an index.
    """

    oid: int
    namespace: str
    name: str
    kind: str
    identity: str
    columns: ColumnsSeen
    entries: Mapping[str, Entry]
    generated: tuple[str, ...]
    defaults: frozenset[str]
    key: tuple[str, ...]
    unique: tuple[frozenset[str], ...]

    @property
    def shown(self) -> str:
        """Its name for people."""
        return f"{self.namespace}.{self.name}"

    @property
    def sql(self) -> str:
        """Its name in SQL."""
        return f"{quoted(self.namespace)}.{quoted(self.name)}"


def quoted(name: str) -> str:
    """Quote a name as PostgreSQL does."""
    return '"' + name.replace('"', '""') + '"'


def find_table(session: Session, name: str) -> PgTable:
    """Look a table up: ``schema.table``, or a table on the search path.

    Raises:
        NotFound: ``unknown-relation``. Refused: ``not-in-the-log``.
    """
    schema, _, rest = name.partition(".")
    wanted = {"schema": schema if rest else "", "name": rest or name, "text": name}
    try:
        found = session.execute(_RESOLVE, wanted).fetchone()
    except (psycopg.errors.InvalidName, psycopg.errors.SyntaxError):
        found = None
    if found is None:
        known = [row[0] for row in session.execute(_TABLES)]
        meant = suggestion(name, known)
        raise NotFound(
            "unknown-relation",
            f"There is no table {name} in the database {session.info.dbname}.",
            hint=f"Did you mean {meant}?" if meant else None,
            table=name,
        )
    oid, namespace, relation, kind, identity, persistence = found
    if kind not in {"r", PARTITIONED} or persistence != "p":
        raise Refused(
            "not-in-the-log",
            f"{namespace}.{relation} has no changes in the server's log: it is a view, a foreign, "
            "a temporary or an unlogged table.",
            hint="Read it whole: hg.database(url, relation), mode='replace'.",
            table=f"{namespace}.{relation}",
        )
    rows = session.execute(_COLUMNS, (oid,)).fetchall()
    key = session.execute(_IDENTITY, (oid, identity)).fetchall()
    return PgTable(
        oid=oid,
        namespace=namespace,
        name=relation,
        kind=kind,
        identity=identity,
        columns=tuple((row[0], row[1], row[2]) for row in rows if not row[3]),
        entries={row[0]: (row[5], row[6]) for row in rows},
        generated=tuple(row[0] for row in rows if row[3]),
        defaults=frozenset(row[0] for row in rows if row[4] and not row[3]),
        key=tuple(row[0] for row in key) if identity in {"d", INDEX} else (),
        unique=tuple(frozenset(row[0]) for row in session.execute(_UNIQUE, (oid,))),
    )


def kinds_of(session: Session, columns: ColumnsSeen) -> Mapping[str, Kind]:
    """Give the columns' kinds; domains are what they are over, in the end."""
    types = _resolved(session, {(oid, modifier) for _, oid, modifier in columns})
    return {name: kind_of(*types[oid, modifier]) for name, oid, modifier in columns}


def _resolved(
    session: Session, types: Iterable[tuple[int, int]]
) -> Mapping[tuple[int, int], tuple[int, int]]:
    found = {each: each for each in types}
    users = 16384  # the first oid that is not PostgreSQL's own
    while wanted := {oid for oid, _ in found.values() if oid >= users}:
        rows = session.execute(_TYPES, (sorted(wanted),)).fetchall()
        domains = {row[0]: (row[2], row[3]) for row in rows if row[1] == "d"}
        for given, (oid, modifier) in found.items():
            if oid in domains:
                base, more = domains[oid]
                found[given] = (base, more if more >= 0 else modifier)
            elif oid >= users:
                found[given] = (0, -1)  # an enum, a composite, a range: text
    return found
