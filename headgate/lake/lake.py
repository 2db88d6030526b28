"""The lake: commits, branches and tags, and the trees behind them."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Self

from headgate.clock import Clock
from headgate.errors import (
    Corrupt,
    NotFound,
    Refused,
)
from headgate.lake import commits, epochs, refs
from headgate.lake.collected import CommitNodes
from headgate.lake.entries import Entry, table_key
from headgate.lake.kept_history import KeptHistory
from headgate.lake.leases import Leases
from headgate.lake.metastore import Branch, Metastore, Outcome, Tag
from headgate.lake.migrations import Upgraded, open_facts, refuse_at_work, upgrade
from headgate.lake.named_refs import NamedRefs, refuse_reserved
from headgate.lake.nodes import NodeReader
from headgate.lake.opening import (
    create_metastore,
    is_server,
    lake_places,
    make_directory,
    metastore_database,
    open_metastore,
    refuse_foreign_files,
)
from headgate.lake.records import Commit, Record
from headgate.lake.sql_metastore import SqlMetastore
from headgate.lake.storage import Storage
from headgate.lake.trees import Tree
from headgate.lake.verifying import verify_history
from headgate.lake.vouching import CERTIFICATES, unvouched
from headgate.names import Ids, ref_name
from headgate.recent import Recent

if TYPE_CHECKING:
    from headgate.lake.tables import Tables

_LOG_PIECE = 64
_KEPT_HISTORIES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A commit that is not stored yet, with its tree and the nodes that are new in it."""

    commit: Commit
    nodes: Mapping[bytes, bytes]
    tree: Tree


