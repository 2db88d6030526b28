"""Connections: pools by how a host is reached; certificates are verified always.

httpx2's transports are used without its client, which logs every address as it is sent, with the
keys in it, and keeps cookies.
"""

import ssl
import threading
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2

from headgate.errors import Invalid

_KEPT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a request may take."""

    largest_bytes: int = 256 << 20
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 60.0
    answer_timeout_s: float = 600.0
    connections: int = 8


class Connections:
    """Pools of connections, made when they are first needed; threads share them.

    Proxies are those of the system (``HTTPS_PROXY``, ``NO_PROXY``, ...), as for every program.
    """

    def __init__(self, bounds: Bounds, ca_file: Path | None) -> None:
        self._bounds = bounds
        self._ca_file = ca_file
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None
        self._pools: dict[tuple[bool, str | None], httpx2.HTTPTransport] = {}
        self._timeouts = httpx2.Timeout(
            bounds.read_timeout_s, connect=bounds.connect_timeout_s
        ).as_dict()

    def send(
        self, method: str, url: str, headers: dict[str, str], content: bytes | None
    ) -> httpx2.Response:
        """Ask; the answer's body is read by who called, and the answer closed.

        Raises:
            httpx2.HTTPError, httpx2.InvalidURL, OSError: there is no answer.
            Invalid: ``ca-file-unreadable``.
        """
        request = httpx2.Request(
            method, url, headers=headers, content=content, extensions={"timeout": self._timeouts}
        )
        return self._pool(url).handle_request(request)

    def close(self) -> None:
        """Close all of them."""
        with self._lock:
            for pool in self._pools.values():
                pool.close()
            self._pools.clear()

    def _pool(self, url: str) -> httpx2.HTTPTransport:
        parts = urlsplit(url)
        secure = parts.scheme != "http"
        proxy = _proxy(parts.scheme, parts.netloc.rpartition("@")[2])
        with self._lock:
            pool = self._pools.get((secure, proxy))
            if pool is None:
                pool = self._pools[secure, proxy] = self._made(proxy, secure=secure)
            return pool

    def _made(self, proxy: str | None, *, secure: bool) -> httpx2.HTTPTransport:
        most = self._bounds.connections
        if not secure and proxy is None:
            # Nobody is trusted, and nobody needs to be; reading the authorities costs 20 ms.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        else:
            context = self._context = self._context or _authorities(self._ca_file)
        return httpx2.HTTPTransport(
            verify=context,
            limits=httpx2.Limits(
                max_connections=most, max_keepalive_connections=most, keepalive_expiry=_KEPT_S
            ),
            proxy=proxy,
        )


def _proxy(scheme: str, host: str) -> str | None:
    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy or proxy_bypass(host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _authorities(ca_file: Path | None) -> ssl.SSLContext:
    context = httpx2.create_ssl_context()
    if ca_file is None:
        return context
    try:
        context.load_verify_locations(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise Invalid(
            "ca-file-unreadable",
            f"{ca_file} holds no certificates that can be read.",
            hint="Name a file in PEM form.",
            path=str(ca_file),
        ) from error
    return context
