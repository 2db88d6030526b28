"""Objects of others: listed and read, written by sinks. S3, Google's Cloud Storage, Azure's blobs.

Unlike those of a lake they may change at any moment.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO, TypeAlias, cast

import obstore
from obstore.exceptions import BaseError, PreconditionError
from obstore.store import AzureStore, GCSStore, S3Store

from headgate.errors import HeadgateError, NotFound, Unavailable
from headgate.stores.failures import failed, is_missing
from headgate.stores.options import checked_endpoint

_Store: TypeAlias = S3Store | GCSStore | AzureStore
_CHUNK_BYTES = 8 * 1024 * 1024
_ERRORS = (BaseError, OSError)
_HINTS = {
    "access-denied": "The credentials need the right to list and to read what is named.",
    "bucket-missing": "Mend the bucket's name, or endpoint and region.",
    "credentials-missing": "Say them (access_key_id=, secret_access_key=, ...), let the"
    " environment have them, or say anonymous=True where everybody may read.",
    "credentials-unknown": "Mend the credentials; see that the endpoint is the one they belong to.",
    "wrong-region": "Say the bucket's own region: region=...",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteObject:
    """An object as a listing tells of it. ``state`` is another when its bytes are others."""

    key: str
    size_bytes: int
    etag: str | None
    modified: str


class RemoteBucket:
    """A bucket of somebody.

    Args:
        scheme: ``s3``, ``gs`` or ``az``.
        bucket: its name; a container's in ``az``.
        config: obstore's own settings; what is not said is taken from the environment.
        endpoint: where it is, if it is not the provider's own.
        allow_http: whether that may be unencrypted.
        retries: how often one request is repeated.
    """

    def __init__(
        self,
        scheme: str,
        bucket: str,
        config: Mapping[str, str | bool],
        *,
        endpoint: str | None = None,
        allow_http: bool = False,
        retries: int = 8,
    ) -> None:
        self._url = f"{scheme}://{bucket}"
        self._endpoint = endpoint
        settings = dict(config)
        if endpoint is not None:
            checked = checked_endpoint(endpoint, allow_http=allow_http)
            settings["base_url" if scheme == "gs" else "endpoint"] = checked
        self._store = _opened(scheme, bucket, settings, allow_http=allow_http, retries=retries)

    def list(self, prefix: str) -> Iterator[RemoteObject]:
        """Give the objects below a prefix that ends with a slash, or all; in the store's order."""
        try:
            for page in obstore.list(self._store, prefix.rstrip("/") or None):
                for meta in page:
                    yield _told(cast("Mapping[str, object]", meta))
        except _ERRORS as error:
            raise self._failed("listing", prefix, error) from error

    def one(self, key: str) -> RemoteObject:
        """Look at one object.

        Raises:
            NotFound: ``file-missing``.
        """
        try:
            return _told(cast("Mapping[str, object]", obstore.head(self._store, key)))
        except _ERRORS as error:
            raise self._failed("looking at", key, error) from error

    def bring(self, there: RemoteObject, target: IO[bytes]) -> None:
        """Write an object's bytes, those of the state that was listed.

        Raises:
            Unavailable: ``file-changed-meanwhile``.
        """
        try:
            options = {"if_match": there.etag} if there.etag else {}
            found = obstore.get(self._store, there.key, options=options)  # type: ignore[arg-type]
            chunks = iter(found.stream(min_chunk_size=_CHUNK_BYTES))
        except _ERRORS as error:
            raise self._failed("reading", there.key, error) from error
        while True:
            try:
                chunk = next(chunks, None)
            except _ERRORS as error:
                raise self._failed("reading", there.key, error) from error
            if chunk is None:
                return
            target.write(chunk)

    def read(self, key: str) -> bytes | None:
        """Give a small object's bytes, None where there is none."""
        try:
            return obstore.get(self._store, key).bytes().to_bytes()
        except _ERRORS as error:
            if is_missing(error) and "ContainerNotFound" not in str(error):
                return None
            raise self._failed("reading", key, error) from error

    def put(self, key: str, content: bytes | Path) -> None:
        """Write an object, in parts where it is large; readers see the old one or the new one."""
        try:
            obstore.put(self._store, key, content)
        except _ERRORS as error:
            raise self._failed("writing", key, error) from error

    def delete(self, key: str) -> None:
        """Delete an object; one that is not there is no error."""
        try:
            obstore.delete(self._store, key)
        except _ERRORS as error:
            if not is_missing(error):
                raise self._failed("deleting", key, error) from error

    def _failed(self, doing: str, key: str, error: Exception) -> HeadgateError:
        url = f"{self._url}/{key}"
        if isinstance(error, PreconditionError):
            return Unavailable(
                "file-changed-meanwhile",
                f"{url} has changed since it was listed.",
                hint="Run again when it is whole.",
                path=url,
            )
        if is_missing(error) and "ContainerNotFound" not in str(error):
            return NotFound("file-missing", f"There is no object {url}.", path=url)
        told = failed(doing, url, error, endpoint=self._endpoint or "its provider")
        told.hint = _HINTS.get(told.code, "Nothing is lost: run again when it is mended.")
        told.readers = None
        return told


def _told(meta: Mapping[str, object]) -> RemoteObject:
    etag = meta.get("e_tag")
    return RemoteObject(
        key=str(meta["path"]),
        size_bytes=int(str(meta["size"])),
        etag=None if etag is None else str(etag),
        modified=str(meta["last_modified"]),
    )


def _opened(
    scheme: str, bucket: str, config: Mapping[str, str | bool], *, allow_http: bool, retries: int
) -> _Store:
    shared = {
        "config": dict(config),
        "client_options": {
            "allow_http": allow_http,
            "timeout": timedelta(minutes=10),
            "connect_timeout": timedelta(seconds=10),
        },
        "retry_config": {"max_retries": retries, "retry_timeout": timedelta(minutes=3)},
    }
    if scheme == "s3":
        return S3Store(bucket, **shared)  # type: ignore[arg-type]
    if scheme == "gs":
        return GCSStore(bucket, **shared)  # type: ignore[arg-type]
    return AzureStore(bucket, **shared)  # type: ignore[arg-type]
