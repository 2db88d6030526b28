"""Secrets: named in code and settings, revealed where a connection is made, and nowhere else."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import unquote, unquote_plus

from headgate.errors import Invalid, Refused

KEY: Final = "secret"
"""A mapping with this one key stands for a secret where only JSON or TOML can be written."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*\Z")
_SENSITIVE = re.compile(
    r"(^|[_-])(pass|password|passwd|pwd|passphrase|secret|token|bearer|credentials?|authorization"
    r"|(api|access|account|private|secret|signing|shared)[_-]?key)\Z"
)
_PLACES = re.compile(r"(page|next|cursor|continuation|sync)[_-]?token\Z")
_IN_URL = re.compile(r"://[^/?#\s:@]*:(?P<password>[^/?#\s@]+)@")
_IN_QUERY = re.compile(r"[?&](?P<name>[\w.-]+)=(?P<value>[^&#\s]+)")
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Secret:
    """The name of a secret. The value is known to a provider; texts and records have the name.

    Raises:
        Invalid: ``bad-secret-name``; ``secret-in-text`` where it is put into a text.
    """

    name: str

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.match(self.name) or ".." in self.name:
            raise Invalid(  # without the text, which may be the secret itself
                "bad-secret-name",
                "A secret is named by letters, digits, '_', '-', '.' and '/'; this is no name.",
                hint='Write its name, not its value:  hg.secret("shop")',
            )

    def __repr__(self) -> str:
        return f"secret({self.name!r})"

    def __format__(self, _: str) -> str:
        raise Invalid(
            "secret-in-text",
            f"{self!r} was put into a text, where its value must not be.",
            hint="Give it as an option by itself:  password=hg.secret(...)",
            secret=self.name,
        )


Reveal: TypeAlias = Callable[[str | Secret], str]
"""Gives a secret's value; a plain text as it is."""


def secret(name: str) -> Secret:
    """Name a secret, to stand where a password or a token would: ``password=hg.secret("shop")``.

    Raises:
        Invalid: ``bad-secret-name``.
    """
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


def named_secrets(value: object) -> object:
    """Give options with every secret as ``{"secret": name}``, as JSON can hold them."""
    if isinstance(value, Secret):
        return {KEY: value.name}
    if isinstance(value, Mapping):
        return {name: named_secrets(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(named_secrets(inner) for inner in value) if _plain(value) else value
    return value


def with_secrets(value: object) -> object:
    """Give options with a ``Secret`` for every ``{"secret": name}``.

    Raises:
        Invalid: ``bad-secret-name``.
    """
    if isinstance(value, Mapping):
        if (name := secret_name(value)) is not None:
            return Secret(name)
        return {name: with_secrets(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(with_secrets(inner) for inner in value) if _plain(value) else value
    return value


def secret_name(value: object) -> str | None:
    """Give the name where a mapping stands for a secret; None where it is any other value."""
    if isinstance(value, Mapping) and set(value) == {KEY} and isinstance(value[KEY], str):
        return str(value[KEY])
    return None


def is_sensitive(option: str) -> bool:
    """Whether an option's name says that its value is one to keep: ``password``, ``apiKey``."""
    name = _WORDS.sub("_", option).lower()
    return _SENSITIVE.search(name) is not None and _PLACES.search(name) is None


def plain_credentials(options: object, name: str = "") -> Iterator[str]:
    """Give what is written in options in plain and must not be said: passwords, also in URLs."""
    if isinstance(options, Mapping):
        for inner, value in options.items():
            yield from plain_credentials(value, str(inner))
    elif isinstance(options, list | tuple):
        for value in options:
            yield from plain_credentials(value, name)
    elif isinstance(options, str):
        if is_sensitive(name):
            yield options
        yield from credentials_in(options)


def credentials_in(text: str) -> Iterator[str]:
    """Give the passwords in the URLs of a text, as they are written and as they are meant."""
    for found in _IN_URL.finditer(text):
        yield from {found["password"], unquote(found["password"])}
    for found in _IN_QUERY.finditer(text):
        if is_sensitive(found["name"]):
            yield from {found["value"], unquote_plus(found["value"])}


def _plain(value: object) -> bool:
    return type(value) in (list, tuple)  # a named tuple is made in another way
