"""What is asked and what is answered, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

USER_AGENT: Final = "headgate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What proves who asks; sent to the origins they are for, never shown."""

    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked. The address has no credentials in it."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer. ``url`` is as it may be shown; names of headers are lower-case."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    fetched_at: datetime
