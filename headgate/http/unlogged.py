"""Requests of ours are not logged by the library that sends them.

At DEBUG it logs the headers of every answer: where a redirect leads with the key in it, the cookies
that were set. Other users of the library in this process are logged as they wish.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_LIBRARY: Final = tuple(
    f"httpcore2.{part}" for part in ("connection", "http11", "http2", "proxy", "socks")
)
_OURS: Final[ContextVar[bool]] = ContextVar("headgate_http_ours", default=False)
"""Whether what goes on in this thread is a request of ours: loggers know nothing else of it."""


class _NotOurs(logging.Filter):
    """Lets pass what is logged outside of our requests."""

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 - all of ours are alike
        return not _OURS.get()


@contextmanager
def unlogged() -> Iterator[None]:
    """Keep the library silent about what is asked within."""
    for name in _LIBRARY:
        logger = logging.getLogger(name)
        if not any(isinstance(each, _NotOurs) for each in logger.filters):
            logger.addFilter(_NotOurs())
    before = _OURS.set(True)
    try:
        yield
    finally:
        _OURS.reset(before)
