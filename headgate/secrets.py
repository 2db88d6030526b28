"""Secrets: named in code and settings, revealed where a connection is made, and nowhere else."""

from dataclasses import dataclass

from headgate.errors import Refused


@dataclass(frozen=True, slots=True)
class Secret:
    """The name of a secret. The value is known to a provider; texts and records have the name."""

    name: str

    def __repr__(self) -> str:
        return f"secret({self.name!r})"


def secret(name: str) -> Secret:
    """Name a secret, to stand where a password or a token would: ``password=hg.secret("shop")``."""
    return Secret(name)


def no_secrets(value: str | Secret) -> str:
    """Give a plain text as it is, where nothing reveals secrets.

    Raises:
        Refused: ``no-secrets-here``.
    """
    if isinstance(value, Secret):
        raise Refused(
            "no-secrets-here",
            f"Nothing here can reveal {value!r}.",
            hint="Open the project with headgate.open(); it knows the providers of secrets.",
            secret=value.name,
        )
    return value
