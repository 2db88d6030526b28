"""A session of an Iceberg client: pinned to one commit, so that what it read is known.

The tables it loads are its reads, as they were at the pinned commit; its file differences are its
writes. Where the branch has changed what it loaded, a commit fails, as it would where two clients
write one table; else the session goes on from its own commit, which holds what others did beside.
"""

from pyiceberg.exceptions import CommitFailedException

from headgate.lake.entries import Entry, table_key
from headgate.lake.iceberg_catalog import IcebergCatalog
from headgate.lake.lake import Lake
from headgate.lake.records import Commit, Read
from headgate.lake.trees import Tree


class IcebergSession(IcebergCatalog):
    """A catalog of a branch as it was when the session began, and what the session did to it.

    Use it in a ``with`` statement, or just drop it: it holds nothing open.

    Raises (when committing):
        CommitFailedException: the branch has changed a table the session loaded. Begin another.
    """

    def __init__(self, lake: Lake, branch: str, *, name: str = "headgate") -> None:
        super().__init__(lake, branch, name=name)
        self._pinned = super()._commit()
        self._loaded: dict[str, str | None] = {}
        self._listed = False

    def _commit(self) -> Commit:
        return self._pinned

    def _find(self, commit: Commit, name: str) -> Entry | None:
        entry = super()._find(commit, name)
        if commit.id == self._pinned.id:
            self._loaded[table_key(name)] = entry.content if entry is not None else None
        return entry

    def _tree(self) -> Tree:
        self._listed = True
        return super()._tree()

    def _head(self) -> Commit:
        head = super()._commit()
        if head.id == self._pinned.id:
            return head
        now = self._lake.tree(head)
        for key, content in self._loaded.items():
            entry = now.get(key)
            if (entry.content if entry is not None else None) != content:
                raise CommitFailedException(
                    f"{key.removeprefix(table_key(''))} has changed on {self._ref} since the "
                    "session began; begin another"
                )
        if self._listed and self._names(now) != self._names(self._lake.tree(self._pinned)):
            raise CommitFailedException(
                f"Tables have come or gone on {self._ref} since the session began; begin another"
            )
        return head

    def _reads(self) -> tuple[Read, ...]:
        found = tuple(Read(key=key, content=seen) for key, seen in sorted(self._loaded.items()))
        return (*found, Read(key=table_key(""))) if self._listed else found

    def _committed(self, commit: Commit) -> None:
        self._pinned = commit
        now = self._lake.tree(commit)
        for key in self._loaded:
            entry = now.get(key)
            self._loaded[key] = entry.content if entry is not None else None

    @staticmethod
    def _names(tree: Tree) -> list[str]:
        return list(tree.keys(table_key("")))
