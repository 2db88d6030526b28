"""Addresses: which host one belongs to, and how one is shown."""

from base64 import b64encode
from collections.abc import Collection, Iterable, Mapping, Sequence
from urllib.parse import parse_qsl, quote, unquote, urlencode, urljoin, urlsplit, urlunsplit

from headgate.errors import Invalid
from headgate.secrets import is_sensitive

HIDDEN = "***"
_PORTS = {"http": 80, "https": 443}


def origin(url: str) -> str:
    """Give scheme, host and port of an absolute address, as in RFC 6454.

    Raises:
        Invalid: ``bad-address``.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise bad_address(url) from error
    if parts.scheme not in _PORTS or not parts.hostname:
        raise bad_address(url)
    return f"{parts.scheme}://{parts.hostname.lower()}:{port or _PORTS[parts.scheme]}"


def joined(base: str, path: str) -> str:
    """Give the address of a path below the base: the base's own path and query stay."""
    if "://" in path:
        return path
    parts = urlsplit(base)
    inner, _, query = path.partition("?")
    whole = f"{parts.path.rstrip('/')}/{inner.lstrip('/')}" if inner else parts.path
    queries = "&".join(part for part in (parts.query, query) if part)
    return urlunsplit((parts.scheme, parts.netloc, whole, queries, ""))


def followed(url: str, target: str) -> str:
    """Give the address a page at ``url`` means by ``target`` (RFC 3986), without its fragment."""
    return urljoin(url, target.strip()).partition("#")[0]


def with_query(url: str, values: Mapping[str, str | Sequence[str]]) -> str:
    """Give the address with these query values; those of the same name are replaced."""
    if not values:
        return url
    parts = urlsplit(url)
    kept = parse_qsl(parts.query, keep_blank_values=True) if parts.query else []
    pairs = [pair for pair in kept if pair[0] not in values]
    for name, value in values.items():
        pairs.extend((name, each) for each in ((value,) if isinstance(value, str) else value))
    return urlunsplit((*parts[:3], urlencode(pairs, quote_via=quote), ""))


def without_query(url: str, names: Collection[str]) -> str:
    """Give the address without the query values of those names."""
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    if not any(name in names for name, _ in pairs):
        return url
    kept = [pair for pair in pairs if pair[0] not in names]
    return urlunsplit((*parts[:3], urlencode(kept, quote_via=quote), ""))


def without_user(url: str) -> tuple[str, tuple[str, str] | None]:
    """Take user and password out of an address: they are credentials like any others."""
    parts = urlsplit(url)
    who, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, None
    user, _, password = who.partition(":")
    plain = urlunsplit((parts.scheme, host, parts.path, parts.query, parts.fragment))
    return plain, (unquote(user), unquote(password))


def basic(user: str, password: str) -> str:
    """Give the header ``Authorization`` for a user (RFC 7617)."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode("ascii")


def shown(url: str, hidden: Iterable[str] = ()) -> str:
    """Give the address as messages may say it: no user, no password, no hidden query values."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that cannot be read"
    host = parts.netloc.rpartition("@")[2]
    names = set(hidden)
    query = parts.query
    if query:
        query = "&".join(
            f"{name}={HIDDEN}"
            if name in names or is_sensitive(name)
            else f"{quote(name)}={quote(value)}"
            for name, value in parse_qsl(query, keep_blank_values=True)
        )
    return urlunsplit((parts.scheme, host, parts.path, query, ""))


def bad_address(url: str) -> Invalid:
    """Give the error for what is no address of a web server."""
    return Invalid(
        "bad-address",
        f"{shown(url)!r} is no address of a web server.",
        hint='Write a whole one: "https://api.example.org/v1".',
        url=shown(url),
    )
