"""Commits in an SQL database, and those that were read lately.

A commit never changes under its id, but for erasures (docs/decisions/020): then what was read
before is forgotten.
"""

from collections.abc import Sequence
from typing import TypeVar

from headgate.errors import NotFound
from headgate.lake import statements
from headgate.lake.commits import Link, decode_commit, encode_commit, link_after
from headgate.lake.database import Database, Reader, Row, Session
from headgate.lake.records import Commit

_KEPT_COMMITS = 1024
_KEPT_LINKS = 65536

_V = TypeVar("_V")


class SqlCommits:
    """The commits of a lake, each with its place in the history. Safe between threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._links: dict[str, Link] = {}
        self._kept: dict[str, Commit] = {}
        self._erasures: str | None = None

    def some(self, ids: Sequence[str]) -> Sequence[Commit]:
        """Give those of the commits that are there, in the order of their ids."""
        kept = self._kept
        found = {id: commit for id in ids if (commit := kept.get(id)) is not None}
        missing = [id for id in ids if id not in found]
        if missing:
            with self._database.reading() as session:
                rows = session.rows_in(statements.COMMITS, missing)
            found.update((row[0], self._decoded(row, kept)) for row in rows)
        return [found[id] for id in ids if id in found]

    def chain(self, id: str, *, since: int, limit: int | None, cached: bool) -> Sequence[Commit]:
        """Give a commit and its first parents with numbers above ``since``, newest first."""
        kept = self._kept
        chain: list[Commit] = []
        at: str | None = id
        while cached and at is not None and (commit := kept.get(at)) is not None:
            if commit.number <= since or len(chain) == limit:
                return chain
            chain.append(commit)
            at = commit.parent
        if at is None or len(chain) == limit:
            return chain
        number = self.link(at).number
        if limit is not None:
            since = max(since, number - (limit - len(chain)))
        if number > since:
            with self._database.reading() as session:
                rows = session.rows(statements.CHAIN, (at, since, since))
            if cached:
                chain.extend(self._decoded(row, kept) for row in rows)
            else:
                chain.extend(decode_commit(id, body) for id, body, _ in rows)
        return chain

    def link(self, id: str, session: Reader | None = None) -> Link:
        """Give a commit's place in the history; ``session`` is the caller's, if one is open.

        Raises:
            NotFound: ``unknown-commit``.
        """
        link = self._links.get(id)
        if link is not None:
            return link
        if session is None:
            with self._database.reading() as own:
                return self.link(id, own)
        row = session.row(statements.LINK, (id,))
        if row is None:
            raise NotFound("unknown-commit", f"There is no commit {id}.", commit=id)
        link = Link(*row)
        _keep(self._links, id, link, limit=_KEPT_LINKS)
        return link

    def look_behind(self, commit: Commit) -> None:
        """Read what it takes to store a commit, before others wait for that."""
        link_after(self.link(commit.parent or commit.id), commit.id, self.link)

    def put(self, session: Session, commit: Commit) -> Link:
        """Store a commit in the caller's transaction; give its place, to remember after that."""
        parent = None if commit.parent is None else self.link(commit.parent, session)
        link = link_after(parent, commit.id, lambda id: self.link(id, session))
        row = (link.id, link.parent, link.number, link.jump, encode_commit(commit))
        session.send(statements.PUT_COMMIT, row)
        return link

    def remember(self, link: Link, commit: Commit) -> None:
        """Keep a commit that is stored."""
        _keep(self._links, commit.id, link, limit=_KEPT_LINKS)
        _keep(self._kept, commit.id, commit, limit=_KEPT_COMMITS)

    def notice(self, erasures: str) -> None:
        """Forget the commits where rows were erased since: they say something else now.

        Whoever is reading meanwhile keeps what he reads in what is forgotten.
        """
        if erasures != self._erasures:
            self._erasures = erasures
            self._kept = {}

    def _decoded(self, row: Row, kept: dict[str, Commit]) -> Commit:
        id, body, jump = row
        commit = kept.get(id)
        if commit is None:
            commit = decode_commit(id, body)
            link = Link(id, commit.parent, commit.number, jump)
            _keep(self._links, id, link, limit=_KEPT_LINKS)
            _keep(kept, id, commit, limit=_KEPT_COMMITS)
        return commit


def _keep(kept: dict[str, _V], id: str, value: _V, *, limit: int) -> None:
    if len(kept) >= limit:
        kept.clear()  # what is kept may always be dropped; the next reads fill it again
    kept[id] = value
