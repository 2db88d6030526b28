"""Where a lake's metastore is, and how it is made and opened: an SQLite file, or PostgreSQL.

A location of files and a metastore are named apart. A directory may hold its metastore, as a file
called ``metastore.sqlite``; a metastore elsewhere is the path of such a file, or a URL.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from headgate.clock import Clock
from headgate.errors import AlreadyExists, Corrupt, Invalid, Refused, Unavailable
from headgate.lake.database import Database
from headgate.lake.epochs import mark_of
from headgate.lake.local_storage import LocalStorage
from headgate.lake.records import Commit
from headgate.lake.sql_metastore import SqlMetastore
from headgate.lake.sqlite import create_sqlite, open_sqlite, refuse_orphans, sqlite_database
from headgate.lake.storage import Storage

if TYPE_CHECKING:
    from types import ModuleType

METASTORE_FILE = "metastore.sqlite"
_SCHEMES = ("postgresql://", "postgres://")


def is_server(place: Path | str) -> bool:
    """Say whether a metastore is a server's, and no file."""
    return isinstance(place, str) and place.startswith(_SCHEMES)


def lake_places(
    location: Path | Storage, metastore: Path | str | None
) -> tuple[Storage, Path | str]:
    """Give where the files are, and where the metastore is: its own file, or a server.

    Raises:
        Invalid: ``metastore-needed``.
    """
    if metastore is not None and is_server(metastore):
        storage = LocalStorage(location.absolute()) if isinstance(location, Path) else location
        return storage, metastore
    if isinstance(location, Path):
        location = location.absolute()
        return LocalStorage(location), location / (metastore or METASTORE_FILE)
    if metastore is None:
        raise Invalid(
            "metastore-needed",
            f"The lake at {location.location} needs a metastore: its files are in an object store,"
            " and a database cannot be.",
            hint="Set lake.metastore to a PostgreSQL URL, or to a file on a local disk.",
            location=location.location,
        )
    return location, Path(metastore).absolute()


def make_directory(directory: Path) -> None:
    """Make a directory that a lake needs.

    Raises:
        Unavailable: ``cannot-write``.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            "cannot-write",
            f"No lake can be made in {directory}: {error.strerror}.",
            hint="Choose another lake.location, or mend the rights on it.",
            path=str(directory),
        ) from error


def create_metastore(
    place: Path | str,
    *,
    directory: Path | None,
    clock: Clock,
    lake_id: str,
    main: str,
    genesis: Commit,
    nodes: Mapping[bytes, bytes],
    unique: str,
) -> None:
    """Create a metastore, whole or not at all; of several creators one succeeds.

    Args:
        place: a file, or a URL of PostgreSQL.
        directory: the lake's own, where it has one: it must not belong to another metastore.
        clock: when that is.
        lake_id: the lake's id.
        main: the name of its first branch.
        genesis: its first commit.
        nodes: the nodes of that commit's tree.
        unique: a name nobody else uses.

    Raises:
        AlreadyExists: ``lake-exists``.
        Refused: ``another-metastore``, ``network-file-system``, ...
        Corrupt: ``metastore-missing``.
        Unavailable: ``metastore-unreachable``, ``library-missing``, ...
    """
    if is_server(place):
        if directory is not None:
            _refuse_owned(directory)
        _postgres().create_postgres(
            place, clock=clock, lake_id=lake_id, main=main, genesis=genesis, nodes=nodes
        )
        return
    path = Path(place)
    if path.exists():
        raise AlreadyExists(
            "lake-exists", f"There is a lake in {path.parent} already.", path=str(path.parent)
        )
    create_sqlite(
        path, clock=clock, lake_id=lake_id, main=main, genesis=genesis, nodes=nodes, unique=unique
    )


def open_metastore(place: Path | str, *, clock: Clock) -> SqlMetastore:
    """Open a metastore.

    Raises:
        As ``open_sqlite``, ``open_postgres``. Unavailable: ``library-missing``.
    """
    if is_server(place):
        opened: SqlMetastore = _postgres().open_postgres(place, clock=clock)
        return opened
    return open_sqlite(Path(place), clock=clock)


def metastore_database(place: Path | str) -> Database:
    """Give the database of a metastore that is there, whatever its format.

    Raises:
        As ``open_metastore``.
    """
    if is_server(place):
        database: Database = _postgres().postgres_database(place)
        return database
    return sqlite_database(Path(place))


def refuse_foreign_files(storage: Storage, metastore: SqlMetastore) -> None:
    """Refuse a location that holds the files of another lake than the metastore's.

    Raises:
        Refused: ``another-lake``.
    """
    mark = mark_of(storage)
    if mark is not None and mark.id != metastore.lake_id():
        raise Refused(
            "another-lake",
            f"{storage.location} holds the files of lake {mark.id}; the metastore is that of lake "
            f"{metastore.lake_id()}.",
            hint="Set lake.location and lake.metastore to those of one lake.",
            location=storage.location,
        )


def _refuse_owned(directory: Path) -> None:
    file = directory / METASTORE_FILE
    if file.exists():
        raise Refused(
            "another-metastore",
            f"The lake in {directory} has its metastore there, in {METASTORE_FILE}.",
            hint="Choose another lake.location for a new lake; or take lake.metastore out.",
            path=str(file),
        )
    try:
        refuse_orphans(file)
    except Corrupt as error:
        error.message = (
            f"{directory} holds the files of a lake's tables, and the metastore that is named holds"
            " no lake."
        )
        raise


def _postgres() -> "ModuleType":
    try:
        from headgate.lake import postgres  # noqa: PLC0415 - loads the driver
    except ImportError as error:
        raise Unavailable(
            "library-missing",
            f"A metastore in PostgreSQL needs psycopg: {error}.",
            hint="pip install 'headgate[postgres]'",
            library="psycopg",
        ) from error
    return postgres
