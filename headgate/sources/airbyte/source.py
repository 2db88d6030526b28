"""A stream of an Airbyte connector as a source: its records, and its state as the cursor."""

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import msgspec
import pyarrow as pa

from headgate.errors import Invalid, Refused
from headgate.names import suggestion
from headgate.secrets import Reveal, Secret
from headgate.source_columns import POSITION, RECORD
from headgate.sources.airbyte.connector import Connector
from headgate.sources.airbyte.messages import (
    INCREMENTAL,
    Message,
    Stream,
    chosen_stream,
    configured,
    kept_state,
)
from headgate.sources.cursors import Cursor
from headgate.sources.source import Batch, Description, NativeRead, Setting

BATCH_ROWS: Final = 10_000
BATCH_BYTES: Final = 16 << 20
SILENCE_S: Final = 3600

Text: TypeAlias = str | Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class AirbyteOptions:
    """What an Airbyte connector is declared with.

    ``keyed`` says that rows are known by a key at the destination, so that a record may come twice;
    ``repeats`` that it may although they are appended.
    """

    command: tuple[str, ...]
    config: Mapping[str, object]
    stream: str
    namespace: str | None
    cursor_field: tuple[str, ...]
    key: tuple[str, ...]
    environment: Mapping[str, Text]
    repeats: bool
    silence_s: float


class AirbyteSource:
    """A stream of a program that speaks the Airbyte protocol.

    Options: ``command`` (words, or one text that is divided as shells do), ``config`` (may hold
    secrets), ``stream``, ``namespace``, ``cursor_field``, ``primary_key``, ``environment``,
    ``repeats``, ``silence_s``.

    Raises:
        Invalid: ``unknown-option``, ``bad-option``.
    """

    kind = "airbyte"

    def __init__(self, options: Mapping[str, object], setting: Setting) -> None:
        self._options = parsed_options(options)
        self._setting = setting

    def describe(self) -> Description:
        """Name stream and program. No I/O."""
        program = Path(self._options.command[0]).name
        return Description(
            kind=self.kind,
            title=f"{self._options.stream} of {program}",
            facts={"command": shlex.join(self._options.command)},
        )

    def cursor(self, text: str) -> Cursor:
        """Read a stored cursor: how many states were taken, and the last one."""
        found = Cursor.parse(text, kind=self.kind)
        state = found.sequence[1] if found.sequence and len(found.sequence) == 2 else None  # noqa: PLR2004
        if not isinstance(state, str) or not isinstance((found.sequence or ("",))[0], int):
            raise Invalid("bad-cursor", f"This is no cursor of a connector: {text[:80]!r}.")
        return found

    def fingerprint(self) -> str | None:
        """Know nothing without reading."""
        return None

    def native(self, cursor: Cursor | None) -> NativeRead | None:
        """Give no files."""
        del cursor
        return None

    def acknowledge(self, cursor: Cursor) -> None:
        """Do nothing: a connector hears its state when it is started again."""

    def close(self) -> None:
        """Do nothing: a process ends with its reading."""

    def read(self, cursor: Cursor | None) -> Iterator[Batch]:
        """Start the connector after a state, from the beginning with None, and give its records.

        A batch ends where a state comes; records behind the last state have its cursor.

        Raises:
            NotFound: ``connector-missing``, ``unknown-stream``. Refused: ``connector-repeats``.
            Invalid: ``connector-refused``. Unavailable: ``connector-failed``, ``connector-silent``.
        """
        options = self._options
        if self._setting.appends and not options.repeats:
            raise Refused(
                "connector-repeats",
                f"{self.describe().title} may give a record twice: Airbyte connectors promise each "
                "record at least once.",
                hint='Let rows be known by a key:  key="id"  (mode="upsert"); or say  '
                'repeats="keep"',
                stream=options.stream,
            )
        connector = self._connector()
        config = msgspec.json.encode(_revealed(options.config, self._setting.reveal))
        if cursor is None:
            self._check(connector, config)
        stream = self._discovered(connector, config)
        incremental = INCREMENTAL in stream.supported_sync_modes
        catalog = configured(
            stream, incremental=incremental, cursor_field=options.cursor_field, key=options.key
        )
        files = {"config": config, "catalog": msgspec.json.encode(catalog)}
        if cursor is not None and cursor.sequence is not None and incremental:
            files["state"] = str(cursor.sequence[1]).encode()
        with connector.said("read", files) as messages:
            yield from self._batches(messages, cursor, incremental=incremental)

    # -- parts

    def _connector(self) -> Connector:
        options, reveal = self._options, self._setting.reveal
        return Connector(
            _found(options.command, self._setting.root),
            root=self._setting.root,
            variables={name: reveal(value) for name, value in options.environment.items()},
            silence_s=options.silence_s,
        )

    def _check(self, connector: Connector, config: bytes) -> None:
        """See that the configuration has what it must have, and that it works.

        Raises:
            Invalid: ``connector-refused``.
        """
        with connector.said("spec", {}) as messages:
            specs = [message.spec for message in messages if message.spec is not None]
        required = specs[0].connection_specification.get("required", ()) if specs else ()
        missing = [str(name) for name in required if name not in self._options.config]
        if missing:
            raise Invalid(
                "connector-refused",
                f"config of {self.describe().title} lacks {', '.join(missing)}.",
                hint=f"Look at what it takes:  {shlex.join(self._options.command)} spec",
                stream=self._options.stream,
            )
        with connector.said("check", {"config": config}) as messages:
            states = [m.connection_status for m in messages if m.connection_status is not None]
        if states and states[-1].status != "SUCCEEDED":
            raise Invalid(
                "connector-refused",
                f"{connector.name} check {states[-1].status.lower()}: "
                f"{states[-1].message or 'it does not say why.'}",
                hint="Mend config=, or what it connects to.",
                stream=self._options.stream,
            )

    def _discovered(self, connector: Connector, config: bytes) -> Stream:
        with connector.said("discover", {"config": config}) as messages:
            catalogs = [message.catalog for message in messages if message.catalog is not None]
        if not catalogs:
            raise Invalid(
                "connector-refused",
                f"{connector.name} discover gave no catalog.",
                hint="Is this program an Airbyte source?",
                stream=self._options.stream,
            )
        return chosen_stream(
            catalogs[-1], self._options.stream, self._options.namespace, connector.name
        )

    def _batches(
        self, messages: Iterator[Message], cursor: Cursor | None, *, incremental: bool
    ) -> Iterator[Batch]:
        name = self._options.stream
        records: list[bytes] = []
        size = count = 0
        before = cursor
        for message in messages:
            if message.record is not None and message.type == "RECORD":
                records.append(bytes(message.record.data))
                size += len(message.record.data)
            elif message.state is not None and message.type == "STATE" and incremental:
                following = _after(before, kept_state(message.state))
                if records or following is not before:
                    yield _batch(records, name, count, following)
                count, records, size, before = count + len(records), [], 0, following
            if len(records) >= BATCH_ROWS or size >= BATCH_BYTES:
                yield _batch(records, name, count, before)
                count, records, size = count + len(records), [], 0
        if records:
            yield _batch(records, name, count, before)


