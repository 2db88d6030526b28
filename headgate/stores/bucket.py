"""A bucket's part below a prefix: objects created exclusively, read by range, listed and deleted.

Objects never change once they are there: what was just written, and what is small, is remembered.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from errno import EEXIST, ENOENT
from typing import TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from headgate.clock import Clock, SystemClock
from headgate.recent import Recent
from headgate.stores.failures import code_of, failed, is_missing, status_of, was_given_up
from headgate.stores.options import Address, StoreOptions, checked_endpoint
from headgate.stores.stored import Stored
from headgate.stores.uploads import Upload

Result = TypeVar("Result")

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
                if not left or not _got_no_answer(error):
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
            self._persist(lambda: obstore.delete(self._store, [self._start + key for key in names]))
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
            content = self._persist(
                lambda: obstore.get(self._store, self._start + key).bytes().to_bytes()
            )
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
            found = self._persist(
                lambda: obstore.get_range(
                    self._store, self._start + key, start=start, length=length
                )
            )
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
            reason = self._told(key, error)
            raise self._missing_or_failed("looking at", key, reason) from error
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
        where = (self._start + prefix).strip("/") or None
        last: str | None = None
        pause, left = _FIRST_PAUSE, _TRIES
        while True:
            try:
                for page in obstore.list(self._store, where, offset=last, chunk_size=1000):
                    for meta in page:
                        yield self._stored(meta)
                    last = page[-1]["path"] if page else last
            except _ERRORS as error:
                left -= 1
                if not left or not _got_no_answer(error):
                    raise self._failed("listing", prefix, error) from error
                self._clock.sleep(pause)  # then go on behind the last page
                pause *= 2
            else:
                return

    def check(self) -> None:
        """Ask once whether the bucket is there and may be read; raises what is wrong."""
        next(self.list(), None)

    def forget(self) -> None:
        """Drop what is remembered; nothing is lost."""
        self._pieces.clear()
        self._sizes.clear()
        self._checksums.clear()

    # -- parts

    def _stored(self, meta: "obstore.ObjectMeta") -> Stored:
        return Stored(
            path=meta["path"].removeprefix(self._start),
            size_bytes=meta["size"],
            modified=meta["last_modified"],
        )

    def _persist(self, act: Callable[[], Result]) -> Result:
        """Repeat what may be done twice where no answer came: the client repeats the rest."""
        pause = _FIRST_PAUSE
        for _ in range(_TRIES - 1):
            try:
                return act()
            except _ERRORS as error:
                if not _got_no_answer(error):
                    raise
            self._clock.sleep(pause)
            pause *= 2
        return act()

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

    def _told(self, key: str, error: Exception) -> Exception:
        """Ask again for the reason of a refusal: an answer to HEAD has no body that tells it."""
        if status_of(error) is None or isinstance(error, FileNotFoundError) or code_of(error):
            return error
        try:
            obstore.get_range(self._store, self._start + key, start=0, length=1)
        except _ERRORS as told:
            return told
        return error

    def _missing_or_failed(self, doing: str, key: str, error: Exception) -> Exception:
        if is_missing(error):
            return FileNotFoundError(ENOENT, "there is no such object", self.url_of(key))
        return self._failed(doing, key, error)

    def _failed(self, doing: str, key: str, error: Exception) -> Exception:
        return failed(doing, self.url_of(key), error, endpoint=self.options.endpoint)


def _got_no_answer(error: Exception) -> bool:
    """Say whether a request got no answer, and the client did not repeat it to the end."""
    return status_of(error) is None and not was_given_up(error)


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
