"""A prefix of a bucket as a sink's place: an object appears whole, or not at all."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from headgate.errors import Invalid, Unavailable
from headgate.sinks.sink import Setting
from headgate.stores import remote_config

if TYPE_CHECKING:
    from headgate.stores import RemoteBucket

SCHEMES = ("s3", "gs", "az")


class BucketPlace:
    """Objects below a URL; nothing is asked before the first one.

    Raises:
        Invalid: ``bad-location``.
    """

    def __init__(self, url: str, options: Mapping[str, object], setting: Setting) -> None:
        self._scheme, _, rest = url.partition("://")
        self._name, _, prefix = rest.partition("/")
        self._prefix = prefix.strip("/")
        if self._scheme not in SCHEMES or not self._name or "@" in self._name:
            raise Invalid(
                "bad-location",
                f"{self._scheme}://{self._name.rpartition('@')[2]} is no place for files.",
                hint=f"Write {', '.join(f'{each}://BUCKET/PREFIX' for each in SCHEMES)}, or a "
                "directory; credentials are options of their own.",
            )
        self._options = options
        self._setting = setting
        self._opened: RemoteBucket | None = None

    def shown(self, name: str) -> str:
        """Give the URL."""
        return f"{self._scheme}://{self._name}/{self._key(name)}"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep nobody out: objects are named and filled by their commit, whoever writes them."""
        yield

    @contextmanager
    def staging(self, name: str) -> Iterator[Path]:
        """Give a directory of this machine's cache."""
        directory = self._setting.cache / "sinks" / name
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def put(self, file: Path, name: str) -> None:
        """Upload a file, in parts where it is large."""
        self._bucket.put(self._key(name), file)

    def write(self, name: str, content: bytes) -> None:
        """Write an object in one request."""
        self._bucket.put(self._key(name), content)

    def read(self, name: str) -> bytes | None:
        """Give an object's bytes."""
        return self._bucket.read(self._key(name))

    def delete(self, name: str) -> None:
        """Delete an object."""
        self._bucket.delete(self._key(name))

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    @property
    def _bucket(self) -> "RemoteBucket":
        if self._opened is None:
            try:
                from headgate.stores import RemoteBucket  # noqa: PLC0415 - an extra
            except ImportError as error:
                raise Unavailable(
                    "library-missing",
                    f"{self.shown('')} is in an object store, and obstore is not installed.",
                    hint="pip install headgate[s3]",
                    library="obstore",
                ) from error
            endpoint = self._options.get("endpoint")
            self._opened = RemoteBucket(
                self._scheme,
                self._name,
                remote_config(self._scheme, self._options, self._setting.reveal),
                endpoint=None if endpoint is None else str(endpoint),
                allow_http=bool(self._options.get("allow_http", False)),
            )
        return self._opened
