"""What commits reach: the nodes of their trees, their tables' files, their operations' files.

Each node, metadata file and manifest is read once, however many commits share it.
"""

from collections.abc import Callable, Iterable, Sequence

from headgate.errors import Corrupt
from headgate.lake.collected import explained
from headgate.lake.entries import Entry
from headgate.lake.metastore import Metastore
from headgate.lake.nodes import NodeReader, referred
from headgate.lake.records import Commit
from headgate.lake.tables import Tables
from headgate.lake.tallies import Tallies
from headgate.lake.trees import decode_entry

_COMMITS_AT_ONCE = 128
_NODES_AT_ONCE = 64


class Reachability:
    """Walks what commits reach and notes it down."""

    def __init__(self, metastore: Metastore, tables: Tables, tallies: Tallies) -> None:
        self._metastore = metastore
        self._tables = tables
        self._tallies = tallies
        self._reader = NodeReader(metastore, keep_bytes=0)

    def states(self, commits: Sequence[str], *, level: int) -> None:
        """Note the nodes and the files of the trees of commits.

        Raises:
            Corrupt: a node or a file of metadata is missing, or damaged.
        """
        for piece in self._pieces(commits):
            for commit in piece:
                try:
                    self._tree(bytes.fromhex(commit.tree), level)
                except Corrupt as error:
                    if explained(error, self._metastore, commit) is error:
                        raise
                    # another collection, of a shorter grace, has just swept it away

    def operations(self, commits: Sequence[str], *, level: int) -> None:
        """Note the files of the operations that commits record."""
        for piece in self._pieces(commits):
            for commit in piece:
                for path in operation_files(commit):
                    self._tallies.add_file(path, level)

    def records(self, commits: Sequence[str], see: Callable[[Commit], None]) -> None:
        """Show each commit, noting nothing."""
        for piece in self._pieces(commits):
            for commit in piece:
                see(commit)

    def _pieces(self, commits: Sequence[str]) -> Iterable[Sequence[Commit]]:
        for start in range(0, len(commits), _COMMITS_AT_ONCE):
            yield self._metastore.commits(commits[start : start + _COMMITS_AT_ONCE])

    def _tree(self, root: bytes, level: int) -> None:
        names = self._tallies.new_nodes((root,))
        while names:
            batch, names = names[-_NODES_AT_ONCE:], names[:-_NODES_AT_ONCE]
            long: list[bytes] = []
            for node in self._reader.nodes(batch, {}):
                if node.level:
                    names += self._tallies.new_nodes(node.slots)
                    continue
                for slot in node.slots:
                    name = referred(slot)
                    if name is None:
                        self._entry(decode_entry(slot), level)
                    else:
                        long.append(name)
            fresh = self._tallies.new_nodes(long)
            for start in range(0, len(fresh), _NODES_AT_ONCE):
                piece = fresh[start : start + _NODES_AT_ONCE]
                for value in self._reader.values(piece, {}).values():
                    self._entry(decode_entry(value), level)

    def _entry(self, entry: Entry, level: int) -> None:
        if entry.table is not None:
            self._tables.referred(entry, lambda path: self._tallies.add_file(path, level))


def operation_files(commit: Commit) -> Iterable[str]:
    """Give the files that a commit's recorded operations name; some may recur."""
    for write in commit.record.writes:
        for operation in write.operations:
            for file in (*getattr(operation, "files", ()), *getattr(operation, "added", ())):
                yield file.path
