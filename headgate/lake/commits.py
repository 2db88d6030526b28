"""Commits as bytes, and questions about their ancestry. Pure: the history is a look-up function.

Every commit also remembers one far ancestor, its *jump*, placed so that any ancestor is reached in
a number of steps that grows with the logarithm of the distance (Myers 1983, "An applicative
random-access stack"). A branch that forked a hundred thousand commits ago costs some thirty
look-ups.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from headgate.digests import DIGEST_BYTES, digest
from headgate.errors import Corrupt
from headgate.lake.nodes import frame, unframe
from headgate.lake.records import Commit, Record


class _Body(msgspec.Struct, frozen=True, array_like=True):
    """What a commit's id is the digest of. Fields are only added at the end, with defaults."""

    parent: str | None
    number: int
    tree: str
    record: Record


ERASED_MARK = b"\x02"

_encode = msgspec.msgpack.Encoder(order="deterministic").encode
_decode = msgspec.msgpack.Decoder(_Body).decode


@dataclass(frozen=True, slots=True)
class Link:
    """A commit's place in the history: its parent, and the far ancestor it remembers.

    The genesis commit is its own jump.
    """

    id: str
    parent: str | None
    number: int
    jump: str


LinkOf: TypeAlias = Callable[[str], Link]
"""Gives the link of a commit's id; raises where there is none."""


def make_commit(parent: Commit | None, *, tree: str, record: Record) -> Commit:
    """Give the commit that follows ``parent`` (the genesis commit where it is None)."""
    parent_id = None if parent is None else parent.id
    number = 0 if parent is None else parent.number + 1
    body = _encode(_Body(parent_id, number, tree, record))
    return Commit(id=digest(body), parent=parent_id, number=number, tree=tree, record=record)


def encode_commit(commit: Commit) -> bytes:
    """Give a commit's bytes as they are stored, framed."""
    return frame(_encode(_Body(commit.parent, commit.number, commit.tree, commit.record)))


def encode_erased(commit: Commit) -> bytes:
    """Give the bytes of a commit that says something else than when its id was made.

    What it says now has a digest of its own, which stands before it.
    """
    plain = _encode(_Body(commit.parent, commit.number, commit.tree, commit.record))
    return ERASED_MARK + bytes.fromhex(digest(plain)) + frame(plain)


def erased_digest(framed: bytes) -> str | None:
    """Give the digest of what an erased commit says now; None where nothing was erased."""
    return framed[1 : 1 + DIGEST_BYTES].hex() if framed[:1] == ERASED_MARK else None


def decode_commit(id: str, framed: bytes) -> Commit:
    """Give a commit from its stored bytes, after checking them.

    They must be what its id is the digest of; or, where rows were erased, what the digest beside
    them says, for which a certificate vouches (docs/decisions/020).

    Raises:
        Corrupt: ``corrupt-commit``.
    """
    expected = erased_digest(framed)
    try:
        plain = unframe(framed if expected is None else framed[1 + DIGEST_BYTES :])
        if digest(plain) == (expected or id):
            body = _decode(plain)
            return Commit(
                id=id,
                parent=body.parent,
                number=body.number,
                tree=body.tree,
                record=body.record,
            )
    except (ValueError, msgspec.MsgspecError) as error:
        raise _corrupt(id) from error
    raise _corrupt(id)


def link_after(parent: Link | None, id: str, link_of: LinkOf) -> Link:
    """Give the link of a new commit; ``parent`` is None for the genesis commit."""
    if parent is None:
        return Link(id, None, 0, id)
    near = link_of(parent.jump)
    far = link_of(near.jump)
    level = parent.number - near.number == near.number - far.number
    return Link(id, parent.id, parent.number + 1, far.id if level else parent.id)


def ancestor(id: str, number: int, link_of: LinkOf) -> Link | None:
    """Give the first-parent ancestor with this number (the commit itself counts), or None."""
    link = link_of(id)
    if not 0 <= number <= link.number:
        return None
    while link.number > number:
        jump = link_of(link.jump)
        link = jump if jump.number >= number else link_of(_parent(link))
    return link


def is_ancestor(id: str, of: str, link_of: LinkOf) -> bool:
    """Say whether a commit is another, or one of its first-parent ancestors."""
    found = ancestor(of, link_of(id).number, link_of)
    return found is not None and found.id == id


def merge_base(a: str, b: str, link_of: LinkOf) -> Link:
    """Give the youngest commit both have as an ancestor: where one forked from the other.

    Raises:
        LookupError: they share no ancestor, so they are of two lakes.
    """
    left, right = link_of(a), link_of(b)
    number = min(left.number, right.number)
    left = ancestor(a, number, link_of) or left
    right = ancestor(b, number, link_of) or right
    while left.id != right.id:
        if left.number == 0:
            message = f"{a} and {b} share no ancestor"
            raise LookupError(message)
        if left.jump != right.jump:
            left, right = link_of(left.jump), link_of(right.jump)
        else:
            left, right = link_of(_parent(left)), link_of(_parent(right))
    return left


def _parent(link: Link) -> str:
    if link.parent is None:  # numbers fall by one along parents, so 0 is reached first
        raise _corrupt(link.id)
    return link.parent


def _corrupt(id: str) -> Corrupt:
    return Corrupt(
        "corrupt-commit",
        f"Commit {id} is stored with other bytes than were written.",
        hint="headgate doctor shows what is affected; restore the metastore's backup.",
        commit=id,
    )
