"""Who may delete a lake's files: the one metastore that its location names.

Files are deleted because no commit refers to them, and only a metastore knows the commits. A copy
of a metastore that was taken yesterday knows nothing of today's files: it must not sweep where the
original's files are. Therefore ``<location>/lake.json`` names the metastore that may: by the epoch,
which is a fact of the metastore and anew with every take-over, and by its identity, which a copy
does not share. Reading and writing need neither: names of new files are nobody else's.
"""

import msgspec

from headgate.errors import Corrupt, Refused
from headgate.lake.metastore import Metastore
from headgate.lake.storage import Storage
from headgate.names import Ids

MARK_FILE = "lake.json"


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """What a location says of itself: whose it is, and which metastore may delete in it."""

    id: str
    epoch: str
    metastore: str


def mark_of(storage: Storage) -> Mark | None:
    """Give a location's mark; None where there is none, or none that can be read."""
    try:
        return msgspec.json.decode(storage.read(MARK_FILE), type=Mark)
    except (Corrupt, msgspec.MsgspecError):
        return None


def put_mark(storage: Storage, metastore: Metastore) -> None:
    """Name a metastore as the one that may delete files here."""
    mark = Mark(id=metastore.lake_id(), epoch=metastore.epoch(), metastore=metastore.identity())
    storage.put(MARK_FILE, msgspec.json.encode(mark) + b"\n")


def why_not_owner(storage: Storage, metastore: Metastore) -> str | None:
    """Say why a metastore may not delete files at a location; None where it may."""
    mark = mark_of(storage)
    if mark is None:
        return f"there is no {MARK_FILE} that names it"
    if mark.id != metastore.lake_id():
        return f"{MARK_FILE} names another lake"
    if mark.epoch != metastore.epoch():
        return "another metastore took the lake over"
    if mark.metastore != metastore.identity():
        return "the lake was copied, restored or moved to another disk"
    return None


def refuse_stranger(storage: Storage, metastore: Metastore) -> None:
    """Refuse a metastore that may not delete files here.

    Raises:
        Refused: ``not-the-owner``.
    """
    reason = why_not_owner(storage, metastore)
    if reason is not None:
        raise Refused(
            "not-the-owner",
            f"Files of {storage.location} may not be deleted from here: {reason}.",
            readers="Nothing was deleted.",
            hint="If no other copy of this lake uses these files:  headgate doctor --take-over",
            path=str(storage.location),
        )


def take_over(storage: Storage, metastore: Metastore, ids: Ids) -> str:
    """Begin a new epoch, in which this metastore is the one that may delete files here."""
    epoch = ids.unique()
    metastore.take_epoch(epoch)
    put_mark(storage, metastore)
    return epoch
