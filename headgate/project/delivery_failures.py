"""The last failure of each sink, noted down in the cache of whoever delivered.

It is for people who ask later why a sink is behind, and may be dropped at any time. What is noted
names tables and columns, and no row.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from headgate.errors import HeadgateError


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFailure:
    """Why a delivery did not arrive, and when that was."""

    at: datetime
    code: str
    message: str


class DeliveryFailures:
    """A file a sink, in ``directory``. What cannot be written there is not noted."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def note(self, sink: str, error: HeadgateError, at: datetime) -> None:
        """Note down a failure in the place of the one before."""
        failure = DeliveryFailure(at=at, code=error.code, message=error.message)
        file = self._file(sink)
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            beside = file.with_suffix(".new")
            beside.write_bytes(msgspec.json.encode(failure))
            beside.replace(file)

    def forget(self, sink: str) -> None:
        """Forget a failure: something arrived."""
        with suppress(OSError):
            self._file(sink).unlink(missing_ok=True)

    def last(self, sink: str) -> DeliveryFailure | None:
        """Give the last failure since something arrived, as far as it was noted here."""
        try:
            return msgspec.json.decode(self._file(sink).read_bytes(), type=DeliveryFailure)
        except (OSError, msgspec.MsgspecError):
            return None

    def _file(self, sink: str) -> Path:
        return self._directory / f"{sink}.json"
