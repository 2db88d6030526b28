"""Files in buckets (``s3://``, ``gs://``, ``az://``): a key, a pattern, or a prefix and a slash."""

from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING

from headgate.digests import digest
from headgate.errors import Invalid, NotFound, Unavailable
from headgate.names import suggestion
from headgate.sources.places.patterns import is_pattern, literal_start, matches
from headgate.sources.places.place import Listed
from headgate.sources.source import Setting
from headgate.stores import remote_config

if TYPE_CHECKING:
    from headgate.stores import RemoteBucket, RemoteObject


class BucketPlace:
    """Files by one URL of a bucket."""

    def __init__(self, url: str, options: Mapping[str, object], setting: Setting) -> None:
        self._scheme, _, rest = url.partition("://")
        self._bucket_name, _, self._pattern = rest.partition("/")
        self._options = options
        self._setting = setting
        if not self._bucket_name or "@" in self._bucket_name or is_pattern(self._bucket_name):
            raise Invalid(
                "bad-location",
                f"{self._scheme}://{self._bucket_name.rpartition('@')[2]} names no bucket.",
                hint=f"Write {self._scheme}://BUCKET/KEY; credentials are options of their own.",
            )
        self._url = f"{self._scheme}://{self._bucket_name}"
        self._bucket: RemoteBucket | None = None
        self._found: dict[str, RemoteObject] = {}

    def listed(self) -> Sequence[Listed]:
        """Give the objects that are meant, by key.

        Raises:
            NotFound: ``file-missing``, ``no-files-match``.
            Refused, Unavailable: what a store answers.
        """
        bucket, pattern = self._opened(), self._pattern
        if pattern and not pattern.endswith("/") and not is_pattern(pattern):
            try:
                found = [bucket.one(pattern)]
            except NotFound as error:
                raise self._with_suggestion(bucket, error) from error
        else:
            below = bucket.list(literal_start(pattern))
            found = sorted((o for o in below if matches(o.key, pattern)), key=lambda o: o.key)
        if not found:
            raise NotFound(
                "no-files-match",
                f"No object matches {self._url}/{pattern}.",
                hint="A prefix ends with a slash; * stays within a directory, ** does not.",
                pattern=f"{self._url}/{pattern}",
            )
        self._found = {each.key: each for each in found}
        return [self._one(each) for each in found]

    def reached(self) -> str:
        """List until the first object that is meant; say what there is.

        Raises:
            Refused, NotFound, Unavailable: what a store answers.
        """
        below = self._opened().list(literal_start(self._pattern))
        first = next((each for each in below if matches(each.key, self._pattern)), None)
        place = f"{self._url}/{self._pattern}".rstrip("/")
        return f"{place} {'holds objects' if first is not None else 'is there, without objects'}"

    def again(self, file: Listed) -> Listed:
        """Give a file as it is now."""
        return next((each for each in self.listed() if each.shown == file.shown), file)

    def bring(self, file: Listed, target: IO[bytes]) -> None:
        """Write an object's bytes.

        Raises:
            Unavailable: ``file-changed-meanwhile``, and what a store answers.
        """
        self._opened().bring(self._found[file.address], target)

    def _one(self, found: "RemoteObject") -> Listed:
        return Listed(
            shown=f"{self._url}/{found.key}",
            name=found.key.rpartition("/")[2],
            state=digest(found.etag or found.modified, str(found.size_bytes)),
            size_bytes=found.size_bytes,
            address=found.key,
        )

    def _with_suggestion(self, bucket: "RemoteBucket", error: NotFound) -> NotFound:
        directory, _, name = self._pattern.rpartition("/")
        below = f"{directory}/" if directory else ""
        names = [each.key.removeprefix(below) for each in bucket.list(below)]
        meant = suggestion(name, [each for each in names if "/" not in each])
        hint = f"Did you mean {self._url}/{below}{meant}?" if meant else None
        url = f"{self._url}/{self._pattern}"
        return NotFound("file-missing", error.message, hint=hint, path=url)

    def _opened(self) -> "RemoteBucket":
        if self._bucket is None:
            try:
                from headgate.stores import RemoteBucket  # noqa: PLC0415 - an extra
            except ImportError as error:
                raise Unavailable(
                    "library-missing",
                    f"{self._url} is in an object store, and obstore is not installed.",
                    hint="pip install headgate[s3]",
                    library="obstore",
                ) from error
            endpoint = self._options.get("endpoint")
            self._bucket = RemoteBucket(
                self._scheme,
                self._bucket_name,
                remote_config(self._scheme, self._options, self._setting.reveal),
                endpoint=None if endpoint is None else str(endpoint),
                allow_http=bool(self._options.get("allow_http", False)),
            )
        return self._bucket
