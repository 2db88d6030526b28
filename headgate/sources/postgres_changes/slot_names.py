"""The names of replication slots: one for each reader, the same in every run."""

import re
from typing import Final

from headgate.digests import digest_json

PREFIX: Final = "headgate_"

_LONGEST = 63
_DIGEST = 10


def slot_name(lake: str, owner: tuple[str, str, str]) -> str:
    """Give the name of a reader's slot: its owner for people, a digest for certainty."""
    pipeline, step, target = owner
    shown = re.sub(r"[^a-z0-9]+", "_", f"{pipeline}_{step}_{target}".lower()).strip("_")
    mark = re.sub(r"[^a-f0-9]", "", digest_json([lake, *owner]).rpartition(":")[2])[:_DIGEST]
    return f"{PREFIX}{shown[: _LONGEST - len(PREFIX) - _DIGEST - 1]}_{mark}"
