"""Where objects are and how they are reached: values only, nothing is opened."""

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from headgate.errors import Invalid

SCHEME = "s3"
_START = f"{SCHEME}://"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")
_PART = re.compile(r"[^/\x00-\x1f*?\[\]%\\#]+\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A place in a bucket: everything whose key begins with ``prefix`` and a slash."""

    bucket: str
    prefix: str = ""

    @property
    def url(self) -> str:
        """The place as people write it, without a slash at its end."""
        return f"{_START}{self.bucket}" + (f"/{self.prefix}" if self.prefix else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Keys to a store. They are shown nowhere: not in a repr, an error, an event or a record."""

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOptions:
    """How a store is reached.

    ``credentials`` None leaves it to the clients to ask the machine's or the container's role.
    ``retries`` bounds how often one request is repeated, ``patience_s`` for how long altogether,
    ``timeout_s`` how long one answer may take.
    """

    endpoint: str | None = None
    region: str | None = None
    allow_http: bool = False
    credentials: Credentials | None = None
    retries: int = 8
    patience_s: float = 120.0
    timeout_s: float = 60.0


def is_address(text: str) -> bool:
    """Say whether a text is meant as the URL of an object store, whatever is wrong with it."""
    return text.startswith(_START)


def parse_address(url: str) -> Address:
    """Give the address a URL names.

    Raises:
        Invalid: ``bad-location``.
    """
    bucket, _, prefix = url.removeprefix(_START).partition("/")
    prefix = prefix.rstrip("/")
    parts = prefix.split("/") if prefix else []
    bad_part = next((p for p in parts if p in {".", ".."} or not _PART.match(p)), None)
    if not is_address(url) or not _BUCKET.match(bucket) or bad_part is not None:
        shown = f"{_START}...@{url.rpartition('@')[2]}" if "@" in bucket else url  # no passwords
        raise Invalid(
            "bad-location",
            f"{shown} names no place in a bucket.",
            hint="Write s3://BUCKET/PREFIX: a bucket's name of small letters, digits, '-' and '.',"
            " a prefix without '..', '//', '%' and wildcards.",
            location=shown,
        )
    return Address(bucket=bucket, prefix=prefix)


def checked_endpoint(endpoint: str, *, allow_http: bool) -> str:
    """Give an endpoint's URL without a slash at its end.

    Raises:
        Invalid: ``bad-endpoint``.
    """
    parts = urlsplit(endpoint)
    try:
        fine = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    if parts.username is not None or parts.query or parts.fragment:
        fine = False
    if not fine:
        raise Invalid(
            "bad-endpoint",
            "The object store's endpoint is no URL of a server.",
            hint="Write https://HOST or https://HOST:PORT.",
        )
    if parts.scheme == "http" and not allow_http:
        raise Invalid(
            "bad-endpoint",
            f"The object store's endpoint {endpoint} is not encrypted.",
            hint="Use https, or set lake.allow_http = true if the network is your own.",
            endpoint=endpoint,
        )
    return endpoint.rstrip("/")
