"""Exit codes: one per category of error, complete by test."""

from collections.abc import Mapping
from types import MappingProxyType

from headgate.errors import HeadgateError

OK = 0
UNEXPECTED = 1
USAGE = 2
STEP_FAILED = 3
CHECKS_FAILED = 4
CONFLICT = 5
NOT_FOUND = 6
REFUSED = 7
UNAVAILABLE = 8
CORRUPT = 9
INTERRUPTED = 130

BY_CATEGORY: Mapping[str, int] = MappingProxyType(
    {
        "internal": UNEXPECTED,
        "invalid": USAGE,
        "step-failed": STEP_FAILED,
        "check-failed": CHECKS_FAILED,
        "conflict": CONFLICT,
        "not-found": NOT_FOUND,
        "refused": REFUSED,
        "already-exists": REFUSED,
        "unavailable": UNAVAILABLE,
        "corrupt": CORRUPT,
        "interrupted": INTERRUPTED,
    }
)

MEANINGS: Mapping[int, str] = MappingProxyType(
    {
        OK: "done, or nothing to do",
        UNEXPECTED: "a bug of headgate; the message says where the traceback is",
        USAGE: "the command, a declaration or a setting is wrong",
        STEP_FAILED: "a step raised; nothing was published",
        CHECKS_FAILED: "the data broke a contract; nothing was published",
        CONFLICT: "somebody else published first, or the run is parked",
        NOT_FOUND: "the named thing does not exist",
        REFUSED: "a policy forbids it, or the name is taken",
        UNAVAILABLE: "the outside world did not answer, or not in time",
        CORRUPT: "stored bytes are not what was written",
        INTERRUPTED: "Ctrl-C; the run's branch is kept",
    }
)


def exit_code(error: HeadgateError) -> int:
    """Give the code the process ends with."""
    return BY_CATEGORY[error.category]
