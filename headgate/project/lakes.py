"""The project's lake: where its settings say it is."""

from collections.abc import Mapping
from pathlib import Path

from headgate.clock import Clock
from headgate.lake import Lake, ObjectStorage, Storage
from headgate.names import Ids
from headgate.project.settings import Settings
from headgate.stores import StoreOptions, found_credentials, open_bucket


def open_lake(
    settings: Settings, *, environment: Mapping[str, str], clock: Clock, ids: Ids
) -> Lake:
    """Open the lake that the settings name.

    Raises:
        NotFound: ``no-lake``. And as ``Lake.open``, ``lake_place``.
    """
    place = lake_place(settings, environment=environment, clock=clock)
    return Lake.open(place, clock=clock, ids=ids, metastore=settings.metastore)


def create_lake(
    settings: Settings,
    *,
    environment: Mapping[str, str],
    clock: Clock,
    ids: Ids,
    main: str,
) -> Lake:
    """Make the lake that the settings name.

    Raises:
        AlreadyExists: ``lake-exists``. And as ``Lake.create``, ``lake_place``.
    """
    place = lake_place(settings, environment=environment, clock=clock)
    return Lake.create(place, clock=clock, ids=ids, main=main, metastore=settings.metastore)


def lake_place(
    settings: Settings, *, environment: Mapping[str, str], clock: Clock
) -> Path | Storage:
    """Give where the lake's files are. Credentials come from the environment and AWS's files.

    Raises:
        Invalid: ``bad-location``, ``bad-endpoint``, ``credentials-incomplete``,
            ``profile-unusable``.
        Unavailable: ``library-missing``.
    """
    if isinstance(settings.lake, Path):
        return settings.lake
    options = found_credentials(
        StoreOptions(
            endpoint=settings.endpoint, region=settings.region, allow_http=settings.allow_http
        ),
        environment,
    )
    return ObjectStorage(open_bucket(settings.lake, options, clock=clock))
