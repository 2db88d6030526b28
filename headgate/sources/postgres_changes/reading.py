"""Reading a PostgreSQL table: in full, and by its server's log. What a source of changes does."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random
from typing import Final, TypeVar

import psycopg

from headgate.errors import Invalid, Refused
from headgate.retrying import Retry, retrying
from headgate.sources.cursors import Cursor
from headgate.sources.databases.addresses import POSTGRESQL, Address, address_of
from headgate.sources.postgres_changes import slots
from headgate.sources.postgres_changes.catalog import (
    FULL,
    PgTable,
    Session,
    find_table,
    kinds_of,
    quoted,
)
from headgate.sources.postgres_changes.failures import failure, is_transient
from headgate.sources.postgres_changes.following import Now, ahead, broken, fits
from headgate.sources.postgres_changes.messages import Changed, Committed, Decoder, Told, Truncated
from headgate.sources.postgres_changes.options import KEEP_LOG, Reading
from headgate.sources.postgres_changes.positions import (
    ColumnsSeen,
    Reached,
    Standing,
    lsn_text,
    reached,
    read_lsn,
)
from headgate.sources.postgres_changes.publications import (
    Published,
    publication_name,
    publish,
    refuse_without_identity,
)
from headgate.sources.postgres_changes.relations import Relation
from headgate.sources.postgres_changes.rows import (
    LOG_COLUMNS,
    Rows,
    Shape,
    change_rows,
    nothing,
    snapshot_rows,
    truncation,
)
from headgate.sources.postgres_changes.sessions import (
    connect,
    connect_to_log,
    left_at,
    refuse_unfit,
)
from headgate.sources.postgres_changes.snapshots import read_snapshot
from headgate.sources.postgres_changes.storage import storage_of
from headgate.sources.postgres_changes.streaming import LogStream
from headgate.sources.source import Batch, Setting

QUIET_BYTES: Final = 16 * 1024 * 1024
"""So much log without a change of the table moves the cursor by itself."""

_Given = TypeVar("_Given")

PATIENCE: Final = Retry(attempts=12, first=timedelta(seconds=0.2), longest=timedelta(seconds=5))
"""How a slot is waited for that a reader who was killed still holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A table as it is now, and how its changes are told."""

    table: PgTable
    published: Published
    publication: str
    slot: str
    standing: Standing
    flushed: int
    made: frozenset[str]
    shape: Shape


class Following:
    """A table that is followed by its changes. Connections live no longer than a reading."""

    def __init__(self, reading: Reading, setting: Setting, slot: str) -> None:
        self._reading = reading
        self._setting = setting
        self._slot_name = slot
        self._address: Address | None = None

    def read(self, cursor: Cursor | None) -> Iterator[Batch]:
        """Give the table in full without a cursor; else what the log tells from there on.

        It ends where the server's log ended when it began. Where the log does not lead on from the
        cursor, the table comes in full, and a note says why.

        Raises:
            Refused: what is missing on the server, with the SQL that mends it.
            Unavailable: ``database-unreachable``, ``slot-in-use``, ``no-free-slot``.
            Invalid: ``change-without-key``. Corrupt: ``bad-replication-message``.
        """
        before = reached(cursor) if cursor is not None else None
        address = self._where()
        with ExitStack() as stack:
            try:
                session = stack.enter_context(closing(connect(address)))
                refuse_unfit(session, address)
                log = stack.enter_context(closing(connect_to_log(address)))
                place = self._place(session, log)
                slot = slots.find_slot(session, place.slot)
                why = None
                if before is not None:
                    if slot is None:  # on a branch: its cursor is the target's that it was made of
                        at = before.position
                        slot = slots.copied(session, place.slot, before.slot, at)
                    now = Now(
                        standing=place.standing,
                        flushed=place.flushed,
                        forked=left_at(log, before.standing.timeline, place.standing.timeline),
                        defaults=place.table.defaults,
                        made=place.made,
                    )
                    why = broken(before, now, slot, name=place.slot) or self._gone(slot, before)
                if before is None or why is not None:
                    yield from self._in_full(session, log, place, slot, before, why)
                    return
                misfit = yield from self._changes(session, log, place, before)
                if misfit is None:
                    return
                log.close()
                log = stack.enter_context(closing(connect_to_log(address)))
                place = self._place(session, log)
                yield from self._in_full(session, log, place, slot, before, misfit)
            except psycopg.Error as error:
                raise failure(error, address, doing=f"reading {self._reading.relation}") from error

    def acknowledge(self, cursor: Cursor) -> None:
        """Let the server forget the log up to a published cursor.

        Raises:
            Unavailable: ``database-unreachable``, ``slot-in-use``.
        """
        address = self._where()
        try:
            with closing(connect(address)) as session:
                position = lsn_text(reached(cursor).position)
                self._patiently(lambda: slots.advance(session, self._slot_name, position))
        except psycopg.Error as error:
            raise failure(error, address, doing="acknowledging") from error

    def reserved(self, cursor: Cursor | None) -> Mapping[str, str]:
        """Ask how much of its log the server keeps for this reader, and for others of ours.

        Raises:
            Unavailable: ``database-unreachable``. Refused: ``database-login``.
        """
        address = self._where()
        position = reached(cursor).position if cursor is not None else None
        try:
            with closing(connect(address)) as session:
                return slots.told(session, self._slot_name, position)
        except psycopg.Error as error:
            raise failure(error, address, doing="asking for its slots") from error

    # -- what there is

    def _where(self) -> Address:
        if self._address is None:
            reading, reveal = self._reading, self._setting.reveal
            self._address = address_of(
                reveal(reading.url),
                root=self._setting.root,
                user=reveal(reading.user),
                password=reveal(reading.password),
            )
        if self._address.family != POSTGRESQL:
            raise Invalid(
                "bad-database-url",
                f"{self._address.shown} is no PostgreSQL database; only its log can be read.",
                hint="Read others by a cursor column: hg.database(url, relation, cursor=...).",
            )
        return self._address

    def _place(self, session: Session, log: Session) -> _Place:
        reading = self._reading
        table = find_table(session, reading.relation)
        refuse_without_identity(table)
        publication = reading.publication or publication_name(table)
        published = publish(session, publication, table)
        columns = tuple(
            column
            for column in table.columns
            if published.columns is None or column[0] in published.columns
        )
        key = self._key(table, columns)
        [(server, timeline, flushed, *_)] = log.execute("IDENTIFY_SYSTEM").fetchall()
        storage = storage_of(session, table)
        shape = Shape(
            table=table.shown,
            kinds=kinds_of(session, columns),
            key=key,
            as_log=reading.keep == KEEP_LOG,
        )
        _refuse_names(shape)
        return _Place(
            table=table,
            published=published,
            publication=publication,
            slot=self._slot_name,
            standing=Standing(
                server=str(server),
                database=session.info.dbname,
                table=table.oid,
                published=published.standing,
                columns=columns,
                timeline=int(timeline),
                entries=tuple(table.entries[name] for name, _, _ in columns),
                files=storage.files,
            ),
            flushed=read_lsn(flushed),
            made=storage.made,
            shape=shape,
        )

    def _key(self, table: PgTable, columns: ColumnsSeen) -> tuple[str, ...]:
        """Give what rows are known by: as said, as far as the log tells it.

        Raises:
            Refused: ``key-not-in-the-log``, ``key-without-index``.
        """
        names = [name for name, _, _ in columns]
        told = names if table.identity == FULL else [name for name in table.key if name in names]
        key = self._reading.key or (() if table.identity == FULL else tuple(told))
        missing = [name for name in key if name not in told]
        if missing or (not key and self._reading.keep != KEEP_LOG):
            raise Refused(
                "key-not-in-the-log",
                f"The log does not tell {', '.join(missing) or 'by which key'} of a row of "
                f"{table.shown} that is deleted; its replica identity is "
                f"{', '.join(table.key) or 'every column'}.",
                hint=f"Say key=..., of these columns; or run:  alter table {table.sql} "
                "replica identity full",
                table=table.shown,
            )
        if self._reading.keep != KEEP_LOG and not any(each <= {*key} for each in table.unique):
            indexed = ", ".join(map(quoted, key))
            raise Refused(
                "key-without-index",
                f"Nothing on the server keeps two rows of {table.shown} from having one key "
                f"({', '.join(key)}): here they would be one row, and none once either is deleted.",
                hint=f"Run:  create unique index on {table.sql} ({indexed})\n"
                'Or keep the log of its changes:  keep="log"',
                table=table.shown,
            )
        return key

    # -- in full

    def _in_full(
        self,
        session: Session,
        log: Session,
        place: _Place,
        slot: slots.Slot | None,
        before: Reached | None,
        why: str | None,
    ) -> Iterator[Batch]:
        """Give the table at one position of the log, from which its slot goes on."""
        if slot is not None and slot.is_lost:
            self._patiently(lambda: slots.drop(session, place.slot))
            slot = None
        name = place.slot if slot is None else f"{place.slot[:52]}_{session.info.backend_pid}"
        [made] = log.execute(slots.creation(name, temporary=slot is not None)).fetchall()
        position, snapshot = read_lsn(made[1]), str(made[2])
        here = Reached(
            number=before.number + 1 if before else 1,
            position=position,
            slot=place.slot,
            standing=place.standing,
        )
        note = f"{place.table.shown} was read in full: {why}." if why else None
        if not place.shape.as_log:
            yield Batch(rows=nothing(place.shape, 0, "truncate"), cursor=None, note=note)
            note = None
        waiting: Rows | None = None
        for texts in read_snapshot(
            session,
            place.table,
            snapshot=snapshot,
            columns=[name for name, _, _ in place.standing.columns],
            where=place.published.where,
            batch_rows=self._reading.batch_rows,
        ):
            if waiting is not None:
                yield Batch(rows=waiting.rows, cursor=None, unread=waiting.unread, note=note)
                note = None
            waiting = snapshot_rows(place.shape, texts, position)
        if waiting is not None:
            yield Batch(rows=waiting.rows, cursor=here.cursor(), unread=waiting.unread, note=note)

    # -- changes

    def _changes(
        self, session: Session, log: Session, place: _Place, before: Reached
    ) -> Generator[Batch, None, str | None]:
        """Give what the log tells; return why it cannot be understood, if so, after nothing."""
        row = session.execute("select pg_current_wal_flush_lsn()::text").fetchone()
        until = read_lsn(row[0]) if row is not None else 0
        if until <= before.position:
            return None
        stream = self._patiently(
            lambda: LogStream(
                log,
                self._where(),
                slot=place.slot,
                publication=place.publication,
                confirmed=before.position,
                clock=self._setting.clock,
            )
        )
        # While it was waited for, another reader may have told the slot to let go of more.
        gone = self._gone(slots.find_slot(session, place.slot), before)
        if gone is not None:
            return gone
        table = place.table  # under another name for a while, perhaps; or another under its name
        names = (table.namespace, table.name)
        decoder = Decoder(lambda r: r.oid == table.oid or (r.namespace, r.name) == names)
        reader = _Reader(place, before)
        for messages in stream.portions(until):
            for event in decoder.decode(messages):
                match event:
                    case Told(relation=relation):
                        misfit = reader.told(relation)
                        if misfit is not None:  # up to here is enough, if it is a whole
                            moved = reader.at.position > before.position
                            return None if moved and not reader.is_within else misfit
                    case Changed():
                        reader.changed(event)
                    case Truncated():
                        reader.truncated(event)
                    case Committed(position=position):
                        yield from reader.committed(position)
            yield from reader.waiting()
        if until - reader.at.position >= QUIET_BYTES and not decoder.in_transaction:
            yield from reader.quiet(until)
        return None

    def _gone(self, slot: slots.Slot | None, before: Reached) -> str | None:
        """Say that what came after the cursor is gone, if it is.

        Where another run has published it meanwhile, what is read now is read again on top of that,
        and the log from the slot on is enough.
        """
        gone, published = ahead(slot, before), self._setting.published
        if gone is not None and published is not None and published() != before.cursor().text():
            return None
        return gone

    def _patiently(self, call: Callable[[], _Given]) -> _Given:
        """Wait a little for a slot that somebody else still holds."""
        return retrying(
            call,
            again=is_transient,
            clock=self._setting.clock,
            random=Random(),  # noqa: S311 - of no secret
            retry=PATIENCE,
        )


class _Reader:
    """Makes batches of what the log tells: cursors stand at ends of transactions.

    ``at`` is where the last whole transaction ended; ``is_within`` says that rows of one were given
    that has not ended.
    """

    def __init__(self, place: _Place, before: Reached) -> None:
        self._place = place
        self._shape = place.shape
        self._pending: list[Rows] = []
        self._next = 1
        self.is_within = False
        self.at = replace(before, slot=place.slot, standing=place.standing)

    def told(self, relation: Relation) -> str | None:
        """Hear of the table's columns; say why its rows cannot be understood, if so."""
        columns = tuple((c.name, c.type_oid, c.modifier) for c in relation.columns)
        if relation.oid != self._place.table.oid or not fits(columns, self._place.standing.columns):
            return "its columns changed while the log was written"
        known_by = {column.name for column in relation.columns if column.is_identity}
        if not known_by.issuperset(self._shape.key):
            return "what its rows are known by changed while the log was written"
        return None

    def changed(self, event: Changed) -> None:
        """Take changes."""
        self._add(change_rows(self._shape, event, self._next), len(event))

    def truncated(self, event: Truncated) -> None:
        """Take a truncation."""
        self._add(truncation(self._shape, event, self._next), 1)

    def committed(self, position: int) -> Iterator[Batch]:
        """Give what is whole; the last batch has the cursor."""
        given, self.is_within = self.is_within, False
        if not self._pending and not given:
            return
        after = self.at.at(position)
        if not self._pending:  # all of it was given: what is left to say is where it ended
            self._pending = [Rows(rows=nothing(self._shape, self._next))]
        *first, last = self._pending
        self._pending = []
        yield from self._batches(first, self.at)
        self.at = after
        yield from self._batches([last], after)

    def waiting(self) -> Iterator[Batch]:
        """Give what came of a transaction that has not ended."""
        given, self._pending = self._pending, []
        self.is_within = self.is_within or bool(given)
        yield from self._batches(given, self.at)

    def quiet(self, position: int) -> Iterator[Batch]:
        """Move the cursor, where nothing happened."""
        self.at = self.at.at(position)
        yield from self._batches([Rows(rows=nothing(self._shape, self._next))], self.at)

    def _add(self, rows: Rows, count: int) -> None:
        self._pending.append(rows)
        self._next += count

    def _batches(self, given: Sequence[Rows], at: Reached) -> Iterator[Batch]:
        for each in given:
            yield Batch(rows=each.rows, cursor=at.cursor(), unread=each.unread)


def _refuse_names(shape: Shape) -> None:
    """Refuse columns that have a name of ours.

    Raises:
        Refused: ``column-name-taken``.
    """
    taken = [name for name in shape.kinds if shape.as_log and name in LOG_COLUMNS]
    if taken:
        raise Refused(
            "column-name-taken",
            f"{shape.table} has a column {taken[0]}, which a change log has, too.",
            hint='Keep the table (keep="table"), or rename the column.',
            table=shape.table,
            column=taken[0],
        )
