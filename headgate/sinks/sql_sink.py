"""A sink in an SQL database: rows are staged, then merged in a transaction with the position."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa

from headgate.errors import Invalid, Refused
from headgate.sinks.sink import Delivery, Description, Position, Setting, TableDelivery
from headgate.sinks.sql_database import Found, Load, SqlDatabase
from headgate.sinks.sql_position import SqlPosition
from headgate.sinks.sql_statements import same_key


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """What is done to a table before rows go in. ``found`` is what it has then, by our names."""

    made: bool
    add: tuple[pa.Field, ...]
    drop: tuple[str, ...]
    found: Mapping[str, Found]


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
            shapes: dict[str, _Shape] = {}
            if database.ddl_commits:
                sent, shapes = self._shaped_before(delivery.tables)
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
                with self._about(table):
                    if not database.ddl_commits:
                        shapes[table.table] = self._shaped(table)
                    shape, waits = shapes[table.table], staged[number]
                    if waits is None and database.load is not None:
                        sent[table.table] = self._load(table, shape, database.load)
                    else:
                        self._merge(table, number, shape)
                        sent[table.table] = waits or 0
            session.commit()
        return {each.table: sent[each.table] for each in delivery.tables}

    # -- tables

    def _shaped_before(
        self, tables: Sequence[TableDelivery]
    ) -> tuple[dict[str, int], dict[str, _Shape]]:
        """Make and change tables where that ends a transaction; doing it twice does no harm.

        Gives the tables that are done with it, with their rows, and the shapes of all others.
        """
        done: dict[str, int] = {}
        shapes: dict[str, _Shape] = {}
        for table in tables:
            with self._about(table):
                found = self._database.columns(table.to)
                exchange = self._database.make_anew
                if table.effect == "drop":
                    self._drop(table)
                    done[table.table] = 0
                elif table.gone and found is not None and exchange is not None:
                    done[table.table] = exchange(table, found)
                else:
                    shapes[table.table] = self._shaped(table)
        return done, shapes

    def _shaped(self, table: TableDelivery) -> _Shape:
        """Give a table over there the columns it needs."""
        database = self._database
        if table.effect == "drop":
            self._drop(table)
            return _Shape(made=False, add=(), drop=(), found={})
        shape = self._shape(table, database.columns(table.to))
        if shape.made:
            database.make_room(table.to)
            columns = [self._declared(field, table.key) for field in shape.add]
            if table.key:
                columns.append(f"primary key ({self._names(table.key)})")
            self._session.run(f"create table {database.quoted(table.to)} ({', '.join(columns)})")
        elif shape.add or shape.drop:
            added = [self._declared(field, ()) for field in shape.add]
            for statement in database.alter(table.to, added, shape.drop):
                self._session.run(statement)
        return shape

    def _shape(self, table: TableDelivery, there: Mapping[str, Found] | None) -> _Shape:
        """Decide what a table over there lacks.

        Raises:
            Invalid: ``sink-column-differs``.
        """
        if there is None:
            return _Shape(made=True, add=tuple(table.schema), drop=(), found={})
        folded = {self._folded(name): found for name, found in there.items()}
        gone = {self._folded(name) for name in table.gone}
        found = {
            field.name: folded[name]
            for field in table.schema
            if (name := self._folded(field.name)) in folded and name not in gone
        }
        for name, column in found.items():
            field = table.schema.field(name)
            if not self._database.fits(field, column):
                raise Invalid(
                    "sink-column-differs",
                    f"Column {name} of {table.to} is {column.type} over there, which does not"
                    f" hold every {field.type} as it is.",
                    readers=f"Those of {table.to} see what was delivered before.",
                    hint=f"Make it {self._database.declared(field, key=name in table.key)} over"
                    " there, or deliver to another table:  tables={"
                    f'"{table.table}": "another name"}}',
                    table=table.table,
                    column=name,
                )
        return _Shape(
            made=False,
            add=tuple(field for field in table.schema if field.name not in found),
            drop=tuple(folded[name].name for name in sorted(gone) if name in folded),
            found=found,
        )

    def _drop(self, table: TableDelivery) -> None:
        self._session.run(f"drop table if exists {self._database.quoted(table.to)}")

    def _declared(self, field: pa.Field, key: Sequence[str]) -> str:
        type_ = self._database.declared(field, key=field.name in key)
        return f"{self._database.name(field.name)} {type_}"

    def _folded(self, name: str) -> str:
        return name.casefold() if self._database.folds else name

    # -- rows

    def _staged(self, number: int, table: TableDelivery, shape: _Shape | None) -> int | None:
        """Stage a table's rows, and the keys that are gone; give how many there are in all.

        None where they need not wait: they are loaded when the position has moved.
        """
        if table.effect == "drop":
            return 0
        with self._about(table):
            if self._database.load is not None and self._only_adds(table):
                return None
            like = shape.found if shape is not None else {}
            staged = self._database.stage(_stage(number), table.schema, table.rows(), like=like)
            if table.deleted is not None:
                schema = pa.schema([table.schema.field(name) for name in table.key])
                staged += self._database.stage(_gone(number), schema, table.deleted(), like=like)
        return staged

    def _only_adds(self, table: TableDelivery) -> bool:
        """Whether no row over there has to be found by key."""
        return table.effect != "upsert" or self._database.columns(table.to) is None

    def _load(self, table: TableDelivery, shape: _Shape, load: Load) -> int:
        to = self._database.quoted(table.to)
        self._make_way(table, shape, to)
        return load(to, table.schema, table.rows())

    def _make_way(self, table: TableDelivery, shape: _Shape, to: str) -> None:
        """Take away what is replaced; refuse to begin a log on rows of others."""
        if table.effect == "insert" and table.whole and not shape.made:
            self._refuse_rows_there(table, to)
        if table.effect == "replace" and not shape.made:
            self._session.run(f"delete from {to}")

    def _merge(self, table: TableDelivery, number: int, shape: _Shape) -> None:
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
    def _about(self, table: TableDelivery) -> Iterator[None]:
        """Name the table in what the driver raises."""
        try:
            yield
        except self._database.errors as error:
            what = f"delivering {table.table} to {table.to}"
            raise self._database.explained(error, what) from None


def _stage(number: int) -> str:
    return f"headgate_stage_{number}"


def _gone(number: int) -> str:
    return f"headgate_gone_{number}"
