"""Secrets of the process's environment."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from headgate.access.provider import Place, only

PREFIX: Final = "HEADGATE_SECRET_"


class EnvironmentSecrets:
    """``HEADGATE_SECRET_SHOP`` for ``shop``; else the variable that has exactly that name."""

    kind = "environment"

    def __init__(self, options: Mapping[str, object], place: Place) -> None:
        only(self.kind, options, ())
        self._environment = place.environment

    def get(self, name: str) -> str | None:
        """Give a variable's value. One that is empty counts as not set."""
        return self._environment.get(variable(name)) or self._environment.get(name) or None

    def where(self, name: str) -> str:
        """Say which variable it would be."""
        return f"the environment variable {variable(name)}"

    def names(self) -> Iterable[str]:
        """Give the names of variables that are there for secrets."""
        return (
            each.removeprefix(PREFIX).lower()
            for each in self._environment
            if each.startswith(PREFIX)
        )


def variable(name: str) -> str:
    """Give the variable of a secret: capital letters, ``_`` for all that is no letter or digit."""
    return PREFIX + re.sub(r"[^A-Za-z0-9]", "_", name).upper()
