"""Names: which column a key becomes. A key has the same column in every run.

Tables tell names apart without capitals, and some names are taken by others. A key that cannot
have its own name gets it with a few digits of a digest of the key: those follow from the key alone.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from headgate.digests import digest

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_TAKEN: Final = ("_hg_", "_raw.", "_tried.", "_position", "_mask")


def column_names(
    keys: Iterable[str], present: Collection[str] = (), taken: Collection[str] = ()
) -> Mapping[str, str]:
    """Give the column of each key; ``present`` are the columns that the table has already.

    A column that is there under the key's exact name, or under the name it would be given, is the
    key's. Names that are ``taken`` are no key's.
    """
    there = {name.casefold(): name for name in present}
    names: dict[str, str] = {}
    used = {name.casefold() for name in taken}
    waiting = list(keys)
    for key in waiting:  # exact names first: they are nobody else's
        if key in present and key.casefold() not in used and _is_usable(key):
            names[key] = key
            used.add(key.casefold())
    for key in waiting:
        if key in names:
            continue
        folded = key.casefold()
        name = key
        if not _is_usable(key) or folded in used or folded in there or renamed(key) in present:
            name = renamed(key)
        names[key] = name
        used.add(name.casefold())
    return {key: names[key] for key in waiting}


def renamed(key: str) -> str:
    """Give the name of a key that cannot have its own."""
    plain = _CONTROL.sub("_", key)
    if plain.startswith(_TAKEN):
        plain = "key" + plain
    return f"{plain}__{digest(key)[:6]}"


def are_fields(keys: Collection[str]) -> bool:
    """Whether keys can be the fields of one struct under their own names."""
    folded = {key.casefold() for key in keys}
    return len(folded) == len(keys) and all(_is_plain(key) for key in keys)


def child_columns(key: tuple[str, ...]) -> tuple[str, ...]:
    """Give the columns of a child table that hold its parent's key, or its ``_record_id``."""
    return ("_parent",) if len(key) <= 1 else tuple(f"_parent_{name}" for name in key)


def _is_plain(key: str) -> bool:
    return bool(key) and _CONTROL.search(key) is None


def _is_usable(key: str) -> bool:
    return _is_plain(key) and not key.startswith(_TAKEN)
