"""A bucket's part below a prefix: objects created exclusively, read by range, listed and deleted.

Objects never change once they are there: what was just written, and what is small, is remembered.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from errno import EEXIST, ENOENT

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from headgate.clock import Clock, SystemClock
from headgate.recent import Recent
from headgate.stores.failures import failed, is_missing, status_of
from headgate.stores.options import Address, StoreOptions, checked_endpoint
from headgate.stores.stored import Stored
from headgate.stores.uploads import Upload

_TRIES = 5
_FIRST_PAUSE = timedelta(milliseconds=100)
_CHUNK_BYTES = 8 * 1024 * 1024
_REMEMBERED_BYTES = 64 * 1024 * 1024
_REMEMBERED_FACTS = 50_000
_SMALL_BYTES = 1024 * 1024
_ERRORS = (BaseError, OSError)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Bytes of an object from ``start`` on."""

    start: int
    content: bytes


class Bucket:
    """Objects below an address. Safe between threads; travels between processes.

    Keys are relative to the address. Requests that fail for a while are repeated, with growing
    pauses; what fails for good is one of the errors of `failed`.

    Args:
        address: the place.
        options: how it is reached.
        clock: waits between tries.
    """

    def __init__(
        self, address: Address, options: StoreOptions, *, clock: Clock | None = None
    ) -> None:
        self.address = address
        self.options = options
        self.url = address.url
        self._clock = clock or SystemClock()
        self._store = _client(address, options)
        self._start = f"{address.prefix}/" if address.prefix else ""
        self._pieces: Recent[_Piece] = Recent(_REMEMBERED_BYTES)
        self._sizes: Recent[int] = Recent(_REMEMBERED_FACTS)
        self._checksums: Recent[str] = Recent(_REMEMBERED_FACTS)

    def __repr__(self) -> str:
        return f"Bucket({self.url!r})"

    def __reduce__(self) -> tuple[object, ...]:
        """Travel to another process; what is remembered stays."""
        return Bucket, (self.address, self.options)

    def url_of(self, key: str) -> str:
        """Give an object's URL."""
        return f"{self.url}/{key}"

    # -- writing

    def create(self, key: str, content: bytes) -> None:
        """Create an object in one request. When it returns, the object is durable.

        A request whose answer was lost is repeated; an object that is there with exactly these
        bytes is taken for ours.

        Raises:
            FileExistsError: there is another object of that name.
        """
        pause = _FIRST_PAUSE
        for left in reversed(range(_TRIES)):
            try:
                obstore.put(
                    self._store,
                    self._start + key,
                    content,
                    mode="create",
                    use_multipart=False,
                )
                break
            except AlreadyExistsError as error:
                ours = self._is_ours(key, content)
                if ours:
                    break
                if ours is not None or not left:
                    there = FileExistsError(EEXIST, "there is such an object", self.url_of(key))
                    raise there from error
            except _ERRORS as error:
                # The client repeats what the store refuses, but not a request it got no answer to.
                if status_of(error) is not None or " retries" in str(error) or not left:
                    raise self._failed("writing", key, error) from error
            self._clock.sleep(pause)
            pause *= 2
        self.remember(key, len(content), hashlib.sha256(content).hexdigest(), content)

    def put(self, key: str, content: bytes) -> None:
        """Write an object that may be there already; readers see the old one or the new one."""
        self._unremember([key])
        try:
            obstore.put(self._store, self._start + key, content, use_multipart=False)
        except _ERRORS as error:
            raise self._failed("writing", key, error) from error

    def upload(self, key: str) -> Upload:
        """Begin a new object that is written piece by piece; it appears when that is finished."""
        return Upload(self, self._store, self._start, key)

    def remember(self, key: str, size: int, sha256: str, tail: bytes) -> None:
        """Keep what is known of an object that was just written."""
        self._sizes.put(key, size)
        self._checksums.put(key, f"sha256:{sha256}")
        if len(tail) <= _SMALL_BYTES:
            self._pieces.put(key, _Piece(size - len(tail), tail), weight=len(tail) + 200)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; those that are not there are no error."""
        names = list(keys)
        self._unremember(names)
        if not names:
            return
        try:
            obstore.delete(self._store, [self._start + key for key in names])
        except FileNotFoundError as error:
            if not is_missing(error):
                raise self._failed("deleting", names[0], error) from error
        except _ERRORS as error:
            raise self._failed("deleting", names[0], error) from error

    # -- reading

    def read(self, key: str) -> bytes:
        """Give an object's bytes.

        Raises:
            FileNotFoundError: there is no such object.
        """
        piece = self._pieces.get(key)
        if piece is not None and piece.start == 0:
            return piece.content
        try:
            content = obstore.get(self._store, self._start + key).bytes().to_bytes()
        except _ERRORS as error:
            raise self._missing_or_failed("reading", key, error) from error
        self._sizes.put(key, len(content))
        if len(content) <= _SMALL_BYTES and "/" in key:
            self._pieces.put(key, _Piece(0, content), weight=len(content) + 200)
        return content

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Give some of an object's bytes; fewer where it ends before.

        Raises:
            FileNotFoundError: there is no such object.
        """
        if length <= 0:
            return b""
        piece = self._pieces.get(key)
        if piece is not None and piece.start <= start:
            there = start - piece.start
            return piece.content[there : there + length]
        try:
            found = obstore.get_range(self._store, self._start + key, start=start, length=length)
        except _ERRORS as error:
            raise self._missing_or_failed("reading", key, error) from error
        return found.to_bytes()

    def size(self, key: str, *, fresh: bool = False) -> int:
        """Give an object's size in bytes; ``fresh`` asks the store, whatever is remembered.

        Raises:
            FileNotFoundError: there is no such object.
        """
        known = None if fresh else self._sizes.get(key)
        if known is not None:
            return known
        try:
            size = obstore.head(self._store, self._start + key)["size"]
        except _ERRORS as error:
            raise self._missing_or_failed("looking at", key, error) from error
        self._sizes.put(key, size)
        return size

    def checksum(self, key: str, *, fresh: bool = False) -> str:
        """Give ``sha256:<hex>`` of an object; reads all of it unless it was just written.

        Raises:
            FileNotFoundError: there is no such object.
        """
        known = None if fresh else self._checksums.get(key)
        if known is not None:
            return known
        hasher = hashlib.sha256()
        try:
            found = obstore.get(self._store, self._start + key)
            for chunk in found.stream(min_chunk_size=_CHUNK_BYTES):
                hasher.update(chunk)
        except _ERRORS as error:
            raise self._missing_or_failed("reading", key, error) from error
        checksum = f"sha256:{hasher.hexdigest()}"
        self._checksums.put(key, checksum)
        return checksum

    def list(self, prefix: str = "") -> Iterator[Stored]:
        """Give all objects below a directory-like prefix, as the listing goes on."""
        where = (self._start + prefix).strip("/")
        try:
            for page in obstore.list(self._store, where or None, chunk_size=1000):
                for meta in page:
                    yield Stored(
                        path=meta["path"].removeprefix(self._start),
                        size_bytes=meta["size"],
                        modified=meta["last_modified"],
                    )
        except _ERRORS as error:
            raise self._failed("listing", prefix, error) from error

    def check(self) -> None:
        """Ask once whether the bucket is there and may be read; raises what is wrong."""
        next(self.list(), None)

    def forget(self) -> None:
        """Drop what is remembered; nothing is lost."""
        self._pieces.clear()
        self._sizes.clear()
        self._checksums.clear()

    # -- parts

    def _unremember(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._pieces.drop(key)
            self._sizes.drop(key)
            self._checksums.drop(key)

    def _is_ours(self, key: str, content: bytes) -> bool | None:
        """Say whether an object is what we wrote; None where it is gone again, or not yet there."""
        try:
            return self.size(key, fresh=True) == len(content) and (
                obstore.get(self._store, self._start + key).bytes().to_bytes() == content
            )
        except FileNotFoundError:
            return None
        except _ERRORS as error:
            raise self._failed("looking at", key, error) from error

    def _missing_or_failed(self, doing: str, key: str, error: Exception) -> Exception:
        if is_missing(error):
            return FileNotFoundError(ENOENT, "there is no such object", self.url_of(key))
        return self._failed(doing, key, error)

    def _failed(self, doing: str, key: str, error: Exception) -> Exception:
        return failed(doing, self.url_of(key), error, endpoint=self.options.endpoint)


def _client(address: Address, options: StoreOptions) -> S3Store:
    endpoint = options.endpoint
    config: dict[str, str | bool] = {"virtual_hosted_style_request": False}
    if endpoint is not None:
        config["endpoint"] = checked_endpoint(endpoint, allow_http=options.allow_http)
    if options.region is not None:
        config["region"] = options.region
    if (keys := options.credentials) is not None:
        config["access_key_id"] = keys.access_key_id
        config["secret_access_key"] = keys.secret_access_key
        if keys.session_token is not None:
            config["session_token"] = keys.session_token
    return S3Store(
        address.bucket,
        config=config,  # type: ignore[arg-type]  # a TypedDict of exactly these
        client_options={
            "allow_http": options.allow_http,
            "timeout": timedelta(seconds=options.timeout_s),
            "connect_timeout": timedelta(seconds=min(options.timeout_s, 10.0)),
        },
        retry_config={
            "max_retries": options.retries,
            "backoff": {
                "init_backoff": _FIRST_PAUSE,
                "max_backoff": timedelta(seconds=10),
                "base": 2,
            },
            "retry_timeout": timedelta(seconds=options.patience_s),
        },
    )
