"""Messages of the Airbyte protocol, version 0.2: one JSON object a line (docs.airbyte.com).

Only what is needed of them is read. A record's data stays the text that it was.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from headgate.errors import NotFound, Refused
from headgate.names import suggestion

FULL: Final = "full_refresh"
INCREMENTAL: Final = "incremental"


class Record(msgspec.Struct):
    """A row: its stream, and its data as it stands in the message."""

    stream: str
    data: msgspec.Raw


class Log(msgspec.Struct):
    """What a connector tells people."""

    level: str = "INFO"
    message: str = ""


class TraceError(msgspec.Struct):
    """What broke. ``failure_type``: ``config_error``, ``transient_error`` or ``system_error``."""

    message: str | None = None
    internal_message: str | None = None
    failure_type: str = "system_error"


class Trace(msgspec.Struct):
    """What a connector tells programs; only its errors count here."""

    type: str = ""
    error: TraceError | None = None


class Status(msgspec.Struct):
    """The answer to ``check``."""

    status: str = ""
    message: str | None = None


class Stream(msgspec.Struct):
    """A stream as ``discover`` describes it."""

    name: str
    json_schema: dict[str, Any] = {}
    supported_sync_modes: tuple[str, ...] = (FULL,)
    source_defined_cursor: bool | None = None
    default_cursor_field: list[str] | None = None
    source_defined_primary_key: list[list[str]] | None = None
    namespace: str | None = None


class Catalog(msgspec.Struct):
    """The answer to ``discover``."""

    streams: list[Stream] = []


class Spec(msgspec.Struct, rename="camel"):
    """The answer to ``spec``: a JSON schema of the configuration."""

    connection_specification: dict[str, Any] = {}


class Message(msgspec.Struct, rename={"connection_status": "connectionStatus"}):
    """A line of a connector's stdout."""

    type: str
    record: Record | None = None
    state: dict[str, Any] | None = None
    log: Log | None = None
    trace: Trace | None = None
    catalog: Catalog | None = None
    spec: Spec | None = None
    connection_status: Status | None = None


_decoder = msgspec.json.Decoder(Message)


def parsed(line: bytes) -> Message | None:
    """Read a line; None where it is none of the protocol's: connectors print other things, too."""
    if not line.startswith(b"{"):
        return None
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def chosen_stream(catalog: Catalog, name: str, namespace: str | None, source: str) -> Stream:
    """Give the stream of a catalog.

    Raises:
        NotFound: ``unknown-stream``. Refused: ``ambiguous-stream``.
    """
    found = [
        each
        for each in catalog.streams
        if each.name == name and namespace in (None, each.namespace)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        there = ", ".join(each.namespace or "none" for each in found)
        raise Refused(
            "ambiguous-stream",
            f"{source} has several streams {name!r}, in the namespaces {there}.",
            hint='Say which:  namespace="..."',
            stream=name,
        )
    names = [each.name for each in catalog.streams]
    meant = suggestion(name, names)
    raise NotFound(
        "unknown-stream",
        f"{source} has no stream {name!r}; it has: {', '.join(names) or 'none'}.",
        hint=f"Did you mean {meant}?" if meant else None,
        stream=name,
    )


def configured(
    stream: Stream, *, incremental: bool, cursor_field: Sequence[str], key: Sequence[str]
) -> dict[str, object]:
    """Give the catalog that ``read`` is told: one stream."""
    described = msgspec.to_builtins(stream)
    primary = stream.source_defined_primary_key or [[each] for each in key]
    return {
        "streams": [
            {
                "stream": {k: v for k, v in described.items() if v is not None},
                "sync_mode": INCREMENTAL if incremental else FULL,
                "destination_sync_mode": "append" if incremental else "overwrite",
                "cursor_field": list(cursor_field or stream.default_cursor_field or ()),
                "primary_key": primary,
            }
        ]
    }


def kept_state(state: Mapping[str, Any]) -> str:
    """Give a STATE message's text as it is handed to the next ``read``.

    Raises:
        Refused: ``connector-state-unreadable``.
    """
    kind = state.get("type", "LEGACY")
    if kind in {"STREAM", "GLOBAL"}:
        kept = {"type": kind, kind.lower(): state.get(kind.lower())}
        return msgspec.json.encode([kept], order="sorted").decode()
    if kind == "LEGACY" and "data" in state:
        return msgspec.json.encode(state["data"], order="sorted").decode()
    raise Refused(
        "connector-state-unreadable",
        f"The connector gave a STATE of the type {kind!r}, which nobody knows here.",
        hint="Upgrade headgate.",
    )
