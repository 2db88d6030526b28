"""Every error headgate raises: what happened, what readers see now, what to do next.

The class says what the caller can do; the ``code`` says what happened, and never changes::

    HeadgateError
    ├── NotFound       also LookupError    the named thing does not exist
    ├── AlreadyExists                      the name is taken
    ├── Conflict                           somebody else published first: try again
    ├── Refused                            a policy forbids it; the message says who may or how else
    ├── CheckFailed                        the data broke a contract
    ├── StepFailed                         the user's code raised
    ├── Invalid        also ValueError     the request, declaration or file is wrong
    ├── Unavailable                        the outside world did not answer; retrying may help
    ├── Corrupt                            stored bytes are not what was written
    ├── Interrupted                        somebody pressed Ctrl-C; the work so far is kept
    └── Internal                           a bug of ours
"""

from collections.abc import Mapping


class HeadgateError(Exception):
    """The root of everything headgate raises.

    Args:
        code: stable kebab-case name of what happened, documented in ``docs/errors.md``.
        message: what happened, to which named thing.
        readers: what readers of the target see now, where that is a question.
        hint: what to do next; a command where there is one.
        facts: the values the message speaks of, for programs (JSON-able).
    """

    category = "internal"

    def __init__(
        self,
        code: str,
        message: str,
        *,
        readers: str | None = None,
        hint: str | None = None,
        **facts: object,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.readers = readers
        self.hint = hint
        self.facts: Mapping[str, object] = facts

    def __str__(self) -> str:
        """Give the three parts, a line each."""
        return "\n".join(part for part in (self.message, self.readers, self.hint) if part)

    def __reduce__(self) -> tuple[object, ...]:
        """Travel between processes whole."""
        return _rebuild, (
            type(self),
            self.code,
            self.message,
            self.readers,
            self.hint,
            dict(self.facts),
        )


def _rebuild(
    kind: type[HeadgateError],
    code: str,
    message: str,
    readers: str | None,
    hint: str | None,
    facts: dict[str, object],
) -> HeadgateError:
    error = kind(code, message, readers=readers, hint=hint)
    error.facts = facts
    return error


class NotFound(HeadgateError, LookupError):  # noqa: N818 - the category's name is the class's name
    """The named thing does not exist."""

    category = "not-found"


class AlreadyExists(HeadgateError):  # noqa: N818
    """The name is taken."""

    category = "already-exists"


class Conflict(HeadgateError):  # noqa: N818
    """Somebody else published first; try again from the new head."""

    category = "conflict"


class Refused(HeadgateError):  # noqa: N818
    """A policy forbids it."""

    category = "refused"


class CheckFailed(HeadgateError):  # noqa: N818
    """The data broke a contract."""

    category = "check-failed"


class StepFailed(HeadgateError):  # noqa: N818
    """The user's code raised, or returned what its declaration does not allow."""

    category = "step-failed"

    @classmethod
    def of(cls, error: HeadgateError) -> "StepFailed":
        """Give a step's failure for what its query or its rows broke; the code stays."""
        failed = cls(error.code, error.message, readers=error.readers, hint=error.hint)
        failed.facts = error.facts
        failed.__cause__ = error
        return failed.with_traceback(error.__traceback__)


class Invalid(HeadgateError, ValueError):  # noqa: N818
    """The request, a declaration or a file is wrong."""

    category = "invalid"


class Unavailable(HeadgateError):  # noqa: N818
    """The outside world did not answer; trying again may help."""

    category = "unavailable"


class Corrupt(HeadgateError):  # noqa: N818
    """Stored bytes are not what was written."""

    category = "corrupt"


class Interrupted(HeadgateError):  # noqa: N818
    """The run was interrupted; its branch is kept."""

    category = "interrupted"


class Internal(HeadgateError):  # noqa: N818
    """A bug of ours."""

    category = "internal"
