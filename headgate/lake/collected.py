"""Commits that were collected: who looks into one is told so, not that something is missing.

Nothing is asked in advance. Nodes and files never change and no name is used twice, so what is
found is right; only where something is missing the metastore is asked whether it was swept away.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

from headgate.errors import Corrupt, NotFound
from headgate.lake.metastore import Metastore
from headgate.lake.nodes import Node, NodeReader
from headgate.lake.pins import commit_collected
from headgate.lake.records import Commit, Write

MISSING = frozenset({"missing-node", "metadata-missing", "data-file-missing"})


class CommitNodes(NodeReader):
    """Reads the nodes of one commit's tree, through a reader that all trees share."""

    def __init__(self, reader: NodeReader, metastore: Metastore, commit: Commit) -> None:
        self._shared = reader
        self._metastore = metastore
        self._commit = commit

    def nodes(self, names: Sequence[bytes], fresh: Mapping[bytes, bytes]) -> list[Node]:
        """Give nodes in the order of their names; see ``NodeReader.nodes``.

        Raises:
            NotFound: ``commit-collected``. Corrupt: ``missing-node``, ``corrupt-node``.
        """
        try:
            return self._shared.nodes(names, fresh)
        except Corrupt as error:
            raise explained(error, self._metastore, self._commit) from error

    def values(self, names: Sequence[bytes], fresh: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """Give the long values of these names; see ``NodeReader.values``.

        Raises:
            NotFound: ``commit-collected``. Corrupt: ``missing-node``, ``corrupt-node``.
        """
        try:
            return self._shared.values(names, fresh)
        except Corrupt as error:
            raise explained(error, self._metastore, self._commit) from error


def explained(error: Corrupt, metastore: Metastore, commit: Commit) -> Corrupt | NotFound:
    """Give the error for something missing: another one where its commit was collected."""
    if error.code not in MISSING:
        return error
    gone = metastore.retention.gone((commit.id,)).get(commit.id)
    if gone is None or gone.collected is None:
        return error
    return commit_collected(commit.id, at=gone.collected, of=commit.record.at)


@contextmanager
def explaining(metastore: Metastore, commit: Commit) -> Iterator[None]:
    """Say of what is missing in a commit that it was collected, where it was.

    Raises:
        NotFound: ``commit-collected``.
    """
    try:
        yield
    except Corrupt as error:
        told = explained(error, metastore, commit)
        if told is error:
            raise
        raise told from error


def refuse_collected(metastore: Metastore, commit: Commit, *, need: str) -> None:
    """Refuse to need the state of a commit that has none any more; ``need`` says for what.

    Raises:
        NotFound: ``commit-collected``.
    """
    row = metastore.retention.gone((commit.id,)).get(commit.id)
    if row is not None and row.collected is not None:
        raise commit_collected(commit.id, at=row.collected, of=commit.record.at, need=need)


def refuse_emptied(
    metastore: Metastore, commits: Sequence[Commit], *, keys: Collection[str]
) -> None:
    """Refuse to apply operations on keys again where their files were swept away.

    Raises:
        NotFound: ``commit-collected``.
    """
    gone = metastore.retention.gone([commit.id for commit in commits])
    for commit in commits:
        row = gone.get(commit.id)
        if row is None or row.emptied is None:
            continue
        if any(write.key in keys and has_files(write) for write in commit.record.writes):
            need = "the rows that it wrote"
            raise commit_collected(commit.id, at=row.emptied, of=commit.record.at, need=need)


def has_files(write: Write) -> bool:
    """Whether applying a write's operations again reads files that it recorded."""
    return any(getattr(operation, "files", ()) for operation in write.operations)