class Lake:
    """A lake at a location. Safe between threads and processes; close it, or use ``with``.

    Args:
        storage: where its files are; paths in the lake's own records are relative to it.
        metastore: the owner of its mutable state; closed together with the lake.
        clock: what time it is.
        ids: makes names nobody else makes.
    """

    def __init__(self, storage: Storage, metastore: Metastore, *, clock: Clock, ids: Ids) -> None:
        self.storage = storage
        self.metastore = metastore
        self.clock = clock
        self.ids = ids
        self._reader = NodeReader(metastore)
        self._refs = NamedRefs(metastore, clock, self.resolve)
        self._histories: Recent[KeptHistory] = Recent(_KEPT_HISTORIES)
        self._making = Lock()
        self._tables: Tables | None = None
        self._leases: Leases | None = None

    @classmethod
    def create(
        cls,
        location: Path | Storage,
        *,
        clock: Clock,
        ids: Ids,
        main: str = "main",
        metastore: Path | str | None = None,
    ) -> "Lake":
        """Make a lake: a first commit without entries, a protected branch.

        Args:
            location: a directory, which is made; or where else its files are.
            clock: what time it is.
            ids: makes names nobody else makes.
            main: the protected branch.
            metastore: a file, or a URL of PostgreSQL (``opening``); a file in the lake's directory
                where None.

        Raises:
            AlreadyExists: ``lake-exists``.
            Refused: ``network-file-system``, ``reserved-ref``, ``another-metastore``, ...
            Invalid: ``bad-ref-name``, ``metastore-needed``, ``bad-metastore-url``.
            Unavailable: ``cannot-write``, ``metastore-unreachable``, ``library-missing``.
            Corrupt: ``metastore-missing``.
        """
        refuse_reserved(ref_name(main))
        _, place = lake_places(location, metastore)
        directory = location.absolute() if isinstance(location, Path) else None
        for needed in (directory, place.parent if isinstance(place, Path) else None):
            if needed is not None:
                make_directory(needed)
        tree = Tree.empty(NodeReader(_NoNodes()))
        genesis = commits.make_commit(
            None, tree=tree.root, record=Record(kind="genesis", at=clock.now())
        )
        create_metastore(
            place,
            directory=directory,
            clock=clock,
            lake_id=ids.unique(),
            main=main,
            genesis=genesis,
            nodes=tree.new_nodes,
            unique=ids.unique(),
        )
        lake = cls.open(location, clock=clock, ids=ids, metastore=metastore)
        epochs.put_mark(lake.storage, lake.metastore)
        return lake

    @classmethod
    def open(
        cls,
        location: Path | Storage,
        *,
        clock: Clock,
        ids: Ids,
        metastore: Path | str | None = None,
    ) -> "Lake":
        """Open a lake.

        Raises:
            NotFound: ``no-lake``.
            Refused: ``lake-too-new``, ``network-file-system``, ``another-lake``, ...
            Invalid: ``metastore-needed``, ``bad-metastore-url``.
            Corrupt: ``metastore-corrupt``.
            Unavailable: ``metastore-locked``, ``metastore-unreachable``, ``library-missing``.
        """
        storage, place = lake_places(location, metastore)
        opened = open_metastore(place, clock=clock)
        if is_server(place):  # two settings name one lake: they may name two
            try:
                refuse_foreign_files(storage, opened)
            except BaseException:
                opened.close()
                raise
        return cls(storage, opened, clock=clock, ids=ids)

    @classmethod
    def upgrade(
        cls,
        location: Path | Storage,
        *,
        clock: Clock,
        is_alive: Callable[[str], bool],
        keep_copy: bool = True,
        metastore: Path | str | None = None,
    ) -> Upgraded:
        """Bring an older lake's metastore to today's format: a copy first, then all, or nothing.

        Args:
            location: the lake's directory, or where else its files are.
            clock: which runs' leases are over.
            is_alive: whether a run's owner may still be at work.
            keep_copy: copy the metastore first.
            metastore: as ``create`` has it.

        Raises:
            NotFound: ``no-lake``.
            Refused: ``lake-too-new``, ``runs-at-work``.
            Corrupt: ``metastore-corrupt``.
            Unavailable: ``metastore-locked``, ``metastore-full``.
        """
        storage, place = lake_places(location, metastore)
        with closing(metastore_database(place)) as database:
            done = upgrade(
                database,
                database.place,
                refuse=lambda session: refuse_at_work(session, clock.now(), is_alive),
                keep_copy=keep_copy,
            )
            facts = open_facts(database, database.place)
            upgraded = SqlMetastore(database, clock=clock, facts=facts)
            if epochs.mark_of(storage) is None:  # format 1 had none
                epochs.put_mark(storage, upgraded)
        return done

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Lake({self.storage.location!r})"

    def close(self) -> None:
        """Close the metastore; readers' leases end. Closing twice is no error."""
        with self._making:
            leases, self._leases = self._leases, None
        if leases is not None:
            leases.close()
        self.metastore.close()

    @property
    def location(self) -> Path:
        """The lake's directory. Where files may be elsewhere, ask ``storage``.

        Raises:
            Refused: ``lake-not-local``.
        """
        if self.storage.store is not None:
            raise Refused(
                "lake-not-local",
                f"The lake's files are in {self.storage.location}, not in a directory.",
                hint="Copy them with the object store's own tools.",
                location=self.storage.location,
            )
        return Path(self.storage.location)

    def refuse_stranger(self) -> None:
        """Refuse to delete files where this lake is a copy, or has been taken over (``epochs``).

        Raises:
            Refused: ``not-the-owner``.
        """
        epochs.refuse_stranger(self.storage, self.metastore)

    def take_over(self) -> str:
        """Make this the one lake that may delete its files: give the new epoch.

        Every other copy of this lake that uses these very files must be gone.
        """
        return epochs.take_over(self.storage, self.metastore, self.ids)

    @property
    def id(self) -> str:
        """The lake's id, given at its creation."""
        return self.metastore.lake_id()

    @property
    def tables(self) -> "Tables":
        """The Iceberg half: staging, writing and reading tables."""
        if self._tables is None:
            from headgate.lake.tables import Tables  # noqa: PLC0415 - the history must stay light

            with self._making:
                if self._tables is None:
                    self._tables = Tables(self.storage, self.metastore, self.ids, clock=self.clock)
        return self._tables

    @property
    def leases(self) -> Leases:
        """What this process reads: who reads for long holds what it reads."""
        with self._making:
            if self._leases is None:
                owner = f"{os.uname().nodename}:{os.getpid()}"
                self._leases = Leases(self.metastore, clock=self.clock, ids=self.ids, owner=owner)
            return self._leases

    # -- refs

    def resolve(self, ref: str) -> Commit:
        """Give the commit a ref means now (``refs``). Resolve once, then use the commit.

        Raises:
            Invalid: ``bad-ref``, ``bad-instant``, ``ambiguous-ref``.
            NotFound: ``unknown-ref``, ``before-history``.
        """
        return self.commit(refs.resolve(ref, self.metastore))

    def commit(self, id: str) -> Commit:
        """Give the commit of a whole id.

        Raises:
            NotFound: ``unknown-commit``.
        """
        commit = self.metastore.commit(id)
        if commit is None:
            raise NotFound("unknown-commit", f"There is no commit {id}.", commit=id)
        return commit

    @property
    def main(self) -> str:
        """The name of the branch the lake was created with. It cannot be deleted."""
        return self.metastore.main()

    def branch(self, name: str) -> Branch:
        """Give a branch.

        Raises:
            NotFound: ``unknown-branch``.
        """
        return self._refs.branch(name)

    def branches(self) -> Sequence[Branch]:
        """Give all branches, those of runs included, by name."""
        return self.metastore.branches()

    def create_branch(self, name: str, at: str | Commit) -> Branch:
        """Create an unprotected branch at a commit. Copies nothing.

        Raises:
            Invalid: ``bad-ref-name``.
            Refused: ``reserved-ref``: names that begin with ``run/`` are for runs.
            AlreadyExists: ``ref-exists``.
            NotFound: ``unknown-ref``.
        """
        return self._refs.create_branch(name, at)

    def delete_branch(self, name: str) -> None:
        """Delete a branch. Commits that no ref reaches any more go at the next sweep.

        Raises:
            NotFound: ``unknown-branch``.
            Refused: ``main-branch``, ``protected-branch``, ``run-open``.
            Conflict: ``head-moved``.
        """
        self._refs.delete_branch(name)

    def protect(self, name: str, *, protected: bool = True) -> None:
        """Protect a branch: from now on only publications move it. Or end its protection.

        Raises:
            NotFound: ``unknown-branch``.
            Refused: ``run-branch``: the branches of runs are theirs.
        """
        self._refs.protect(name, protected=protected)

    def tag(self, name: str) -> Tag:
        """Give a tag.

        Raises:
            NotFound: ``unknown-tag``.
        """
        return self._refs.tag(name)

    def tags(self) -> Sequence[Tag]:
        """Give all tags, by name."""
        return self.metastore.tags()

    def create_tag(self, name: str, at: str | Commit) -> Tag:
        """Create a tag. It never moves.

        Raises:
            Invalid: ``bad-ref-name``.
            Refused: ``reserved-ref``.
            AlreadyExists: ``ref-exists``.
            NotFound: ``unknown-ref``.
        """
        return self._refs.create_tag(name, at)

    def delete_tag(self, name: str) -> None:
        """Delete a tag.

        Raises:
            NotFound: ``unknown-tag``.
        """
        self._refs.delete_tag(name)

    # -- history

    def tree(self, commit: Commit) -> Tree:
        """Give the tree of a commit. Reads nothing yet.

        Reading it raises NotFound: ``commit-collected`` where it was swept away.
        """
        return Tree(CommitNodes(self._reader, self.metastore, commit), commit.tree)

    def log(
        self, commit: Commit, *, limit: int | None = None, table: str | None = None
    ) -> Iterator[Commit]:
        """Give a commit and its first parents, newest first; or those that changed ``table``."""
        given = 0
        for newer in self._history(commit, limit if table is None else None):
            if given == limit:
                return
            if table is None or self._changed(newer, table_key(table)):
                given += 1
                yield newer

    def window(self, head: Commit, since: int) -> list[Commit]:
        """Give the first-parent commits of ``head`` with numbers above ``since``, oldest first."""
        return list(reversed(self.metastore.chain(head.id, since=since)))

    def history_of(self, branch: str) -> KeptHistory:
        """Give a branch's history as the graph test asks it, kept between tests."""
        found = self._histories.get(branch)
        if found is None:
            found = KeptHistory(self.window)
            self._histories.put(branch, found)
        return found

    def merge_base(self, a: Commit, b: Commit) -> Commit:
        """Give the youngest commit that both descend from (or are)."""
        return self.commit(commits.merge_base(a.id, b.id, self.metastore.link).id)

    def is_ancestor(self, ancestor: str, of: Commit) -> bool:
        """Say whether a commit's id is that of ``of`` or of one of its first parents."""
        return commits.is_ancestor(ancestor, of.id, self.metastore.link)

    def verify(self, *, every_tree: bool = False) -> Iterator[Corrupt]:
        """Give what of the history is not stored as it was written, as it is found.

        Reads every commit that a ref reaches and the trees of the refs' heads; with ``every_tree``
        those of all commits. For the database's own file there is ``metastore.check``, for the
        files of a table ``tables.verify``.
        """
        yield from verify_history(self.metastore, every_tree=every_tree)
        if erased := self.metastore.erasing.erased():
            heads = {b.head for b in self.branches() if not b.name.startswith(refs.RUN_PREFIX)}
            certificates = (
                entry
                for head in sorted(heads)
                for _, entry in self.tree(self.commit(head)).items(CERTIFICATES)
            )
            yield from unvouched(erased, certificates)

    # -- committing

    def compose(
        self, parent: Commit, changes: Mapping[str, Entry | None], record: Record
    ) -> Candidate:
        """Give the commit that follows ``parent`` with these entries set, or removed where None.

        Nothing is stored. Equal changes on equal trees give equal trees, in whatever order.
        """
        tree = self.tree(parent).with_changes(changes)
        commit = commits.make_commit(parent, tree=tree.root, record=record)
        return Candidate(commit=commit, nodes=tree.new_nodes, tree=tree)

    def commit_to(self, branch: str, candidate: Candidate) -> Commit:
        """Move an unprotected branch to a candidate that follows its head.

        Raises:
            NotFound: ``unknown-branch``.
            Refused: ``protected-branch``.
            Conflict: ``head-moved``: compose again on the branch's head.
        """
        commit = candidate.commit
        if commit.parent is None:
            raise Refused("protected-branch", "A first commit is made with its lake only.")
        outcome = self.metastore.advance(
            branch, head=commit.parent, commit=commit, nodes=candidate.nodes
        )
        if outcome is not Outcome.DONE:
            self.branch(branch)
            raise refs.head_moved(branch, commit.parent)
        return commit

    # -- parts

    def _history(self, commit: Commit, limit: int | None) -> Iterator[Commit]:
        at: str | None = commit.id
        while at is not None:
            piece = self.metastore.chain(at, limit=min(limit or _LOG_PIECE, _LOG_PIECE))
            yield from piece
            at = piece[-1].parent

    def _changed(self, commit: Commit, key: str) -> bool:
        if commit.parent is None:
            return self.tree(commit).get(key) is not None
        parent = self.commit(commit.parent)
        if parent.tree == commit.tree:
            return False
        try:
            return self.tree(commit).get(key) != self.tree(parent).get(key)
        except NotFound:  # swept away: the record tells what was written
            return any(write.key == key for write in commit.record.writes)


class _NoNodes:
    def get_nodes(self, hashes: Sequence[bytes]) -> Mapping[bytes, bytes]:
        del hashes
        return {}
