"""Instants and days written as text."""

from datetime import UTC, datetime


def read_instant(text: str, *, utc: bool) -> datetime:
    """Read an ISO instant: aware and in UTC (a text without zone is UTC), or without a zone.

    Raises:
        ValueError: it is none, or has a zone where none may be.
    """
    instant = datetime.fromisoformat(text)
    if utc:
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    if instant.tzinfo is not None:
        raise ValueError(text)
    return instant
