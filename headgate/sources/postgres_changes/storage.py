"""Where a table's rows lie: what happened to them beside the log shows there.

A partition that is emptied, taken out or put in, and a table that is written anew with other
values: the log tells of no row.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from headgate.sources.postgres_changes.catalog import PARTITIONED, PgTable, Session

_FILES = """
with recursive parts(oid, came, made) as (
  select %(table)s::oid, '', true
  union all
  select i.inhrelid, p.came || ' ' || i.xmin, p.made and (
    select bool_and(a.xmin::text = own.xmin::text and a.cmin::text = own.cmin::text)
    from pg_attribute a join pg_attribute own
    on own.attrelid = a.attrelid and own.attname = 'tableoid' and own.attnum < 0
    where a.attrelid = i.inhrelid and a.attnum > 0)
  from parts p join pg_inherits i on i.inhparent = p.oid where %(partitioned)s
)
select p.oid::text, coalesce(pg_relation_filenode(p.oid), 0) || p.came, p.made
from parts p join pg_class c on c.oid = p.oid where c.relkind <> 'p' order by p.oid
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """A table's file, or those of its partitions, by oid.

    ``made`` has the partitions that were made as such, so that all of their rows are in the log:
    the entries of their columns are of one command with that of the table itself, and no other
    command has taken them into another table since.
    """

    files: Mapping[str, str]
    made: frozenset[str]


def storage_of(session: Session, table: PgTable) -> Storage:
    """Look where a table's rows lie."""
    asked = {"table": table.oid, "partitioned": table.kind == PARTITIONED}
    rows = session.execute(_FILES, asked).fetchall()
    return Storage(
        files={oid: place for oid, place, _ in rows},
        made=frozenset(oid for oid, _, made in rows if made),
    )