def _after(cursor: Cursor | None, state: str) -> Cursor:
    """Give the cursor of a state; an equal state is no other one."""
    number = 0
    if cursor is not None and cursor.sequence is not None:
        if cursor.sequence[1] == state:
            return cursor
        number = int(cursor.sequence[0])
    return Cursor(kind=AirbyteSource.kind, sequence=(number + 1, state))


def _batch(records: Sequence[bytes], stream: str, before: int, cursor: Cursor | None) -> Batch:
    places = [f"{stream}, record {before + n:,}" for n in range(1, len(records) + 1)]
    texts = pa.array(records, pa.binary()).cast(pa.string())
    return Batch(
        rows=pa.table([texts, pa.array(places, pa.string())], names=[RECORD, POSITION]),
        cursor=cursor,
    )


def _found(command: Sequence[str], root: Path) -> tuple[str, ...]:
    """Give the command with a program that is written as a path made relative to the project."""
    program = command[0]
    return (str(root / program) if os.sep in program else program, *command[1:])


def _revealed(value: object, reveal: Reveal) -> object:
    if isinstance(value, Secret):
        return reveal(value)
    if isinstance(value, Mapping):
        return {name: _revealed(inner, reveal) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_revealed(inner, reveal) for inner in value]
    return value


_KNOWN: Final = (
    "command",
    "config",
    "stream",
    "namespace",
    "cursor_field",
    "primary_key",
    "environment",
    "repeats",
    "silence_s",
)


def parsed_options(options: Mapping[str, object]) -> AirbyteOptions:
    """Read the options of a connector.

    Raises:
        Invalid: ``unknown-option``, ``bad-option``.
    """
    for name in options:
        if name not in _KNOWN:
            meant = suggestion(name, _KNOWN)
            raise Invalid(
                "unknown-option",
                f"An Airbyte connector has no option {name!r}.",
                hint=f"Did you mean {meant}?" if meant else f"It has {', '.join(_KNOWN)}.",
                option=name,
            )
    stream, config = options.get("stream"), options.get("config", {})
    environment, repeats = options.get("environment", {}), options.get("repeats", "refuse")
    silence_s = options.get("silence_s", SILENCE_S)
    if not isinstance(stream, str) or not stream:
        raise _bad("stream", "the name of a stream")
    if not isinstance(config, Mapping):
        raise _bad("config", "a mapping, as the connector's page describes it")
    if not isinstance(environment, Mapping):
        raise _bad("environment", "a mapping of variables to texts or secrets")
    if repeats not in {"refuse", "keep"}:
        raise _bad("repeats", '"refuse" or "keep"')
    if isinstance(silence_s, bool) or not isinstance(silence_s, int | float) or silence_s <= 0:
        raise _bad("silence_s", "a number of seconds")
    namespace = options.get("namespace")
    return AirbyteOptions(
        command=_words(options.get("command")),
        config=config,
        stream=stream,
        namespace=None if namespace is None else str(namespace),
        cursor_field=_names("cursor_field", options.get("cursor_field", ())),
        key=_names("primary_key", options.get("primary_key", ())),
        environment=environment,
        repeats=repeats == "keep",
        silence_s=float(silence_s),
    )


def _words(command: object) -> tuple[str, ...]:
    words = shlex.split(command) if isinstance(command, str) else command
    if not isinstance(words, list | tuple) or not words:
        raise _bad("command", 'the words that start it, like ["source-faker"]')
    if not all(isinstance(word, str) and word for word in words):
        raise _bad("command", "texts only; secrets belong into config= or environment=")
    return tuple(words)


def _names(option: str, value: object) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(each, str) for each in names):
        raise _bad(option, "a name, or a list of names")
    return tuple(names)


def _bad(option: str, wanted: str) -> Invalid:
    return Invalid(
        "bad-option",
        f"{option} of an Airbyte connector is {wanted}.",
        hint="docs/sources.md lists its options.",
        option=option,
    )
