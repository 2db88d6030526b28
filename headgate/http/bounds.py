"""What a request may take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a request may take, and how many connections there are at once.

    ``answer_timeout_s`` is for the whole of an answer, ``read_timeout_s`` for any piece of it.
    """

    largest_bytes: int = 256 << 20
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 60.0
    answer_timeout_s: float = 600.0
    connections: int = 8
