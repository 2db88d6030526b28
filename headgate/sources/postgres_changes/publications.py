"""Publications: which tables' changes the server tells, and whether it tells all that is needed."""

from dataclasses import dataclass

import psycopg

from headgate.errors import Refused
from headgate.sources.postgres_changes.catalog import (
    FULL,
    NOTHING,
    PARTITIONED,
    PgTable,
    Session,
    quoted,
)

COLUMN_LISTS = 15_00_00
"""The server's version from which on publications choose columns and rows."""

_FIND = """
select oid::int8 || ' ' || xmin, puballtables, pubinsert, pubupdate, pubdelete, pubtruncate,
  pubviaroot
from pg_publication where pubname = %s
"""
_MEMBER = """
select 'table ' || r.oid::text from pg_publication_rel r
where r.prpubid = %(publication)s and r.prrelid in
  (select %(table)s::oid union select relid from pg_partition_ancestors(%(table)s::oid))
"""
_BY_SCHEMA = """
select 'schema ' || n.oid::text from pg_publication_namespace n
join pg_class c on c.relnamespace = n.pnnspid
where n.pnpubid = %(publication)s and c.oid = %(table)s
"""
_TOLD = """
from pg_publication_tables where pubname = %s and schemaname = %s and tablename = %s
"""
_CHOSEN = "select attnames::text[], rowfilter" + _TOLD
_BEFORE_LISTS = "select null, null" + _TOLD


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """How a table belongs to a publication.

    ``members`` are oids: others, where it was taken out and put in again; the publication's own
    with the transaction that changed it last. ``columns`` (None: all) and the SQL ``where`` say
    what of it is told.
    """

    members: tuple[str, ...]
    columns: tuple[str, ...] | None = None
    where: str = ""

    @property
    def standing(self) -> tuple[str, ...]:
        """Give what must be the same for changes to follow each other."""
        return (*self.members, *([f"where {self.where}"] if self.where else []))


def publication_name(table: PgTable) -> str:
    """Give the name of the publication that is made for a table."""
    longest = 63
    return f"headgate_{table.namespace}_{table.name}"[:longest]


def refuse_without_identity(table: PgTable) -> None:
    """Refuse a table whose updates and deletions the server could not tell.

    Raises:
        Refused: ``table-without-identity``.
    """
    if table.identity != FULL and not table.key:
        why = (
            "its replica identity is NOTHING"
            if table.identity == NOTHING
            else "it has no primary key"
        )
        raise Refused(
            "table-without-identity",
            f"The log cannot say which rows of {table.shown} are changed: {why}. Once published, "
            "PostgreSQL would refuse its updates and deletions.",
            hint=f"Give it a primary key; or run:  alter table {table.sql} replica identity full",
            table=table.shown,
        )


def publish(session: Session, name: str, table: PgTable) -> Published:
    """Find how a table is published, making the publication where there is none.

    Raises:
        Refused: ``publication-missing``: we may not make it. ``table-not-published``,
            ``publication-incomplete``.
    """
    found = session.execute(_FIND, (name,)).fetchone()
    if found is None:
        _make(session, name, table)
        found = session.execute(_FIND, (name,)).fetchone()
        if found is None:
            raise _missing(name, table)
    oid, all_tables, inserts, updates, deletes, truncates, via_root = found
    operations = {"insert": inserts, "update": updates, "delete": deletes, "truncate": truncates}
    if left_out := [operation for operation, told in operations.items() if not told]:
        raise Refused(
            "publication-incomplete",
            f"The publication {name} does not tell of every change: {', '.join(left_out)} missing.",
            hint=f"Run:  alter publication {quoted(name)} "
            "set (publish = 'insert, update, delete, truncate')",
            publication=name,
        )
    if table.kind == PARTITIONED and not via_root:
        raise Refused(
            "publication-incomplete",
            f"The publication {name} tells of the partitions of {table.shown}, not of it.",
            hint=f"Run:  alter publication {quoted(name)} set (publish_via_partition_root = true)",
            publication=name,
        )
    places = {"publication": int(oid.partition(" ")[0]), "table": table.oid}
    members = [row[0] for row in session.execute(_MEMBER, places)]
    chosen = session.info.server_version >= COLUMN_LISTS
    if chosen:
        members += [row[0] for row in session.execute(_BY_SCHEMA, places)]
    if not (members or all_tables):
        raise Refused(
            "table-not-published",
            f"The publication {name} does not tell of {table.shown}: it was never in it, or was "
            "taken out.",
            hint=f"Run:  alter publication {quoted(name)} add table {table.sql}\n"
            "The next run then reads the table anew.",
            publication=name,
            table=table.shown,
        )
    query = _CHOSEN if chosen else _BEFORE_LISTS
    row = session.execute(query, (name, table.namespace, table.name)).fetchone()
    if row is None:
        raise Refused(
            "publication-incomplete",
            f"The publication {name} tells of changes of {table.shown} as of the table that it is "
            "a partition of.",
            hint="Follow that table. Or run:  "
            f"alter publication {quoted(name)} set (publish_via_partition_root = false)",
            publication=name,
        )
    columns, where = tuple(row[0] or ()) or None, row[1] or ""
    return Published(members=(f"publication {oid}", *sorted(members)), columns=columns, where=where)


def _make(session: Session, name: str, table: PgTable) -> None:
    try:
        session.execute(_creation(name, table).encode())
    except psycopg.errors.InsufficientPrivilege as error:
        raise _missing(name, table) from error
    except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):  # made just now
        return


def _creation(name: str, table: PgTable) -> str:
    option = " with (publish_via_partition_root = true)" if table.kind == PARTITIONED else ""
    return f"create publication {quoted(name)} for table {table.sql}{option}"


def _missing(name: str, table: PgTable) -> Refused:
    return Refused(
        "publication-missing",
        f"There is no publication {name}, and this role may not make one.",
        hint=f"Let the owner of {table.shown} run:  {_creation(name, table)}",
        publication=name,
        table=table.shown,
    )
