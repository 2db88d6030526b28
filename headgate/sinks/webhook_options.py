"""The options of a webhook, read without what posts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from headgate.secrets import Secret
from headgate.sinks.refusals import bad_option
from headgate.sinks.sink_options import SinkOptions

Text: TypeAlias = str | Secret

_RESERVED: Final = frozenset(
    {"webhook-id", "webhook-timestamp", "webhook-signature", "content-type", "content-length"}
)
_VARIED: Final = frozenset({"secret", "headers"})
_MOST_ROWS: Final = 1000
_MOST_BYTES: Final = 1 << 20
_TIMEOUT_S: Final = 30
_ATTEMPTS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookOptions:
    """What a webhook is declared with.

    ``secret`` signs, several while keys are changed over; without one messages are not signed.
    ``most_rows`` and ``most_bytes`` bound a message; a row that is larger goes by itself.
    """

    url: Text
    secret: tuple[Text, ...] = ()
    headers: Mapping[str, Text]
    most_rows: int
    most_bytes: int
    timeout_s: int
    attempts: int
    ca_file: str | None = None


def webhook_options(options: Mapping[str, object]) -> WebhookOptions:
    """Read them.

    Raises:
        Invalid: ``bad-option``.
    """
    given = SinkOptions("webhook", {k: v for k, v in options.items() if k not in _VARIED})
    url = given.secret("url")
    rows, size = given.number("most_rows", _MOST_ROWS), given.number("most_bytes", _MOST_BYTES)
    timeout, attempts = given.number("timeout_s", _TIMEOUT_S), given.number("attempts", _ATTEMPTS)
    ca_file = given.text("ca_file")
    given.finish()
    if url is None:
        raise given.required("url")
    return WebhookOptions(
        url=_address(url),
        secret=_secrets(options.get("secret")),
        headers=_headers(options.get("headers", {})),
        most_rows=_positive("most_rows", rows),
        most_bytes=_positive("most_bytes", size),
        timeout_s=_positive("timeout_s", timeout),
        attempts=_positive("attempts", attempts),
        ca_file=ca_file,
    )


def _address(url: Text) -> Text:
    if isinstance(url, str):
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise bad_option("url", "it is an address like https://hooks.example.org/headgate")
    return url


def _secrets(value: object) -> tuple[Text, ...]:
    found = value if isinstance(value, list | tuple) else () if value is None else (value,)
    if not all(isinstance(each, str | Secret) for each in found):
        raise bad_option("secret", 'it takes hg.secret("name"), or a list of them')
    return tuple(found)


def _headers(value: object) -> Mapping[str, Text]:
    if not isinstance(value, Mapping) or not all(
        isinstance(name, str) and isinstance(each, str | Secret) for name, each in value.items()
    ):
        raise bad_option("headers", "it takes a mapping of names to texts or secrets")
    for name in value:
        if name.lower() in _RESERVED:
            raise bad_option("headers", f"{name} is the message's own")
    return dict(value)


def _positive(option: str, value: int | None) -> int:
    if value is None or value < 1:
        raise bad_option(option, "it is 1 or more")
    return value
