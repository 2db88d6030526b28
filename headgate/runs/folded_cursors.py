"""Cursors without a run: what each kept publication added to the cursor before it.

A source that remembers items (files, partitions of a topic) has a cursor with holes: a publication
adds its items to any other. A cursor that is one number, or a step's position in its inputs,
follows only the very cursor that it followed.
"""

import json
from collections.abc import Mapping

from headgate.digests import canonical_json


def moved_on(here: str | None, before: str | None, after: str | None) -> tuple[bool, str | None]:
    """Give (True, the cursor) after a publication moved it from ``before`` to ``after``, made here.

    (False, None) where it cannot be said of another cursor than ``before``. Cursors are stored
    texts, None where there is none.
    """
    if here == before:
        return True, after
    now, then, later = _items(here), _items(before), _items(after)
    if after is None or later is None or (here and now is None) or (before and then is None):
        return False, None
    old = then or {}
    there = {item: state for item, state in (now or {}).items() if item in later or item not in old}
    found = there | {item: state for item, state in later.items() if old.get(item) != state}
    body = {**json.loads(after), "items": found}
    return True, canonical_json(body).decode()


def adds_items(before: str | None, after: str | None) -> bool:
    """Say whether a cursor's move is a set of items, which any other cursor can take up."""
    return _items(after) is not None and (before is None or _items(before) is not None)


def items_between(before: str | None, after: str | None) -> tuple[str, ...]:
    """Give the items that a move read: what is read again once it is taken back."""
    then, later = _items(before) or {}, _items(after) or {}
    return tuple(sorted(item for item, state in later.items() if then.get(item) != state))


def _items(text: str | None) -> Mapping[str, str] | None:
    if text is None:
        return None
    body = json.loads(text)
    items = body.get("items") if isinstance(body, dict) else None
    return items if isinstance(items, dict) else None
