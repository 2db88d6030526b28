"""How branches are made and moved in an SQL database, within a transaction of the caller's."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeAlias

from headgate.errors import NotFound, Refused
from headgate.lake import statements
from headgate.lake.commits import Link
from headgate.lake.database import Parameter, Row, Session
from headgate.lake.instants import instant, stored
from headgate.lake.metastore import Branch
from headgate.lake.pins import commit_collected
from headgate.lake.records import Commit

Statement: TypeAlias = tuple[str, Sequence[Parameter]]


def making(branch: Branch) -> tuple[Statement, Statement]:
    """Give what makes a branch: its head's row is locked first, so that nobody collects it."""
    row = (branch.name, int(branch.protected), stored(branch.created), branch.head)
    return (statements.LOCK_COMMIT, (branch.head,)), (statements.PUT_BRANCH, row)


def made(session: Session, branch: Branch, held: Sequence[Row], put: Sequence[Row]) -> bool:
    """Complete a branch of which the rows of ``making`` say how that went.

    False where its name was taken.

    Raises:
        NotFound: ``unknown-commit``, ``commit-collected``.
    """
    if not held or held[0][1] is not None:
        raise not_held(held, branch.head)
    if not put:
        return False
    session.send(statements.DROP_MARK, ("commit", branch.head))
    put_move(session, branch.name, branch.head, at=branch.created)
    return True


def moving(branch: str, *, head: str, to: Commit | Link) -> Statement:
    """Give what moves a branch from its head; it gives no row where it is somewhere else."""
    return statements.MOVE_BRANCH, (to.id, to.number, branch, head)


def put_move(session: Session, branch: str, head: str, *, at: datetime) -> None:
    """Note since when readers of a branch see a commit."""
    session.send(statements.PUT_MOVE, (branch, stored(at), head, branch))


def not_held(held: Sequence[Row], commit: str) -> NotFound:
    """Give the error for a commit that a ref cannot hold, by its row as it was locked."""
    if not held:
        return NotFound("unknown-commit", f"There is no commit {commit}.", commit=commit)
    return commit_collected(commit, at=instant(held[0][1]))


def protected_branch(name: str) -> Refused:
    """Give the error for moving a protected branch by hand."""
    return Refused(
        "protected-branch",
        f"Branch {name} is protected: only a run's publication moves it.",
        hint=f"Commit to another branch and merge it into {name}, or use a transaction.",
        branch=name,
    )
