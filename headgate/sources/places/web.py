"""Files on web servers: one URL is one file. Its state is what its headers say of it."""

import gzip
import http.client
import shutil
import socket
import ssl
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from email.message import Message
from pathlib import PurePosixPath
from random import Random
from typing import IO, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

from headgate.digests import digest
from headgate.errors import HeadgateError, Invalid, NotFound, Refused, Unavailable
from headgate.http import asked_wait
from headgate.retrying import Retry, retrying
from headgate.secrets import Secret
from headgate.sources.places.patterns import is_pattern
from headgate.sources.places.place import Listed
from headgate.sources.source import Setting

OPTIONS = frozenset({"ca_file", "headers", "timeout_s"})

_T = TypeVar("_T")
_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 60.0
_RETRY = Retry(attempts=5, first=timedelta(seconds=0.5), longest=timedelta(seconds=20))
_LATER = {408, 425, 429, 500, 502, 503, 504}
_NO_HEAD = {400, 403, 405, 501}
_CHANGED = 412
_NOT_THERE = {404, 410}
_REFUSED = {401, 403, 407}


class _NotGivenError(OSError):
    """A server's answer that is not the file."""

    def __init__(self, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(str(status))
        self.status = status
        self.headers = headers


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to other servers without what was said for this one."""

    def __init__(self, said: Collection[str]) -> None:
        self._said = said

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        here, there = urlsplit(req.full_url), urlsplit(newurl)
        if following is not None and (here.scheme, here.netloc) != (there.scheme, there.netloc):
            for name in self._said:
                following.remove_header(name.capitalize())
        return following


class WebPlace:
    """A file by its URL."""

    def __init__(self, url: str, options: Mapping[str, object], setting: Setting) -> None:
        parts = urlsplit(url)
        self._url = url
        self._shown = urlunsplit(
            (parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")
        )
        self._name = unquote(PurePosixPath(parts.path).name)
        self._options = options
        self._setting = setting
        self._etag: str | None = None
        if not parts.hostname or "@" in parts.netloc or is_pattern(parts.path):
            raise Invalid(
                "bad-location",
                f"{self._shown} names no file on a web server.",
                hint="An address is one file, without a pattern and without a password: "
                'headers={"Authorization": hg.secret("...")}.',
            )

    def listed(self) -> Sequence[Listed]:
        """Ask for the file's headers.

        Raises:
            NotFound: ``file-missing``.
            Refused: ``access-denied``, ``certificate-not-trusted``.
            Unavailable: ``host-unknown``, ``server-unavailable``.
        """
        headers = self._trying(self._headers)
        self._etag = headers.get("ETag")
        size = headers.get("Content-Length")
        modified = headers.get("Last-Modified")
        known = self._etag or modified
        state = digest(known, size or "") if known else self._trying(self._digest)
        encoded = headers.get("Content-Encoding")
        return [
            Listed(
                shown=self._shown,
                name=self._name,
                state=state,
                size_bytes=int(size) if size and size.isdigit() and not encoded else None,
                address=self._url,
            )
        ]

    def again(self, file: Listed) -> Listed:
        """Give a file as it is now."""
        return next((each for each in self.listed() if each.shown == file.shown), file)

    def bring(self, file: Listed, target: IO[bytes]) -> None:
        """Write the file's bytes.

        Raises:
            Unavailable: ``file-changed-meanwhile``; ``server-unavailable``.
        """

        def once() -> None:
            target.seek(0)
            target.truncate()
            with self._asked("GET", conditional=True) as answer:
                if self._etag is not None and answer.headers.get("ETag", self._etag) != self._etag:
                    raise self._changed()
                self._copy(answer, target)

        self._trying(once)
        if self._etag is None and file.size_bytes is not None and target.tell() != file.size_bytes:
            raise self._changed()

    def _copy(self, answer: http.client.HTTPResponse, target: IO[bytes]) -> None:
        encoding = answer.headers.get("Content-Encoding", "identity").lower()
        if encoding in {"gzip", "x-gzip"}:  # although it was asked for the bytes as they are
            try:
                with gzip.GzipFile(fileobj=answer) as unpacked:
                    shutil.copyfileobj(unpacked, target, _CHUNK_BYTES)
            except (EOFError, zlib.error) as error:
                raise http.client.IncompleteRead(b"") from error
            return
        if encoding != "identity":
            raise Invalid(
                "compression-unknown",
                f"{self._shown} is sent packed in a way that is not read here: {encoding}.",
                path=self._shown,
                compression=encoding,
            )
        count = 0
        while chunk := answer.read(_CHUNK_BYTES):
            count += len(chunk)
            target.write(chunk)
        length = answer.headers.get("Content-Length")
        if length is not None and length.isdigit() and count != int(length):
            raise http.client.IncompleteRead(b"", int(length) - count)

    # -- asking

    def _headers(self) -> Message:
        try:
            with self._asked("HEAD") as answer:
                return answer.headers
        except _NotGivenError as error:
            if error.status not in _NO_HEAD:
                raise
        with self._asked("GET") as answer:  # closed before its body is read
            return answer.headers

    def _digest(self) -> str:
        with self._asked("GET") as answer:
            whole = [digest(chunk) for chunk in iter(lambda: answer.read(_CHUNK_BYTES), b"")]
        return digest(*whole)

    def _asked(self, method: str, *, conditional: bool = False) -> http.client.HTTPResponse:
        request = urllib.request.Request(self._url, method=method)  # noqa: S310 - http(s) only
        for name, value in self._said_headers().items():
            request.add_header(name, value)
        if conditional and self._etag is not None and not self._etag.startswith("W/"):
            request.add_header("If-Match", self._etag)
        timeout = float(str(self._options.get("timeout_s", _TIMEOUT_S)))
        handler = urllib.request.HTTPSHandler(context=self._trust())
        opener = urllib.request.build_opener(handler, _Redirects(self._said_headers()))
        try:
            answer: http.client.HTTPResponse = opener.open(request, timeout=timeout)
        except urllib.error.HTTPError as error:
            error.close()
            headers = {name.lower(): value for name, value in error.headers.items()}
            raise _NotGivenError(error.code, headers) from error
        return answer

    def _said_headers(self) -> Mapping[str, str]:
        said = self._options.get("headers") or {}
        if not isinstance(said, Mapping):
            raise Invalid("bad-option", "headers maps names to values.", option="headers")
        given = {
            str(name): self._setting.reveal(value if isinstance(value, Secret) else str(value))
            for name, value in said.items()
        }
        return {"User-Agent": "headgate", "Accept-Encoding": "identity", **given}

    def _trust(self) -> ssl.SSLContext:
        file = self._options.get("ca_file")
        where = None if file is None else str(self._setting.root / str(file))
        try:
            return ssl.create_default_context(cafile=where)
        except (OSError, ssl.SSLError) as error:
            raise Invalid(
                "bad-option", f"ca_file {file} holds no certificates: {error}.", option="ca_file"
            ) from error

    def _trying(self, call: Callable[[], _T]) -> _T:
        try:
            return retrying(
                call,
                again=_again,
                clock=self._setting.clock,
                random=Random(),  # noqa: S311 - waits
                retry=_RETRY,
                asked=self._asked_wait,
            )
        except (OSError, http.client.HTTPException) as error:
            raise self._failed(error) from error

    def _asked_wait(self, error: Exception) -> timedelta | None:
        if isinstance(error, _NotGivenError):
            return asked_wait(error.headers, self._setting.clock.now())
        return None

    # -- what went wrong

    def _changed(self) -> Unavailable:
        return Unavailable(
            "file-changed-meanwhile",
            f"{self._shown} has changed since it was looked at.",
            hint="Run again when it is whole.",
            path=self._shown,
        )

    def _failed(self, error: Exception) -> HeadgateError:
        if isinstance(error, _NotGivenError):
            return self._answered(error.status)
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        host = urlsplit(self._url).hostname
        if isinstance(reason, ssl.SSLCertVerificationError):
            return Refused(
                "certificate-not-trusted",
                f"{self._shown}: the certificate of {host} is not trusted: "
                f"{reason.verify_message}.",
                hint="Name the file of who signed it: ca_file=...",
                host=host,
            )
        if isinstance(reason, socket.gaierror):
            return Unavailable(
                "host-unknown",
                f"{self._shown}: no address is known for {host}: {reason.strerror}.",
                hint="Mend the host's name, or the machine's name service.",
                host=host,
            )
        return Unavailable(
            "server-unavailable",
            f"{self._shown}: {host} gave no whole answer: {reason or type(reason).__name__}.",
            hint="Nothing is lost: run again when it is there.",
            host=host,
        )

    def _answered(self, status: int) -> HeadgateError:
        if status in _NOT_THERE:
            return NotFound(
                "file-missing", f"There is no file at {self._shown}: {status}.", path=self._shown
            )
        if status == _CHANGED:
            return self._changed()
        if status in _REFUSED:
            return Refused(
                "access-denied",
                f"The server refused {self._shown}: {status}.",
                hint='Say who asks: headers={"Authorization": hg.secret("...")}.',
                path=self._shown,
                status=status,
            )
        return Unavailable(
            "server-unavailable",
            f"{self._shown} was answered with {status}.",
            hint="Nothing is lost: run again when it is there.",
            path=self._shown,
            status=status,
        )


def _again(error: Exception) -> bool:
    if isinstance(error, _NotGivenError):
        return error.status in _LATER
    if isinstance(error, urllib.error.URLError):
        return not isinstance(error.reason, (ssl.SSLCertVerificationError, socket.gaierror))
    return isinstance(error, (ConnectionError, TimeoutError, http.client.HTTPException))
