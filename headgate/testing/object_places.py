"""Places in a test's object store, and lakes there that stand for directories."""

from pathlib import Path

from headgate.clock import Clock
from headgate.digests import digest
from headgate.errors import NotFound
from headgate.lake.lake import Lake
from headgate.lake.object_storage import ObjectStorage
from headgate.lake.opening import METASTORE_FILE
from headgate.names import Ids
from headgate.stores import Bucket, Credentials, StoreOptions, open_bucket

BUCKET = "lake"
KEYS = Credentials(access_key_id="test", secret_access_key="test")  # noqa: S106 - nobody checks
REGION = "eu-central-1"


def options_at(endpoint: str, **options: object) -> StoreOptions:
    """Give the options that reach a server of this file."""
    given: dict[str, object] = {
        "endpoint": endpoint,
        "region": REGION,
        "allow_http": True,
        "credentials": KEYS,
        "retries": 3,
        "patience_s": 20.0,
        **options,
    }
    return StoreOptions(**given)  # type: ignore[arg-type]  # names and types are StoreOptions'


def bucket_at(endpoint: str, prefix: str = "", **options: object) -> Bucket:
    """Give a place in the bucket of a server."""
    url = f"s3://{BUCKET}/{prefix}" if prefix else f"s3://{BUCKET}"
    return open_bucket(url, options_at(endpoint, **options))


def storage_for(directory: Path, endpoint: str, **options: object) -> ObjectStorage:
    """Give the object storage that stands for a directory: the same for the same directory."""
    return ObjectStorage(bucket_at(endpoint, f"lakes/{digest(str(directory))[:16]}", **options))


def metastore_for(directory: Path, server: str) -> str:
    """Give the metastore that stands for a directory: a schema of its own on a server."""
    return f"{server}?schema=lake_{digest(str(directory))[:16]}"


def open_or_create(
    directory: Path,
    *,
    clock: Clock,
    ids: Ids,
    endpoint: str | None = None,
    server: str | None = None,
) -> Lake:
    """Give the lake that stands for a directory, made if need be.

    With an endpoint its files are in the store there. With a server its metastore is there, as a
    URL of PostgreSQL says it; else in the directory.
    """
    location = directory if endpoint is None else storage_for(directory, endpoint)
    metastore = directory / METASTORE_FILE if server is None else metastore_for(directory, server)
    try:
        return Lake.open(location, clock=clock, ids=ids, metastore=metastore)
    except NotFound:
        return Lake.create(location, clock=clock, ids=ids, metastore=metastore)
