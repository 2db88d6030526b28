"""Commits that were collected: who looks into one is told so, not that something is missing.

Nothing is asked in advance. Nodes and files never change and no name is used twice, so what is
found is right; only where something is missing the metastore is asked whether it was swept away.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from headgate.errors import Corrupt, NotFound
from headgate.lake.metastore import Metastore
from headgate.lake.nodes import Node, NodeReader
from headgate.lake.pins import commit_collected
from headgate.lake.records import Commit

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


def refuse_collected(metastore: Metastore, commits: Sequence[Commit], *, need: str) -> None:
    """Refuse to need what commits no longer have: their states, or the files of their operations.

    Raises:
        NotFound: ``commit-collected``.
    """
    gone = metastore.retention.gone([commit.id for commit in commits])
    for commit in commits:
        row = gone.get(commit.id)
        at = row and (row.collected or row.emptied)
        if at:
            raise commit_collected(commit.id, at=at, of=commit.record.at, need=need)
