"""Reading an API in tests: its records, from a cursor, with a clock and a draw of one's own."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from headgate.clock import Clock, ManualClock
from headgate.secrets import Reveal
from headgate.sources import Batch, Cursor, RestSource, Setting

START = datetime(2026, 1, 1, tzinfo=UTC)


class Upper(Random):
    """Draws the upper end of every range: backoffs are as long as they can be."""

    def random(self) -> float:
        return 1.0


class Lower(Random):
    """Draws the lower end of every range: nobody waits longer than it is asked to."""

    def random(self) -> float:
        return 0.0


def setting(*, appends: bool = False, clock: Clock | None = None, reveal: Reveal = str) -> Setting:
    return Setting(
        root=Path.cwd(),
        cache=Path.cwd(),
        appends=appends,
        clock=clock or ManualClock(START),
        reveal=reveal,
    )


def record(number: int) -> dict[str, object]:
    return {"id": number, "at": f"2026-01-01T00:{number // 60:02d}:{number % 60:02d}Z"}


def records_of(*batches: Batch) -> list[dict[str, object]]:
    texts = [text for batch in batches for text in batch.rows["_hg_record"].to_pylist()]
    return [json.loads(text) for text in texts]


def read(
    options: Mapping[str, object],
    cursor: Cursor | None = None,
    *,
    appends: bool = False,
    clock: Clock | None = None,
    random: Random | None = None,
    reveal: Reveal = str,
) -> list[Batch]:
    given = setting(appends=appends, clock=clock, reveal=reveal)
    source = RestSource({"records": "data", **options}, given, random=random or Lower())
    return list(source.read(cursor))
