"""PostgreSQL as the metastore's database: one SQL schema of a server, many hosts.

**Round trips.** What a transaction asks travels when its answer is needed, together with all that
was sent before: the first statement brings ``BEGIN``, the last change takes ``COMMIT`` along. A
single read is a statement by itself. Nothing is prepared or set beyond a transaction, so a pooler
in transaction mode may stand between.

**Isolation.** READ COMMITTED: conditional updates and ``for update`` decide, each seeing what was
committed before it got its lock (SEMANTICS 12).

**Lost connections.** A transaction whose COMMIT was not sent did not take place: it is undone, and
done again (``database.retried``). One whose answer to COMMIT was lost looks its receipt up: see
``postgres_lanes``.

**Durability.** ``synchronous_commit=on`` for what must survive the server's power loss; ``off`` for
the rest, which the next durable commit makes durable, too: the log is flushed in order.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import psycopg

from headgate.clock import Clock
from headgate.errors import AlreadyExists, HeadgateError, Internal, NotFound
from headgate.lake import postgres_errors, statements
from headgate.lake.database import Dialect, Parameter, Row, Session, Undone
from headgate.lake.founding import found_lake
from headgate.lake.migrations import MIGRATIONS, Migrations, open_facts
from headgate.lake.postgres_addresses import Address, address_of
from headgate.lake.postgres_lanes import Lane, Lanes
from headgate.lake.postgres_sessions import Asked, Reading, Writing, execute
from headgate.lake.records import Commit
from headgate.lake.sql_metastore import SqlMetastore
from headgate.lake.sqlite_copies import SqliteCopy

_PATIENCE = timedelta(seconds=30)
_IDLE_MS = "60000"
_ROWS_AT_ONCE = 2_000

DIALECT = Dialect(
    placeholder="%s",
    words={
        "[text]": 'text collate "C"',
        "[integer]": "bigint",
        "[bytes]": "bytea",
        "[counter]": "bigint generated always as identity primary key",
        "[transaction]": ", transaction_id xid8 not null default pg_current_xact_id()",
        "[settled]": " and transaction_id < pg_snapshot_xmin(pg_current_snapshot())",
        "[clustered]": "",
        "[table]": "",
        "[lock]": " for update",
    },
)

_BEGIN = "begin isolation level read committed read write"
_BEGIN_COPY = "begin isolation level repeatable read read only"
_CONFIGURE = """select set_config('synchronous_commit', %s, true),
    set_config('lock_timeout', %s, true),
    set_config('idle_in_transaction_session_timeout', %s, true)"""
_SCHEMA = "create schema {schema}"
_FASTER = (
    psycopg.errors.DuplicateObject,  # of the table's row type
    psycopg.errors.DuplicateSchema,
    psycopg.errors.DuplicateTable,
    psycopg.errors.UniqueViolation,
)
_RECEIPTS = """create table if not exists {schema}.receipts (
    lane text primary key, number bigint not null, at timestamptz not null default now())"""
_SIGN = """insert into {schema}.receipts (lane, number) values (%s, %s)
    on conflict (lane) do update set number = excluded.number, at = excluded.at"""
_LOOK_UP = """insert into {schema}.receipts (lane, number) values (%s, 0)
    on conflict (lane) do update set number = receipts.number returning number"""
_FORGET = """delete from {schema}.receipts
    where lane = any(%s) or at < now() - interval '7 days'"""

# -- about the database itself
_HOLDS_LAKE = "select to_regclass(%s) is not null"
_SCHEMAS = "select nspname from pg_namespace where nspname = %s"
_TABLES = """select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = %s and c.relkind = 'r' order by c.relname"""
_INVALID_INDEXES = """select c.relname from pg_index i join pg_class c on c.oid = i.indexrelid
    join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = %s and not (i.indisvalid and i.indisready)"""
_DAMAGED_PAGES = """select coalesce(checksum_failures, 0) from pg_stat_database
    where datname = current_database()"""
_IDENTITY = """select s.system_identifier, c.timeline_id, d.oid, n.oid
    from pg_control_system() s, pg_control_checkpoint() c, pg_database d, pg_namespace n
    where d.datname = current_database() and n.nspname = %s"""
_HOLDERS = """select distinct a.pid, coalesce(nullif(a.application_name, ''), a.backend_type),
        a.usename, a.state
    from pg_locks l join pg_class c on c.oid = l.relation
    join pg_namespace n on n.oid = c.relnamespace join pg_stat_activity a on a.pid = l.pid
    where n.nspname = %s and l.granted and l.mode <> 'AccessShareLock'
        and l.pid <> pg_backend_pid() and a.state <> 'active'
    order by a.pid"""

_FORMATS = (statements.SCHEMA, *MIGRATIONS)
_OWN_TABLES = frozenset(
    name for format_ in _FORMATS for text in format_ for name in re.findall(r"table (\w+) \(", text)
)
_NAMES_TABLE = re.compile(
    rf"\b(from|into|update|join|table|create index \w+ on) ({'|'.join(sorted(_OWN_TABLES))})\b"
)


def create_postgres(
    url: str,
    *,
    clock: Clock,
    lake_id: str,
    main: str,
    genesis: Commit,
    nodes: Mapping[bytes, bytes],
) -> None:
    """Create a metastore in an SQL schema, whole or not at all; of several creators one succeeds.

    Args:
        url: the server, the database, and ``?schema=`` where it is not ``headgate``.
        clock: when that is.
        lake_id: the lake's id.
        main: the name of its first branch.
        genesis: its first commit.
        nodes: the nodes of that commit's tree.

    Raises:
        AlreadyExists: ``lake-exists``.
        Invalid: ``bad-metastore-url``.
        NotFound: ``no-database``.
        Refused: ``metastore-login``, ``metastore-forbidden``, ``postgres-too-old``, ...
        Unavailable: ``metastore-unreachable``, ...
    """
    with closing(PostgresDatabase(address_of(url))) as database:
        if not database.holds_lake():
            try:
                database.prepare()
                found_lake(
                    database, clock=clock, lake_id=lake_id, main=main, genesis=genesis, nodes=nodes
                )
            except HeadgateError:
                if not database.holds_lake():
                    raise
            else:
                return
        raise AlreadyExists(
            "lake-exists",
            f"There is a lake in {database.address} already.",
            **database.address.facts,
        )


def open_postgres(
    url: str,
    *,
    clock: Clock,
    patience: timedelta = _PATIENCE,
    migrations: Migrations = MIGRATIONS,
) -> SqlMetastore:
    """Open a metastore in an SQL schema.

    Args:
        url: the server, the database, and ``?schema=`` where it is not ``headgate``.
        clock: for leases, and for when branches moved.
        patience: how long to wait for a lock.
        migrations: the steps from each format to the next.

    Raises:
        NotFound: ``no-lake``, ``no-database``.
        Invalid: ``bad-metastore-url``.
        Refused: ``lake-too-new``, ``lake-too-old``, ``metastore-login``, ``metastore-forbidden``.
        Corrupt: ``metastore-corrupt``.
        Unavailable: ``metastore-unreachable``, ``clocks-apart``.
    """
    database = postgres_database(url, patience=patience)
    try:
        facts = open_facts(database, database.place, migrations=migrations)
    except BaseException:
        database.close()
        raise
    return SqlMetastore(database, clock=clock, facts=facts)


def postgres_database(url: str, *, patience: timedelta = _PATIENCE) -> "PostgresDatabase":
    """Give the database of a metastore that is there, whatever its format.

    Raises:
        As ``open_postgres``.
    """
    database = PostgresDatabase(address_of(url), patience=patience)
    try:
        holds_lake = database.holds_lake()
    except BaseException:
        database.close()
        raise
    if not holds_lake:
        database.close()
        raise NotFound(
            "no-lake",
            f"There is no lake in {database.address}.",
            hint="The first  headgate run  makes one.",
            **database.address.facts,
        )
    return database


class PostgresDatabase:
    """An SQL schema as a ``Database``. Connects when that is first needed.

    Args:
        address: where; it also says how long to wait for a server that went away.
        patience: how long to wait for a lock.
    """

    dialect = DIALECT

    def __init__(self, address: Address, *, patience: timedelta = _PATIENCE) -> None:
        self.address = address
        self._patience = patience
        self._lanes = Lanes(address)
        self._texts: dict[str, str] = {}
        self._sign = _SIGN.format(schema=address.schema)

    @property
    def place(self) -> str:
        """The URL, without the password."""
        return str(self.address)

    def holds_lake(self) -> bool:
        """Say whether there is a lake in the schema."""
        ((there,),) = self._ask(_HOLDS_LAKE, f"{self.address.schema}.lake")
        return bool(there)

    def prepare(self) -> None:
        """Make the schema, where it is not there, and the receipts, which belong to no format."""
        schema = self.address.schema
        there = bool(self._ask(_SCHEMAS, schema))
        with self._lanes.lane() as lane:
            for text in (_RECEIPTS,) if there else (_SCHEMA, _RECEIPTS):
                try:
                    execute(lane.connection(), text.format(schema=schema))
                except _FASTER:
                    pass  # another creator was faster, this very moment
                except psycopg.Error as error:
                    raise self._translated(error, lane) from error

    @contextmanager
    def reading(self) -> Iterator[Reading]:
        """See one state in each statement. Waits for nobody; begins no transaction."""
        with self._lanes.lane() as lane:
            yield self._reading(lane)

    @contextmanager
    def writing(self, *, durable: bool) -> Iterator[Writing]:
        """Open a transaction; see ``Database.writing``."""
        with self._lanes.lane() as lane:
            session = Writing(
                lane,
                self._opening(durable=durable),
                spell=self._spelled,
                translate=self._translated,
            )
            try:
                yield session
                lane.number += 1
                session.commit((self._sign, (lane.name, lane.number)))
            except Undone:
                session.roll_back()
                if not (session.is_unknown and self._has_receipt(lane)):
                    raise
            except Exception:
                session.roll_back()
                raise
            except (
                BaseException
            ):  # Ctrl-C in the middle of an exchange: nobody knows how far it got
                lane.drop()
                raise

    def keep_copy(self, session: Session, name: str) -> str:
        """Keep a copy in a schema beside this one. What the transaction changed is in it, too."""
        if not isinstance(session, Writing):
            raise Internal("not-a-transaction", "A copy is kept within a writing transaction.")
        schema = self.address.schema
        kept = f"{schema}_{re.sub('[^a-z0-9]', '_', name)}"
        session.ask((f"drop schema if exists {kept} cascade", ()), (f"create schema {kept}", ()))
        for (table,) in session.ask((_TABLES, (schema,)))[0].fetchall():
            session.ask(
                (f"create table {kept}.{table} (like {schema}.{table} including all)", ()),
                (f"insert into {kept}.{table} overriding system value table {schema}.{table}", ()),
            )
        return f"schema {kept} of {self.address}"

    def copy(self, to: Path) -> None:
        """Write one state of everything to an SQLite file; nobody waits meanwhile."""
        with self._lanes.lane() as lane, SqliteCopy(to) as copy:
            connection = lane.connection()
            try:
                execute(connection, _BEGIN_COPY)
                for table, columns in copy.tables.items():
                    with connection.cursor(name="copy", binary=True) as rows:
                        rows.itersize = _ROWS_AT_ONCE
                        listed = ", ".join(columns)
                        rows.execute(f"select {listed} from {self.address.schema}.{table}")
                        copy.fill(table, rows)
                execute(connection, "commit")
            except psycopg.Error as error:
                raise self._translated(error, lane) from error
            finally:
                lane.roll_back()

    def identity(self) -> str:
        """Name cluster, timeline, database and schema: a restored or promoted one has others."""
        (row,) = self._ask(_IDENTITY, self.address.schema)
        return "postgresql:" + ":".join(map(str, row))

    def check(self) -> Sequence[str]:
        """Give the tables that are missing, the indexes that do not hold, the pages that failed."""
        schema = self.address.schema
        there = {name for (name,) in self._ask(_TABLES, schema)}
        missing = [f"table {schema}.{name} is missing" for name in sorted(_OWN_TABLES - there)]
        broken = [
            f"index {schema}.{name} is not valid: reindex it"
            for (name,) in self._ask(_INVALID_INDEXES, schema)
        ]
        failures = sum(count for (count,) in self._ask(_DAMAGED_PAGES))
        pages = [f"{failures} pages of the database had wrong checksums"] if failures else []
        return [*missing, *broken, *pages]

    def purge(self) -> bool:
        """Leave dead rows to the server: only ``vacuum full`` of its administrator ends them."""
        return False

    def describe(self) -> str:
        """Give the server's product and version and the address, for people."""
        ((version,),) = self._ask("show server_version")
        return f"PostgreSQL {version.split()[0]} at {self.address}"

    def close(self) -> None:
        """Close this process's connections, and tear its receipts up."""
        names = self._lanes.used()
        if names:
            with suppress(HeadgateError, psycopg.Error), self._lanes.lane() as lane:
                if lane.is_connected:
                    forget = _FORGET.format(schema=self.address.schema)
                    execute(lane.connection(), forget, (names,))
        self._lanes.close()

    # -- parts

    def _reading(self, lane: Lane) -> Reading:
        return Reading(lane, spell=self._spelled, translate=self._translated)

    def _ask(self, text: str, *parameters: Parameter) -> list[Row]:
        with self.reading() as session:
            return session.answer(text, parameters)

    def _opening(self, *, durable: bool) -> tuple[Asked, ...]:
        patience_ms = str(self._patience // timedelta(milliseconds=1))
        configured = ("on" if durable else "off", patience_ms, _IDLE_MS)
        return (_BEGIN, ()), (_CONFIGURE, configured)

    def _has_receipt(self, lane: Lane) -> bool:
        """Ask whether the lane's last transaction took place; wait until it has ended."""
        look_up = _LOOK_UP.format(schema=self.address.schema)
        try:
            ((number,),) = self._reading(lane).answer(look_up, (lane.name,))
        except HeadgateError as error:
            raise postgres_errors.commit_unknown(self.address) from error
        return bool(number == lane.number)

    def _spelled(self, statement: str) -> str:
        """Spell a statement, with its tables in the schema."""
        text = self._texts.get(statement)
        if text is None:
            spelled = DIALECT.spell(statement.replace("in ([list])", "= any(?)"))
            text = _NAMES_TABLE.sub(rf"\1 {self.address.schema}.\2", spelled)
            self._texts[statement] = text
        return text

    def _translated(self, error: psycopg.Error, lane: Lane) -> HeadgateError:
        """Give our error for one of PostgreSQL's; name who held a lock."""
        if not postgres_errors.is_lock_timeout(error):
            return postgres_errors.translation(error, self.address)
        lane.roll_back()
        holders = ""
        with suppress(HeadgateError):
            found = self._reading(lane).answer(_HOLDERS, (self.address.schema,))
            holders = " and ".join(
                f"session {pid} ({program}, user {user}, {state})"
                for pid, program, user, state in found
            )
        return postgres_errors.locked(holders, self._patience.total_seconds(), self.address)
