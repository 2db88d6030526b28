"""Secrets of the system's keyring: macOS Keychain, Secret Service, Windows Credential Manager."""

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Final

from headgate.access.provider import Place, only
from headgate.errors import Invalid, Unavailable

SERVICE: Final = "headgate"


class KeyringSecrets:
    """The keyring, as ``keyring set headgate shop`` fills it. Option: ``service``."""

    kind = "keyring"

    def __init__(self, options: Mapping[str, object], place: Place) -> None:
        del place
        only(self.kind, options, ("service",))
        service = options.get("service", SERVICE)
        if not isinstance(service, str) or not service:
            raise Invalid(
                "bad-option",
                "service of the provider of secrets 'keyring' is no name.",
                hint='Write  [secrets.keyring]  service = "headgate"',
                option="service",
            )
        self._service = service

    def get(self, name: str) -> str | None:
        """Ask the keyring.

        Raises:
            Unavailable: ``library-missing``; ``keyring-unavailable``: there is none, or it is shut.
        """
        try:
            keyring = import_module("keyring")  # an extra, and slow to load
        except ImportError as error:
            raise Unavailable(
                "library-missing",
                f"secret({name!r}) is looked for in the keyring, and keyring is not installed.",
                hint="pip install headgate[keyring]",
                library="keyring",
            ) from error
        try:
            found = keyring.get_password(self._service, name)
        except Exception as error:
            raise Unavailable(
                "keyring-unavailable",
                f"The system's keyring does not answer: {type(error).__name__}: {error}",
                hint="Unlock it, or take 'keyring' out of secrets.providers.",
            ) from error
        return found if isinstance(found, str) else None

    def where(self, name: str) -> str:
        """Say what would put it there."""
        return f"the keyring (keyring set {self._service} {name})"

    def names(self) -> Iterable[str]:
        """Give none: a keyring cannot be listed."""
        return ()
