"""What a provider of secrets must do: give the value of a name, or say that it has none."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from headgate.errors import Invalid
from headgate.names import suggestion


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where secrets are asked for: the project's directory, and the process's environment."""

    root: Path
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


@runtime_checkable
class SecretProvider(Protocol):
    """Knows secrets. Made of its options and a ``Place``; making one does no I/O."""

    def get(self, name: str) -> str | None:
        """Give a secret's value now; None where this provider has none of that name.

        Raises:
            Unavailable, Refused, Invalid: it cannot say; nobody else is asked then.
        """
        ...

    def where(self, name: str) -> str:
        """Say where it looks for a name, for the message that nobody knows it."""
        ...

    def names(self) -> Iterable[str]:
        """Give the names it can list, to suggest one; none where it cannot."""
        ...


def only(kind: str, options: Mapping[str, object], known: Iterable[str]) -> None:
    """Refuse options that a provider does not have.

    Raises:
        Invalid: ``unknown-option``.
    """
    names = tuple(known)
    for name in options:
        if name not in names:
            meant = suggestion(name, names)
            listed = ", ".join(names) or "no options"
            raise Invalid(
                "unknown-option",
                f"The provider of secrets {kind!r} has no option {name!r}; it has {listed}.",
                hint=f"Did you mean {meant}?" if meant else f"Look at [secrets.{kind}].",
                option=name,
            )


def path_option(kind: str, options: Mapping[str, object], place: Place) -> Path | None:
    """Give the option ``path``, relative to the project; ``~`` is the user's home.

    Raises:
        Invalid: ``bad-option``.
    """
    given = options.get("path")
    if given is None:
        return None
    if not isinstance(given, str) or not given:
        raise Invalid(
            "bad-option",
            f"path of the provider of secrets {kind!r} is no path.",
            hint=f'Write  [secrets.{kind}]  path = "..."',
            option="path",
        )
    home = place.environment.get("HOME") or place.environment.get("USERPROFILE")
    if home and (given == "~" or given.startswith(("~/", "~\\"))):
        return Path(home, given[2:])
    return place.root / given
