"""Revealing: the providers are asked in order, and what they gave is taken out of texts after."""

from collections.abc import Callable, Sequence

from headgate.access.provider import SecretProvider
from headgate.errors import Invalid, NotFound
from headgate.names import suggestion
from headgate.redaction import Redaction
from headgate.secrets import Secret


class Revealer:
    """Gives the values of secrets. One for a project; safe between threads.

    ``providers`` makes them, strongest first, when the first secret is asked for. Nothing is kept:
    a value that was changed outside is the new one at the next connection.
    """

    def __init__(
        self, providers: Callable[[], Sequence[SecretProvider]], redaction: Redaction
    ) -> None:
        self._make = providers
        self._made: Sequence[SecretProvider] | None = None
        self._redaction = redaction

    def __call__(self, value: str | Secret) -> str:
        """Give a secret's value, a plain text as it is.

        Raises:
            NotFound: ``unknown-secret``. Invalid: ``secret-empty``. And what providers raise.
        """
        if not isinstance(value, Secret):
            return value
        for provider in self._providers():
            found = provider.get(value.name)
            if found is None:
                continue
            if not found.strip():
                raise Invalid(
                    "secret-empty",
                    f"The value of {value!r} is empty: looked into {provider.where(value.name)}.",
                    hint="Put the value there.",
                    secret=value.name,
                )
            self._redaction.remember(found, value.name)
            return found
        raise self._unknown(value)

    def knows(self, secret: Secret) -> bool:
        """Whether a provider has a value; it is not given.

        Raises:
            What providers raise.
        """
        return any(provider.get(secret.name) for provider in self._providers())

    def _providers(self) -> Sequence[SecretProvider]:
        if self._made is None:
            self._made = self._make()
        return self._made

    def _unknown(self, secret: Secret) -> NotFound:
        name, providers = secret.name, self._providers()
        known = {each for provider in providers for each in provider.names()}
        meant = suggestion(name, known)
        looked = ", ".join(provider.where(name) for provider in providers)
        return NotFound(
            "unknown-secret",
            f"Nobody knows {secret!r}; looked for: {looked or 'nothing, no provider is named'}.",
            hint=f"Did you mean secret({meant!r})?"
            if meant
            else "Put it into one of these; docs/secrets.md shows how.",
            secret=name,
        )
