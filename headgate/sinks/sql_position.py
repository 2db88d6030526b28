"""How far a sink in an SQL database is: a row over there, of the table ``headgate_deliveries``.

It moves in the transaction of the rows, and only from where it was thought to be: of two who
deliver at once, the second finds it moved, and nothing of its own is there.
"""

import json

import pyarrow as pa

from headgate.errors import Conflict, Refused
from headgate.sinks.sink import Delivery, Position, Setting
from headgate.sinks.sql_database import SqlDatabase

_COLUMNS = (
    "lake varchar(36) not null, sink varchar(160) not null, commit_id varchar(64) not null, "
    "number bigint not null, {tables} {text} not null, delivered_at varchar(32) not null, "
    "primary key (lake, sink)"
)


class SqlPosition:
    """The row of one sink. It is asked in an open session; only ``place`` begins a transaction."""

    def __init__(self, database: SqlDatabase, setting: Setting, *, table: str) -> None:
        self._database = database
        self._session = database.session
        self._setting = setting
        self._name = table

    def prepare(self, delivery: Delivery) -> None:
        """Make the table that remembers, and refuse a delivery after another commit.

        Raises:
            Conflict: ``sink-elsewhere``. Refused: ``sink-of-another-lake``.
        """
        self._make_table()
        if self.read() != delivery.after:
            raise self._elsewhere(delivery)

    def place(self, position: Position | None) -> None:
        """Say that the destination has a commit, or nothing, whatever any lake said before."""
        self._make_table()
        self._session.begin()
        self._session.run(
            f"delete from {self._table} where sink = {self._database.parameter}",
            (self._setting.name,),
        )
        if position is not None:
            self._insert(position)
        self._session.commit()

    def read(self) -> Position | None:
        """Give the commit that the destination has.

        Raises:
            Refused: ``sink-of-another-lake``.
        """
        database = self._database
        if database.columns(self._name) is None:
            return None
        found = self._session.rows(
            f"select lake, commit_id, number, {database.name('tables')} from {self._table}"
            f" where sink = {database.parameter}",
            (self._setting.name,),
        )
        for lake, commit, number, tables in found:
            if lake == self._setting.lake:
                named = tuple(json.loads(str(tables)).items())
                return Position(commit=str(commit), number=int(str(number)), tables=named)
        if found:
            raise Refused(
                "sink-of-another-lake",
                f"What calls itself the sink {self._setting.name} over there was delivered by"
                f" another lake, {found[0][0]}: this one is {self._setting.lake}.",
                readers="Those of the destination see that lake's rows.",
                hint="Give the sink another name and other tables; or take it over:"
                f"  headgate sinks reset {self._setting.name}",
                sink=self._setting.name,
                lake=str(found[0][0]),
            )
        return None

    def move(self, delivery: Delivery) -> None:
        """Move the position, if it is where it was.

        Raises:
            Conflict: ``sink-elsewhere``.
        """
        database, after, position = self._database, delivery.after, delivery.position
        if after is None:
            try:
                self._insert(position)
            except database.errors as error:
                if database.explained(error, "").code == "sink-rows-refused":  # it is there
                    raise self._elsewhere(delivery) from error
                raise
            return
        mark, tables = database.parameter, database.name("tables")
        moved = self._session.run(
            f"update {self._table} set commit_id = {mark}, number = {mark}, {tables} = {mark},"
            f" delivered_at = {mark} where lake = {mark} and sink = {mark} and commit_id = {mark}"
            f" and {tables} = {mark}",
            (
                position.commit,
                position.number,
                _as_text(position),
                self._now(),
                self._setting.lake,
                self._setting.name,
                after.commit,
                _as_text(after),
            ),
        )
        if moved != 1:
            raise self._elsewhere(delivery)

    def _make_table(self) -> None:
        """Make the table that remembers, where there is none."""
        database = self._database
        if database.columns(self._name) is not None:
            return
        columns = _COLUMNS.format(
            tables=database.name("tables"),
            text=database.declared(pa.field("tables", pa.string()), key=False),
        )
        try:
            database.make_room(self._name)
            self._session.run(f"create table if not exists {self._table} ({columns})")
        except database.errors:  # "if not exists" is no promise where two make it at once
            if database.columns(self._name) is None:
                raise

    def _insert(self, position: Position) -> None:
        mark = self._database.parameter
        self._session.run(
            f"insert into {self._table} (lake, sink, commit_id, number,"
            f" {self._database.name('tables')}, delivered_at)"
            f" values ({mark}, {mark}, {mark}, {mark}, {mark}, {mark})",
            (
                self._setting.lake,
                self._setting.name,
                position.commit,
                position.number,
                _as_text(position),
                self._now(),
            ),
        )

    def _elsewhere(self, delivery: Delivery) -> Conflict:
        return Conflict(
            "sink-elsewhere",
            f"The sink {self._setting.name} is not at commit"
            f" {delivery.after.commit[:12] if delivery.after else 'none'} any more: somebody else"
            " delivered.",
            hint="Ask for its position, and go on from there.",
            sink=self._setting.name,
        )

    def _now(self) -> str:
        return self._setting.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def _table(self) -> str:
        return self._database.quoted(self._name)


def _as_text(position: Position) -> str:
    return json.dumps(dict(position.tables), ensure_ascii=False)
