"""Options of a sink as they were declared, read one by one; what nobody knows is refused."""

from collections.abc import Mapping
from typing import TypeVar

from headgate.errors import Invalid
from headgate.names import suggestion
from headgate.secrets import Secret
from headgate.sinks.refusals import bad_option

_Plain = TypeVar("_Plain", str, int)


class SinkOptions:
    """A sink's options. Each is taken once; ``finish`` refuses what was not asked for."""

    def __init__(self, kind: str, options: Mapping[str, object]) -> None:
        self._kind = kind
        self._options = options
        self._known: set[str] = set()

    def secret(self, name: str) -> str | Secret | None:
        """Give a text, or a secret that is not revealed yet.

        Raises:
            Invalid: ``bad-option``.
        """
        value = self._taken(name)
        if value is None or isinstance(value, str | Secret):
            return value
        raise bad_option(name, "it takes a text or a secret")

    def text(self, name: str, default: str | None = None) -> str | None:
        """Give a text.

        Raises:
            Invalid: ``bad-option``.
        """
        return self._plain(name, str, default, "a text")

    def number(self, name: str, default: int | None = None) -> int | None:
        """Give a whole number.

        Raises:
            Invalid: ``bad-option``.
        """
        return self._plain(name, int, default, "a whole number")

    def finish(self) -> None:
        """Refuse options that there are not.

        Raises:
            Invalid: ``bad-option``.
        """
        for name in self._options:
            if name not in self._known:
                meant = suggestion(name, self._known)
                known = ", ".join(sorted(self._known))
                why = f"did you mean {meant}" if meant else f"there are {known}"
                raise bad_option(name, f"{self._kind} has none of that name; {why}")

    def required(self, *names: str) -> Invalid:
        """Give the error for an option that is missing."""
        return bad_option(names[0], f"{self._kind} needs {' or '.join(names)}")

    def _plain(
        self, name: str, type_: type[_Plain], default: _Plain | None, what: str
    ) -> _Plain | None:
        value = self._taken(name)
        if value is None:
            return default
        if isinstance(value, type_) and not isinstance(value, bool):
            return value
        raise bad_option(name, f"it takes {what}")

    def _taken(self, name: str) -> object:
        self._known.add(name)
        return self._options.get(name)
