"""The log as it comes over a replication connection: messages in portions, until a position.

PostgreSQL, "Streaming Replication Protocol". The server hears only of what was published before
this reading began: what we read meanwhile stays in its log.
"""

import select
import struct
from collections.abc import Iterator
from typing import Final

import psycopg
from psycopg import pq

from headgate.clock import Clock
from headgate.errors import Unavailable
from headgate.sources.databases.addresses import Address
from headgate.sources.postgres_changes.catalog import Session, quoted
from headgate.sources.postgres_changes.failures import failure
from headgate.sources.postgres_changes.messages import Message
from headgate.sources.postgres_changes.positions import lsn_text
from headgate.sources.postgres_changes.sessions import now_micros

MOST_MESSAGES: Final = 65_536
MOST_BYTES: Final = 16 * 1024 * 1024

_DATA, _KEEPALIVE, _BEGIN, _COMMIT = ord("w"), ord("k"), ord("B"), ord("C")
_KIND, _COMMIT_END = 25, 35
_WAIT_S: Final = 0.05
_OFTEN_S: Final = 10.0


class LogStream:
    """A slot's messages from a position on. ``confirmed`` is what was published up to now."""

    def __init__(
        self,
        session: Session,
        address: Address,
        *,
        slot: str,
        publication: str,
        confirmed: int,
        clock: Clock,
    ) -> None:
        self._pgconn = session.pgconn
        self._session = session
        self._address = address
        self._confirmed = confirmed
        self._clock = clock
        self._said_s = clock.monotonic_s()
        self._start(slot, publication)

    def portions(self, until: int) -> Iterator[list[Message]]:
        """Give messages until every transaction that was committed before ``until`` has come."""
        waiting: list[Message] = []
        size = 0
        done = within = False
        take = self._pgconn.get_copy_data
        try:
            while not done:
                count, data = take(1)
                if count > 0:
                    kind = data[0]
                    if kind == _DATA:
                        waiting.append(data)
                        size += count
                        mark = data[_KIND]
                        if mark == _BEGIN:
                            within = True
                        elif mark == _COMMIT:
                            within = False
                            end = int.from_bytes(data[_COMMIT_END : _COMMIT_END + 8], "big")
                            done = end >= until
                    elif kind == _KEEPALIVE:  # what has begun is taken whole, though it ends later
                        done = self._kept_alive(data, until) and not within
                    if size < MOST_BYTES and len(waiting) < MOST_MESSAGES and not done:
                        continue
                    if waiting:
                        yield waiting
                        waiting, size = [], 0
                        self._say_soon()
                elif count == 0:
                    self._wait()
                else:
                    raise self._ended()
        except psycopg.Error as error:
            raise failure(error, self._address, doing="reading its log") from error

    def _start(self, slot: str, publication: str) -> None:
        name = publication.replace("'", "''")
        command = (
            f"START_REPLICATION SLOT {quoted(slot)} LOGICAL {lsn_text(self._confirmed)} "
            f"(proto_version '1', publication_names '{quoted(name)}')"
        )
        result = self._pgconn.exec_(command.encode())
        if result.status != pq.ExecStatus.COPY_BOTH:
            raise psycopg.errors.error_from_result(result, encoding="utf-8")
        self._say(asks=False)

    def _kept_alive(self, data: Message, until: int) -> bool:
        """Hear how far the server has come; answer if it asks."""
        [end] = struct.unpack_from(">q", data, 1)
        if data[17]:
            self._say(asks=False)
        return bool(end >= until)

    def _wait(self) -> None:
        """Wait for more; where nothing comes, ask how far the server is."""
        ready, _, _ = select.select([self._pgconn.socket], [], [], _WAIT_S)
        if ready:
            self._pgconn.consume_input()
        else:
            self._say(asks=True)

    def _say_soon(self) -> None:
        if self._clock.monotonic_s() - self._said_s > _OFTEN_S:
            self._say(asks=False)

    def _say(self, *, asks: bool) -> None:
        """Tell the server what may go: a standby status update."""
        self._said_s = self._clock.monotonic_s()
        at = self._confirmed
        self._pgconn.put_copy_data(
            struct.pack(">cqqqqB", b"r", at, at, at, now_micros(self._clock), int(asks))
        )
        self._pgconn.flush()

    def _ended(self) -> Unavailable:
        """Give why the server stopped sending."""
        result = self._pgconn.get_result()
        said = result.error_message.decode("utf-8", "replace") if result is not None else ""
        return Unavailable(
            "database-unreachable",
            f"{self._address.shown} ended the reading of its log: "
            f"{self._address.hide(said) or 'it is shut down'}.",
            readers="Nothing was published; what was read is read again.",
            hint="Run it again when the server is there.",
            database=self._address.shown,
        )
