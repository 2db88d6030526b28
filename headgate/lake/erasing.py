"""The history without some rows: every state of their tables, every tree and record, anew.

Nothing here decides which rows go: that is a mapping from the files that held them to what took
their place. Commits keep their ids (docs/decisions/020).
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from headgate.filesets import DataFile
from headgate.lake.commits import encode_erased, erased_digest, link_after, make_commit
from headgate.lake.entries import Entry, table_key
from headgate.lake.instants import stored
from headgate.lake.lake import Lake
from headgate.lake.operations import Append, Delete, Operation, Upsert
from headgate.lake.records import Commit, Read, Record, StepRecord, Write
from headgate.lake.sql_erasing import Change, Erasure
from headgate.lake.storage import data_directory
from headgate.lake.trees import Tree
from headgate.verdicts import Verdict

Exchange = Mapping[str, DataFile | None]
"""What took the place of a data file: one with fewer rows, or none."""

Words = Callable[[str], str]
"""Strikes out of a text what must not be told any more."""

_COMMITS_AT_ONCE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeHistory:
    """All commits a lake has stored, reachable or not, oldest first. ``collected``: no tree."""

    commits: tuple[Commit, ...]
    collected: frozenset[str]

    def with_trees(self) -> Iterator[Commit]:
        """Give the commits whose trees are there."""
        return (commit for commit in self.commits if commit.id not in self.collected)


def whole_history(lake: Lake) -> WholeHistory:
    """Read all commits; nothing is taken from caches."""
    retention = lake.metastore.retention
    ids: list[str] = []
    collected: set[str] = set()
    after = ""
    while rows := retention.commit_rows(after=after, limit=_COMMITS_AT_ONCE):
        ids += (row.id for row in rows)
        collected.update(row.id for row in rows if row.collected is not None)
        after = rows[-1].id
    commits: list[Commit] = []
    for start in range(0, len(ids), _COMMITS_AT_ONCE):
        commits += lake.metastore.commits(ids[start : start + _COMMITS_AT_ONCE])
    commits.sort(key=lambda commit: commit.number)
    return WholeHistory(commits=tuple(commits), collected=frozenset(collected))


@dataclass(kw_only=True)
class TableVersions:
    """Every version of some tables, by any name they had: metadata path to (name, entry).

    ``uuids`` are the tables that ever had one of the names asked for.
    """

    names: frozenset[str]
    uuids: set[str] = field(default_factory=set)
    found: dict[str, tuple[str, Entry]] = field(default_factory=dict)
    newest: dict[str, Entry] = field(default_factory=dict)
    _trees: set[str] = field(default_factory=set)
    _others: dict[str, list[tuple[str, Entry]]] = field(default_factory=dict)

    @property
    def keys(self) -> frozenset[str]:
        """The keys of all names the tables had."""
        return frozenset(
            table_key(name) for name in (*self.names, *(name for name, _ in self.found.values()))
        )

    def look(self, lake: Lake, history: WholeHistory) -> None:
        """Take in the versions that commits have; what was looked at before is not read again."""
        for commit in history.with_trees():
            if commit.tree in self._trees:
                continue
            self._trees.add(commit.tree)
            for key, entry in lake.tree(commit).items("table/"):
                self._note(key.removeprefix("table/"), entry)

    def _note(self, name: str, entry: Entry) -> None:
        if entry.table is None:
            return
        uuid = entry.table.uuid
        if name in self.names and uuid not in self.uuids:
            self.uuids.add(uuid)
            for known, other in self._others.pop(uuid, []):  # it had another name before
                self._note(known, other)
        if uuid in self.uuids:
            self.found.setdefault(entry.table.metadata, (name, entry))
            self.newest[uuid] = entry
        else:
            self._others.setdefault(uuid, []).append((name, entry))


class ErasedHistory:
    """Commits as they are without rows; keeps what it has made, for when it is asked again."""

    def __init__(
        self, lake: Lake, versions: TableVersions, *, words: Words, predicates: Words
    ) -> None:
        self._lake = lake
        self._versions = versions
        self._words = words
        self._predicates = predicates
        self._states: dict[str, Entry] = {}
        self._last: dict[str, Entry] = {}
        self._roots: dict[str, Tree] = {}
        self.nodes: dict[bytes, bytes] = {}
        self.bodies: dict[str, bytes] = {}
        self.digests: dict[str, str] = {}

    @property
    def states(self) -> Mapping[str, Entry]:
        """Every version of the tables as it is now, by the path of its metadata before."""
        return self._states

    def write(self, history: WholeHistory, exchange: Exchange, there: Collection[str]) -> None:
        """Write metadata for every version, and make every commit that must say something else.

        ``there`` are all data files that were looked through.
        """
        for path, (name, entry) in self._versions.found.items():
            if path not in self._states and entry.table is not None:
                made = self._lake.tables.exchanged(
                    entry, exchange, self._last.get(entry.table.uuid), table=name
                )
                self._states[path] = self._last[entry.table.uuid] = made
        struck = _Record(
            exchange=exchange,
            there=there,
            tables=self._versions.keys,
            directories=tuple(f"{data_directory(uuid)}/" for uuid in self._versions.uuids),
            words=self._words,
            predicates=self._predicates,
        )
        for commit in history.commits:
            root = commit.tree
            if commit.id not in history.collected:
                root = self.tree(commit).root
            erased = msgspec.structs.replace(commit, tree=root, record=struck.of(commit))
            if erased != commit:
                body = encode_erased(erased)
                self.bodies[commit.id] = body
                self.digests[commit.id] = erased_digest(body) or ""

    def tree(self, commit: Commit) -> Tree:
        """Give the tree of a commit as it is without the rows; it is stored with the erasure."""
        made = self._roots.get(commit.tree)
        if made is None:
            tree = self._lake.tree(commit)
            changes: dict[str, Entry | None] = {}
            for key, entry in tree.items("table/"):
                now = self._states.get(entry.table.metadata) if entry.table is not None else None
                if now is not None and now.table is not None and entry.table is not None:
                    body = msgspec.structs.replace(
                        entry.table,
                        metadata=now.table.metadata,
                        rows=now.table.rows,
                        size_bytes=now.table.size_bytes,
                        files=now.table.files,
                    )
                    changes[key] = msgspec.structs.replace(entry, table=body)
            made = tree.with_changes(changes)
            self.nodes.update(made.new_nodes)
            self._roots[commit.tree] = made
        return made

    def new_files(self) -> set[str]:
        """Give every file that the versions need as they are now, relative."""
        found: set[str] = set()

        def is_new(path: str) -> bool:
            if path in found:
                return False
            found.add(path)
            return True

        for entry in self._states.values():
            self._lake.tables.referred(entry, is_new)
        return found

    def erasure(
        self,
        head: Commit,
        *,
        heads: Mapping[str, str],
        target: str,
        record: Record,
        changes: Mapping[str, Entry | None],
        left_to_do: str,
        texts: Sequence[Change],
    ) -> Erasure:
        """Give all that one transaction writes, a commit on the target's head among it."""
        metastore = self._lake.metastore
        tree = self.tree(head).with_changes(changes)
        commit = make_commit(head, tree=tree.root, record=record)
        return Erasure(
            heads=heads,
            bodies=self.bodies,
            nodes={**self.nodes, **tree.new_nodes},
            target=target,
            commit=commit,
            link=link_after(metastore.link(head.id), commit.id, metastore.link),
            at=stored(record.at),
            left_to_do=left_to_do,
            texts=texts,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """Takes out of a record what tells of the rows: bounds, footprints, literals, examples."""

    exchange: Exchange
    there: Collection[str]
    tables: frozenset[str]
    directories: tuple[str, ...]
    words: Words
    predicates: Words

    def of(self, commit: Commit) -> Record:
        """Give a commit's record without it."""
        record = commit.record
        made = msgspec.structs.replace(
            record,
            message=self.words(record.message),
            steps=tuple(self._step(step) for step in record.steps),
            verdicts=tuple(self._verdict(verdict) for verdict in record.verdicts),
        )
        return record if made == record else made

    def _step(self, step: StepRecord) -> StepRecord:
        return msgspec.structs.replace(
            step,
            reads=tuple(self._read(read) for read in step.reads),
            writes=tuple(self._write(write) for write in step.writes),
        )

    def _read(self, read: Read) -> Read:
        if read.key not in self.tables or read.footprint is None:
            return read
        return msgspec.structs.replace(read, footprint=None)

    def _write(self, write: Write) -> Write:
        mine = write.key in self.tables
        operations = tuple(self._operation(each, mine=mine) for each in write.operations)
        return msgspec.structs.replace(write, operations=operations)

    def _operation(self, operation: Operation, *, mine: bool) -> Operation:
        changes: dict[str, object] = {}
        for name in ("files", "added"):
            files: tuple[DataFile, ...] = getattr(operation, name, ())
            made = tuple(new for file in files if (new := self._file(file)) is not None)
            if made != files:
                changes[name] = made
        if mine and isinstance(operation, Delete) and operation.predicate:
            changes["predicate"] = self.predicates(operation.predicate)
        if mine and isinstance(operation, Append | Upsert | Delete) and operation.footprint:
            changes["footprint"] = {}
        return msgspec.structs.replace(operation, **changes) if changes else operation

    def _file(self, file: DataFile) -> DataFile | None:
        if not file.path.startswith(self.directories):
            return file
        if file.path not in self.exchange:
            return file if file.path in self.there else replace(file, bounds={}, partition={})
        made = self.exchange[file.path]
        return replace(made, partition=file.partition) if made is not None else None

    def _verdict(self, verdict: Verdict) -> Verdict:
        if self.tables.isdisjoint(verdict.contents):
            return verdict
        results = tuple(
            replace(
                result,
                examples=(),
                measured=self.words(result.measured)
                if isinstance(result.measured, str)
                else result.measured,
            )
            for result in verdict.results
        )
        return replace(verdict, results=results)
