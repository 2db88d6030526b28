"""Connections: pools by how a host is reached; certificates are verified always.

httpx2's transports are used without its client, which logs every address as it is sent, with the
keys in it, and keeps cookies.
"""

import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2

from headgate.errors import Invalid
from headgate.http.bounds import Bounds
from headgate.http.failures import not_reached, unusable
from headgate.http.unlogged import unlogged

_KEPT_S = 30.0


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

    @contextmanager
    def answer(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | None,
        *,
        where: str,
    ) -> Iterator[httpx2.Response]:
        """Ask, and give an answer whose body is read within; messages call the address ``where``.

        Raises:
            Failed: there is no answer, or it broke off while it was read.
            Invalid: ``ca-file-unreadable``.
        """
        try:
            request = httpx2.Request(
                method,
                url,
                headers=dict(headers),
                content=content,
                extensions={"timeout": self._timeouts},
            )
            with unlogged():
                response = self._pool(url).handle_request(request)
                try:
                    yield response
                finally:
                    response.close()
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, UnicodeError) as error:
            raise unusable(where) from error
        except (httpx2.HTTPError, OSError) as error:
            raise not_reached(where, error) from error

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
