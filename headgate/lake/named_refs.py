"""Branches and tags, as people make, protect and delete them: which names, and what may go."""

from collections.abc import Callable

from headgate.clock import Clock
from headgate.errors import AlreadyExists, NotFound, Refused
from headgate.lake.metastore import Branch, Metastore, Outcome, RunState, Tag
from headgate.lake.records import Commit
from headgate.lake.refs import RUN_PREFIX, head_moved
from headgate.names import RESERVED_REF_PREFIXES, ref_name, suggestion

_OPEN_STATES = frozenset({RunState.RUNNING, RunState.PUBLISHING})


class NamedRefs:
    """The branches and tags of a lake.

    Args:
        metastore: where they are.
        clock: when they were made.
        resolve: gives the commit that a ref means.
    """

    def __init__(
        self, metastore: Metastore, clock: Clock, resolve: Callable[[str], Commit]
    ) -> None:
        self._metastore = metastore
        self._clock = clock
        self._resolve = resolve

    def branch(self, name: str) -> Branch:
        """Give a branch.

        Raises:
            NotFound: ``unknown-branch``.
        """
        branch = self._metastore.branch(name)
        if branch is None:
            close = suggestion(name, (known.name for known in self._metastore.branches()))
            raise NotFound(
                "unknown-branch",
                f"There is no branch {name!r}.",
                hint=f"Did you mean {close}?" if close else "headgate branch lists them.",
                branch=name,
            )
        return branch

    def create_branch(self, name: str, at: str | Commit) -> Branch:
        """Create an unprotected branch at a commit. Copies nothing.

        Raises:
            As ``Lake.create_branch``.
        """
        commit = self._new_ref(name, at)
        branch = Branch(
            name=name,
            head=commit.id,
            number=commit.number,
            protected=False,
            created=self._clock.now(),
        )
        if not self._metastore.create_branch(branch):
            raise _taken(name, "branch")
        return branch

    def delete_branch(self, name: str) -> None:
        """Delete a branch. Commits that no ref reaches any more go at the next sweep.

        Raises:
            As ``Lake.delete_branch``.
        """
        branch = self.branch(name)
        if name == self._metastore.main():
            raise Refused(
                "main-branch", f"Branch {name} is the lake's own: it cannot go.", branch=name
            )
        if branch.protected:
            raise Refused(
                "protected-branch",
                f"Branch {name} is protected.",
                hint=f"End its protection first: headgate branch unprotect {name}",
                branch=name,
            )
        self._refuse_open_run(branch)
        if self._metastore.delete_branch(name, head=branch.head) is not Outcome.DONE:
            raise head_moved(name, branch.head)

    def protect(self, name: str, *, protected: bool) -> None:
        """Protect a branch: from now on only publications move it. Or end its protection.

        Raises:
            NotFound: ``unknown-branch``.
            Refused: ``run-branch``: the branches of runs are theirs.
        """
        if name.startswith(RESERVED_REF_PREFIXES):
            raise Refused("run-branch", f"Branch {name} belongs to its run.", branch=name)
        if not self._metastore.protect(name, protected=protected):
            self.branch(name)

    def tag(self, name: str) -> Tag:
        """Give a tag.

        Raises:
            NotFound: ``unknown-tag``.
        """
        tag = self._metastore.tag(name)
        if tag is None:
            close = suggestion(name, (known.name for known in self._metastore.tags()))
            raise NotFound(
                "unknown-tag",
                f"There is no tag {name!r}.",
                hint=f"Did you mean {close}?" if close else "headgate tag lists them.",
                tag=name,
            )
        return tag

    def create_tag(self, name: str, at: str | Commit) -> Tag:
        """Create a tag. It never moves.

        Raises:
            As ``Lake.create_tag``.
        """
        commit = self._new_ref(name, at)
        tag = Tag(name=name, commit=commit.id, created=self._clock.now())
        if not self._metastore.create_tag(tag):
            raise _taken(name, "tag")
        return tag

    def delete_tag(self, name: str) -> None:
        """Delete a tag.

        Raises:
            NotFound: ``unknown-tag``.
        """
        if not self._metastore.delete_tag(name):
            self.tag(name)

    def _new_ref(self, name: str, at: str | Commit) -> Commit:
        refuse_reserved(ref_name(name))
        if self._metastore.branch(name) is not None:
            raise _taken(name, "branch")
        if self._metastore.tag(name) is not None:
            raise _taken(name, "tag")
        return self._resolve(at) if isinstance(at, str) else at

    def _refuse_open_run(self, branch: Branch) -> None:
        if not branch.name.startswith(RESERVED_REF_PREFIXES):
            return
        run = self._metastore.run(branch.name.removeprefix(RUN_PREFIX))
        if run is not None and run.state in _OPEN_STATES:
            raise Refused(
                "run-open",
                f"Run {run.id} is at work on branch {branch.name}.",
                hint="Wait for its end.",
                run=run.id,
            )


def refuse_reserved(name: str) -> None:
    """Refuse names that are for runs.

    Raises:
        Refused: ``reserved-ref``.
    """
    if name.startswith(RESERVED_REF_PREFIXES) or name == "run":
        raise Refused(
            "reserved-ref",
            f"{name!r} cannot be made by hand: names that begin with 'run/' are those of runs.",
            hint="Choose a name without 'run/'.",
            ref=name,
        )


def _taken(name: str, what: str) -> AlreadyExists:
    return AlreadyExists("ref-exists", f"There is a {what} {name!r} already.", ref=name)
