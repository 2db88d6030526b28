"""A sink in an SQL database: rows are staged, then merged in a transaction with the position."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import pyarrow as pa

from headgate.errors import Invalid, Refused
from headgate.sinks import refusals
from headgate.sinks.rows_on_the_way import RowsOnTheWay, which_row
from headgate.sinks.sink import Delivery, Description, Position, Setting, TableDelivery
from headgate.sinks.sql_database import Load, SqlDatabase
from headgate.sinks.sql_position import SqlPosition
from headgate.sinks.sql_statements import same_key
from headgate.sinks.table_shapes import NONE, Shape, shape


class SqlSink:
    """A ``Sink`` in any database that ``SqlDatabase`` describes."""

    remembers = True
    edits = True

    def __init__(self, database: SqlDatabase, setting: Setting, *, deliveries: str) -> None:
        self._database = database
        self._session = database.session
        self._setting = setting
        self._position = SqlPosition(database, setting, table=deliveries)
        self.kind = database.kind

    def describe(self) -> Description:
        """Say what the sink is. No I/O."""
        return self._database.describe()

    def close(self) -> None:
        """End the session."""
        self._session.close()

    def position(self) -> Position | None:
        """Give the commit that the destination has.

        Raises:
            Unavailable: ``sink-unreachable``. Refused: ``sink-of-another-lake``,
            ``sink-login-refused``.
        """
        if not self._database.is_there():
            return None
        with self._connected("reading how far it is"):
            return self._position.read()

    def place(self, position: Position | None) -> None:
        """Say that the destination has a commit, or nothing, whatever any lake said before."""
        with self._connected("saying how far it is"):
            self._position.place(position)

    def deliver(self, delivery: Delivery) -> Mapping[str, int]:
        """Take a commit, whole or not at all; see ``Sink.deliver``."""
        database, session = self._database, self._session
        what = f"delivering commit {delivery.position.commit[:12]}"
        with self._connected(what), database.alone(self._setting.name):
            self._position.prepare(delivery)
            sent: dict[str, int] = {}
            shapes: dict[str, Shape] = {}
            if database.ddl_commits:
                sent, shapes = self._shaped_before(delivery)
            todo = [each for each in delivery.tables if each.table not in sent]
            if not database.stages_first:
                session.begin()
            staged = [
                self._staged(number, each, shapes.get(each.table))
                for number, each in enumerate(todo)
            ]
            if database.stages_first:
                session.begin()
            self._position.move(delivery)
            for number, table in enumerate(todo):
                with self._about(table, number, shapes):
                    if not database.ddl_commits:
                        shapes[table.table] = self._shaped(table, delivery.after)
                    there, waits = shapes[table.table], staged[number]
                    if waits is None and database.load is not None:
                        sent[table.table] = self._load(table, there, database.load)
                    else:
                        self._merge(table, number, there)
                        sent[table.table] = waits or 0
            session.commit()
        return {each.table: sent[each.table] for each in delivery.tables}

    # -- tables

    def _shaped_before(self, delivery: Delivery) -> tuple[dict[str, int], dict[str, Shape]]:
        """Make and change tables where that ends a transaction; doing it twice does no harm.

        Gives the tables that are done with it, with their rows, and the shapes of all others.
        """
        done: dict[str, int] = {}
        shapes: dict[str, Shape] = {}
        for table in delivery.tables:
            with self._about(table):
                found = self._database.columns(table.to)
                exchange = self._database.make_anew
                if table.effect == "drop":
                    self._drop(table)
                    done[table.table] = 0
                elif table.gone and found is not None and exchange is not None:
                    done[table.table] = exchange(table, found)
                else:
                    shapes[table.table] = self._shaped(table, delivery.after)
        return done, shapes

    def _shaped(self, table: TableDelivery, after: Position | None) -> Shape:
        """Give a table over there the columns it needs."""
        database = self._database
        if table.effect == "drop":
            self._drop(table)
            return NONE
        found = shape(
            table,
            database.columns(table.to),
            after=after,
            database=database,
            sink=self._setting.name,
        )
        if found.again:
            self._drop(table)
        if found.made:
            database.make_room(table.to)
            columns = [self._declared(field, table.key) for field in found.add]
            if table.key:
                columns.append(f"primary key ({self._names(table.key)})")
            self._session.run(f"create table {database.quoted(table.to)} ({', '.join(columns)})")
        elif found.add or found.drop:
            added = [self._declared(field, ()) for field in found.add]
            for statement in database.alter(table.to, added, found.drop):
                self._session.run(statement)
        return found

    def _drop(self, table: TableDelivery) -> None:
        self._session.run(f"drop table if exists {self._database.quoted(table.to)}")

    def _declared(self, field: pa.Field, key: Sequence[str]) -> str:
        type_ = self._database.declared(field, key=field.name in key)
        return f"{self._database.name(field.name)} {type_}"

    # -- rows

    def _staged(self, number: int, table: TableDelivery, shape: Shape | None) -> int | None:
        """Stage a table's rows, and the keys that are gone; give how many there are in all.

        None where they need not wait: they are loaded when the position has moved.
        """
        if table.effect == "drop":
            return 0
        database = self._database
        with self._about(table):
            if database.load is not None and self._only_adds(table):
                return None
            like = shape.found if shape is not None else {}
            staged = self._taken(
                table,
                table.rows(),
                lambda rows: database.stage(_stage(number), table.schema, rows, like=like),
            )
            if table.deleted is not None:
                schema = pa.schema([table.schema.field(name) for name in table.key])
                staged += database.stage(_gone(number), schema, table.deleted(), like=like)
        return staged

    def _taken(
        self,
        table: TableDelivery,
        rows: pa.RecordBatchReader,
        take: Callable[[pa.RecordBatchReader], int],
    ) -> int:
        """Have rows taken; where a value cannot be, say of which row it is."""
        on_the_way = RowsOnTheWay(rows)
        try:
            return take(on_the_way.reader)
        except Invalid as error:
            if error.code != "sink-value-impossible":
                raise
            raise on_the_way.named(error, table.table, table.key) from None

    def _only_adds(self, table: TableDelivery) -> bool:
        """Whether no row over there has to be found by key."""
        return table.effect != "upsert" or self._database.columns(table.to) is None

    def _load(self, table: TableDelivery, shape: Shape, load: Load) -> int:
        to = self._database.quoted(table.to)
        self._make_way(table, shape, to)
        return self._taken(table, table.rows(), lambda rows: load(to, table.schema, rows))

    def _make_way(self, table: TableDelivery, shape: Shape, to: str) -> None:
        """Take away what is replaced; refuse to begin a log on rows of others."""
        if table.effect == "insert" and table.whole and not shape.made:
            self._refuse_rows_there(table, to)
        if table.effect == "replace" and not shape.made:
            self._session.run(f"delete from {to}")

    def _merge(self, table: TableDelivery, number: int, shape: Shape) -> None:
        database, session = self._database, self._session
        if table.effect == "drop":
            return
        to, staged = database.quoted(table.to), database.name(_stage(number))
        if table.effect == "upsert":
            self._refuse_bad_keys(table, staged)
        self._make_way(table, shape, to)
        values = {
            field.name: database.converted(
                f"s.{database.name(field.name)}", field, shape.found.get(field.name)
            )
            for field in table.schema
        }
        insert = (
            f"insert into {to} ({self._names(values)}) select {', '.join(values.values())}"
            f" from {staged} s"
        )
        if table.effect != "upsert" or shape.made:
            session.run(insert)
            return
        if table.deleted is not None:
            gone = database.name(_gone(number))
            session.run(database.delete(to, gone, table.key))
        sets = {name: value for name, value in values.items() if name not in table.key}
        if sets:
            session.run(database.update(to, staged, sets, table.key))
        same = same_key(database.name, table.key)
        session.run(f"{insert} where not exists (select 1 from {to} t where {same})")

    def _refuse_bad_keys(self, table: TableDelivery, staged: str) -> None:
        """Refuse keys that are NULL, or equal to another one as the destination sees it."""
        database, session = self._database, self._session
        names = self._names(table.key)
        nulls = " or ".join(f"{database.name(each)} is null" for each in table.key)
        readers = f"Those of {table.to} see what was delivered before."
        hint = "Name columns that tell rows apart as key= of the sink."
        if session.rows(f"select 1 from {staged} where {nulls} limit 1"):
            raise Invalid(
                "sink-key-null",
                f"Rows of {table.table} have no value in their key ({', '.join(table.key)}).",
                readers=readers,
                hint=hint,
                table=table.table,
            )
        counted = f"select count(*) from {staged} group by {names} having count(*) > 1 limit 1"
        if session.rows(counted):
            raise Invalid(
                "sink-key-doubled",
                f"Keys of {table.table} ({', '.join(table.key)}) are equal to each other as"
                f" {database.kind} compares them.",
                readers=readers,
                hint=hint,
                table=table.table,
            )

    def _refuse_rows_there(self, table: TableDelivery, to: str) -> None:
        if self._session.rows(f"select 1 from {to} limit 1"):
            raise Refused(
                "sink-table-not-empty",
                f"{table.to} has rows already, and nobody knows which of {table.table} they are.",
                readers=f"Those of {table.to} see them.",
                hint="Empty it; or say that it is as main is:  headgate sinks reset"
                f" {self._setting.name} --to main",
                table=table.table,
            )

    def _names(self, names: Sequence[str] | Mapping[str, str]) -> str:
        return ", ".join(self._database.name(each) for each in names)

    # -- sessions and errors

    @contextmanager
    def _connected(self, what: str) -> Iterator[None]:
        """Open a session; after any failure it is ended, so that nothing of it is left."""
        database, session = self._database, self._session
        try:
            session.open()
            yield
        except database.errors as error:
            session.close()
            # The driver's message may quote a row: it is not told, and no cause either.
            raise database.explained(error, what) from None
        except BaseException:
            session.close()
            raise
        if not database.holds:
            session.close()

    @contextmanager
    def _about(
        self,
        table: TableDelivery,
        number: int | None = None,
        shapes: Mapping[str, Shape] | None = None,
    ) -> Iterator[None]:
        """Name the table in what the driver raises; and the row, where its staged ``number`` is."""
        database = self._database
        try:
            yield
        except database.errors as error:
            what = f"delivering {table.table} to {table.to}"
            explained = database.explained(error, what)
            there = (shapes or {}).get(table.table)
            if explained.code == "sink-rows-refused" and there and number is not None:
                explained = self._misfit(table, number, there) or explained
                keys = [name for name, found in there.found.items() if found.in_key]
                if table.key and keys and set(keys) != set(table.key):
                    explained.hint = refusals.other_key(table.to, keys, table.key, self._setting)
            raise explained from None

    def _misfit(self, table: TableDelivery, number: int, there: Shape) -> Invalid | None:
        """Give the error for a staged value that its column over there does not take, if any."""
        database, session = self._database, self._session
        if database.misfit is None:
            return None
        session.rollback()
        key = ", ".join(["n", *(database.name(each) for each in table.key)])
        staged = f"(select row_number() over () as n, * from {database.name(_stage(number))})"
        for name, found in there.found.items():
            condition = database.misfit(f"s.{database.name(name)}", table.schema.field(name), found)
            if condition is None:
                continue
            rows = session.rows(f"select {key} from {staged} s where {condition} limit 1")
            for nth, *values in rows:
                return refusals.misfit(
                    f"{name} of {table.to}",
                    found.type + (" not null" if found.required else ""),
                    which_row(table.key, values, int(str(nth))),
                    table=table.table,
                    column=name,
                )
        return None


def _stage(number: int) -> str:
    return f"headgate_stage_{number}"


def _gone(number: int) -> str:
    return f"headgate_gone_{number}"
