"""Reading options: each taken once, checked, with what is wrong said by its full name."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from headgate.errors import Invalid
from headgate.names import suggestion
from headgate.retrying import Retry
from headgate.secrets import Secret, with_secrets

_DURATION: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d)\s*\Z")
_UNITS_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


class Options:
    """The options of one mapping. ``name`` is where it stands, for messages (``pages``)."""

    def __init__(self, given: object, name: str = "") -> None:
        if not isinstance(given, Mapping):
            raise bad(name, f"{name} is a mapping of options, not {given!r}.")
        self._name = name
        self._left = {str(key): value for key, value in given.items() if value is not None}
        self._known: list[str] = []

    def take(self, name: str) -> object:
        """Give a value as it is; None where it is not said."""
        self._known.append(name)
        return self._left.pop(name, None)

    def text(self, name: str) -> str | None:
        """Give a text."""
        value = self.take(name)
        if value is None or isinstance(value, str):
            return value
        raise self.bad(name, f"is a text, not {value!r}")

    def needed(self, name: str, why: str) -> str:
        """Give a text that has to be said."""
        value = self.text(name)
        if not value:
            raise self.bad(name, f"is missing: {why}")
        return value

    def choice(self, name: str, choices: Sequence[str], default: str) -> str:
        """Give one of several words."""
        value = self.take(name)
        if value is None:
            return default
        if value not in choices:
            raise self.bad(name, f"is one of {', '.join(choices)}, not {value!r}", choices, value)
        return str(value)

    def words(self, name: str, choices: Sequence[str] | None = None) -> tuple[str, ...]:
        """Give one or several words."""
        value = self.take(name)
        listed = (value,) if isinstance(value, str) else value
        if listed is None:
            return ()
        if not isinstance(listed, (list, tuple)) or not all(isinstance(x, str) for x in listed):
            raise self.bad(name, f"is a text or several, not {value!r}")
        for word in listed:
            if choices is not None and word not in choices:
                raise self.bad(name, f"takes {', '.join(choices)}, not {word!r}", choices, word)
        return tuple(listed)

    def number(self, name: str, default: int | None = None, *, least: int = 1) -> int | None:
        """Give a whole number, not below ``least``."""
        value = self.take(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise self.bad(name, f"is a whole number from {least} on, not {value!r}")
        return value

    def counted(self, name: str, default: int, *, least: int = 1) -> int:
        """Give a whole number that has a usual value."""
        value = self.number(name, default, least=least)
        return default if value is None else value

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Give True or False."""
        value = self.take(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.bad(name, f"is true or false, not {value!r}")
        return value

    def duration(self, name: str, default: timedelta | None = None) -> timedelta | None:
        """Give a length of time: seconds, or ``"1.5s"``, ``"10m"``, ``"2h"``, ``"1d"``."""
        value = self.take(name)
        if value is None:
            return default
        if isinstance(value, timedelta) and value >= timedelta():
            return value
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
            return timedelta(seconds=value)
        found = _DURATION.match(value) if isinstance(value, str) else None
        if found is None:
            raise self.bad(name, f'is a length of time ("30s", "10m", "2h", "1d"), not {value!r}')
        return timedelta(seconds=float(found[1]) * _UNITS_S[found[2]])

    def lasting(self, name: str, default: timedelta) -> timedelta:
        """Give a length of time that has a usual value."""
        value = self.duration(name, default)
        return default if value is None else value

    def seconds(self, name: str, default: float) -> float:
        """Give a length of time in seconds; none is the usual one."""
        return self.lasting(name, timedelta(seconds=default)).total_seconds() or default

    def mapping(self, name: str) -> Mapping[str, object]:
        """Give a mapping; an empty one where it is not said."""
        value = self.take(name)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise self.bad(name, f"is a mapping, not {value!r}")
        return {str(key): inner for key, inner in value.items()}

    def inner(self, name: str) -> "Options | None":
        """Give the options of a mapping within; None where it is not said."""
        value = self.take(name)
        return None if value is None else Options(value, f"{self._name}.{name}".lstrip("."))

    def credential(self, name: str) -> str | Secret | None:
        """Give a text or a secret's name."""
        value = with_secrets(self.take(name))
        if value is None or isinstance(value, (str, Secret)):
            return value
        raise self.bad(name, "is a text or a secret")  # without the value

    def end(self) -> None:
        """Refuse what nobody took.

        Raises:
            Invalid: ``unknown-option``.
        """
        for name in self._left:
            meant = suggestion(name, self._known)
            of = f"{self._name} has" if self._name else "This source has"
            raise Invalid(
                "unknown-option",
                f"{of} no option {name!r}; there are {', '.join(sorted(set(self._known)))}.",
                hint=f"Did you mean {meant}?" if meant else None,
                option=name,
            )

    def bad(
        self, name: str, what: str, choices: Sequence[str] = (), given: object = None
    ) -> Invalid:
        """Give the error for an option that cannot be taken, with the choice that may be meant."""
        full = f"{self._name}.{name}".lstrip(".")
        meant = suggestion(given, choices) if isinstance(given, str) else None
        return bad(full, f"{full} {what}.", f"Did you mean {meant}?" if meant else None)


def retry_of(given: object) -> Retry:
    """Read how often to try again.

    Raises:
        Invalid: ``bad-option``, ``unknown-option``, ``bad-retry``.
    """
    if given is None:
        return Retry()
    if isinstance(given, Retry):
        return given
    options, usual = Options(given, "retry"), Retry()
    retry = Retry(
        attempts=options.counted("attempts", usual.attempts),
        first=options.lasting("first", usual.first),
        longest=options.lasting("longest", usual.longest),
        patience=options.lasting("patience", usual.patience),
    )
    options.end()
    return retry


def bad(option: str, message: str, hint: str | None = None) -> Invalid:
    """Give the error ``bad-option``."""
    return Invalid("bad-option", message, hint=hint, option=option)
