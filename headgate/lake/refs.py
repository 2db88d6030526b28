"""Ref expressions: how a person, a program or a file says which commit is meant.

::

    expression = place [ "@{" instant "}" ] { "~" [ count ] }
    place      = branch | tag | commit id or a unique prefix of it | "run/" run id or prefix
    instant    = 2026-11-01 | 2026-11-01T09:30Z | 2026-11-01T09:30:00+01:00

``main~`` is the commit before main's head, ``main~3`` three before. ``main@{2026-11-01}`` is what
readers of main saw at that instant; a day is its beginning, and without a zone an instant is UTC.
Parsing is pure. Resolving asks a metastore, and happens once per query, session or run.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from headgate.errors import Conflict, Invalid, NotFound
from headgate.lake.commits import ancestor
from headgate.lake.metastore import Metastore
from headgate.names import suggestion

RUN_PREFIX = "run/"
_SHORTEST_PREFIX = 4
_SHOWN = 5
_EXPRESSION = re.compile(r"(?P<place>[^@~]*)(?P<at>@[^~]*)?(?P<back>(~\d*)*)\Z")
_INSTANT = re.compile(r"@\{(?P<instant>[^{}]*)\}\Z")
_COMMIT = re.compile(r"[0-9a-f]+\Z")
_PLACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]*\Z")
_FORMS = (
    "A ref is a branch, a tag, a commit id or run/ID, with ~2 for the second commit before it, "
    "or BRANCH@{2026-11-01T09:30Z} for what readers saw then."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefExpression:
    """A parsed ref: a named place, perhaps as of an instant, then so many commits back."""

    text: str
    place: str
    at: datetime | None = None
    back: int = 0


def parse(text: str) -> RefExpression:
    """Parse a ref expression.

    Raises:
        Invalid: ``bad-ref``, ``bad-instant``.
    """
    parts = _EXPRESSION.match(text)
    if parts is None or not _PLACE.match(parts["place"]):
        raise Invalid("bad-ref", f"{text!r} is no ref.", hint=_hint(text), ref=text)
    back = sum(int(count or 1) for count in parts["back"].split("~")[1:])
    at = None if parts["at"] is None else _instant(text, parts["place"], parts["at"])
    return RefExpression(text=text, place=parts["place"], at=at, back=back)


def resolve(text: str, metastore: Metastore) -> str:
    """Give the id of the commit a ref means now.

    A branch comes before a tag, and both before a commit of the same spelling.

    Raises:
        Invalid: ``bad-ref``, ``bad-instant``, ``ambiguous-ref``.
        NotFound: ``unknown-ref``, ``before-history``.
    """
    expression = parse(text)
    if expression.at is None:
        id = _place(expression.place, metastore)
    else:
        id = _as_of(expression, expression.at, metastore)
    if not expression.back:
        return id
    number = metastore.link(id).number
    found = ancestor(id, number - expression.back, metastore.link)
    if found is None:
        raise NotFound(
            "before-history",
            f"{text} lies before the first commit: {expression.place} has {number} before it.",
            hint=f"The oldest is {expression.place}~{number}." if number else None,
            ref=text,
        )
    return found.id


def _place(place: str, metastore: Metastore) -> str:
    branch = metastore.branch(place)
    if branch is not None:
        return branch.head
    tag = metastore.tag(place)
    if tag is not None:
        return tag.commit
    if place.startswith(RUN_PREFIX):
        return _run_head(place, metastore)
    if len(place) >= _SHORTEST_PREFIX and _COMMIT.match(place):
        ids = metastore.find_commits(place, _SHOWN + 1)
        if len(ids) == 1:
            return ids[0]
        if ids:
            raise _ambiguous(place, "commits", ids)
    raise unknown_ref(place, metastore)


def _run_head(place: str, metastore: Metastore) -> str:
    ids = metastore.find_runs(place.removeprefix(RUN_PREFIX), _SHOWN + 1)
    if len(ids) > 1:
        raise _ambiguous(place, "runs", [RUN_PREFIX + id for id in ids])
    run = metastore.run(ids[0]) if ids else None
    branch = None if run is None else metastore.branch(run.branch)
    if branch is not None:
        return branch.head
    if run is not None and run.commit is not None:  # its branch is swept away, its work is not
        return run.commit
    raise unknown_ref(place, metastore)


def _as_of(expression: RefExpression, at: datetime, metastore: Metastore) -> str:
    branch = metastore.branch(expression.place)
    if branch is None:
        if metastore.tag(expression.place) is not None or _COMMIT.match(expression.place):
            raise Invalid(
                "bad-ref",
                f"{expression.text!r}: {expression.place} never moves, so it has no past.",
                hint=f"Leave the instant away, or name a branch, as main@{{{at.date()}}}.",
                ref=expression.text,
            )
        raise unknown_ref(expression.place, metastore)
    head = metastore.head_at(branch.name, at)
    if head is None and at >= branch.created:
        first = metastore.first_move(branch.name)
        raise NotFound(
            "before-history",
            f"Where {branch.name} was at {at.isoformat()} is not known any more.",
            hint=f"It is known since {first[0].isoformat()}." if first is not None else None,
            ref=expression.text,
        )
    if head is None:
        raise NotFound(
            "before-history",
            f"{branch.name} did not exist at {at.isoformat()}.",
            hint=f"It was created at {branch.created.isoformat()}.",
            ref=expression.text,
        )
    return head


def unknown_ref(name: str, metastore: Metastore) -> NotFound:
    """Give the error for a ref that is not there, with the one that was probably meant."""
    branches = [branch.name for branch in metastore.branches()]
    known = [*branches, *(tag.name for tag in metastore.tags())]
    close = suggestion(name, known)
    shown = [branch for branch in branches if not branch.startswith(RUN_PREFIX)][:_SHOWN]
    hint = f"Did you mean {close}?" if close else f"There are: {', '.join(shown)}."
    return NotFound(
        "unknown-ref", f"There is no branch, tag, commit or run {name!r}.", hint=hint, ref=name
    )


def head_moved(branch: str, head: str) -> Conflict:
    """Give the error for a branch that is no longer where it was taken to be."""
    return Conflict(
        "head-moved",
        f"Branch {branch} is no longer at {head[:12]}: somebody else committed first.",
        hint="Compose again on its head.",
        branch=branch,
        head=head,
    )


def _instant(text: str, place: str, at: str) -> datetime:
    inside = _INSTANT.match(at)
    if inside is None:
        raise Invalid("bad-ref", f"{text!r} is no ref.", hint=_hint(text), ref=text)
    try:
        instant = datetime.fromisoformat(inside["instant"])
    except ValueError as error:
        raise Invalid(
            "bad-instant",
            f"{text!r}: {inside['instant']!r} is no instant.",
            hint=f"Write a day, {place}@{{2026-11-01}}, or {place}@{{2026-11-01T09:30Z}}.",
            ref=text,
        ) from error
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def _hint(text: str) -> str:
    place, sign, rest = text.partition("@")
    if sign and _COMMIT.match(rest):
        return f"For the commit, write {rest} alone."
    if sign and not rest.startswith("{"):
        return f"An instant stands in braces: {place}@{{{rest or '2026-11-01'}}}."
    if "^" in text:
        return f"The commit before is written {text.partition('^')[0]}~1."
    return _FORMS


def _ambiguous(place: str, what: str, ids: Sequence[str]) -> Invalid:
    shown = ", ".join(id[:16] for id in ids[:_SHOWN])
    return Invalid(
        "ambiguous-ref",
        f"{place!r} begins several {what}: {shown}{', …' if len(ids) > _SHOWN else ''}",
        hint="Write more of it.",
        ref=place,
        candidates=list(ids[:_SHOWN]),
    )
