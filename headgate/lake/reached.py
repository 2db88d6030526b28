"""Which files commits refer to, commit by commit: what each added to its parent."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from headgate.errors import Corrupt
from headgate.lake.entries import Entry
from headgate.lake.lake import Lake
from headgate.lake.reachability import operation_files
from headgate.lake.records import Commit

_COMMITS_AT_ONCE = 256


def reached_commits(lake: Lake, heads: Iterable[str], known: set[str]) -> Iterator[Commit]:
    """Give every commit that the heads reach, each once, newest first from each head.

    A commit in ``known`` is not given, nor what lies behind it; those given are added.
    """
    for head in heads:
        at: str | None = head
        while at is not None and at not in known:
            piece = lake.metastore.chain(at, limit=_COMMITS_AT_ONCE, cached=False)
            at = None
            for commit in piece:
                if commit.id in known:
                    break
                known.add(commit.id)
                yield commit
            else:
                at = piece[-1].parent


def files_of(lake: Lake, commits: Iterable[Commit]) -> Iterator[str]:
    """Give the files that commits refer to, relative, each once; some may be gone.

    Those of tables that a commit's parent has not, and those of the recorded operations. What a
    commit no longer holds (``retention``) is left out.

    Raises:
        Corrupt: ``metadata-damaged``.
    """
    files = _Files(lake)
    left = iter(commits)
    while piece := list(islice(left, _COMMITS_AT_ONCE)):
        yield from files.added(piece)


class _Files:
    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._seen: set[str] = set()
        self._found: list[str] = []

    def added(self, commits: Sequence[Commit]) -> list[str]:
        parents = (commit.parent for commit in commits if commit.parent is not None)
        gone = self._lake.metastore.retention.gone([*(each.id for each in commits), *parents])
        self._found = []
        for commit in commits:
            lost = gone.get(commit.id)
            if lost is None or lost.emptied is None:
                for path in operation_files(commit):
                    self._is_new(path)
            if lost is None or lost.collected is None:
                before = gone.get(commit.parent or "")
                has_parent = commit.parent is not None and not (before and before.collected)
                for entry in self._tables(commit, commit.parent if has_parent else None):
                    self._refer(entry)
        return self._found

    def _tables(self, commit: Commit, parent: str | None) -> Iterator[Entry]:
        """Give the tables that a commit has otherwise than its parent."""
        tree = self._lake.tree(commit)
        if parent is None:
            yield from (entry for _, entry in tree.items("table/"))
            return
        for change in self._lake.tree(self._lake.commit(parent)).diff(tree):
            if change.after is not None and change.after.table is not None:
                yield change.after

    def _refer(self, entry: Entry) -> None:
        try:
            self._lake.tables.referred(entry, self._is_new)
        except Corrupt as error:
            if error.code != "metadata-missing":
                raise

    def _is_new(self, path: str) -> bool:
        if path in self._seen:
            return False
        self._seen.add(path)
        self._found.append(path)
        return True


def table_entries(lake: Lake, commits: Iterable[str]) -> Iterator[tuple[str, Entry]]:
    """Give the tables of commits with their names, each version of a table once."""
    seen: set[str] = set()
    for id in commits:
        for key, entry in lake.tree(lake.commit(id)).items("table/"):
            if entry.table is not None and entry.table.metadata not in seen:
                seen.add(entry.table.metadata)
                yield key.removeprefix("table/"), entry
