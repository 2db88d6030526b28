"""What a run touches, condensed to what the graph test asks: each key, how, and where."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import msgspec

from headgate.lake.effects import operations_in_effect
from headgate.lake.entries import table_key
from headgate.lake.footprints import meet
from headgate.lake.operations import (
    Append,
    Create,
    Delete,
    Drop,
    Footprint,
    Operation,
    Put,
    Rename,
    Replace,
    Restore,
    Rewrite,
    Upsert,
)
from headgate.lake.records import StepRecord, Write

Where: TypeAlias = tuple[Footprint, ...] | None
"""The footprints of a write's operations; None is the whole table."""

_STRUCTURAL = frozenset({Create, Drop, Rename})
_SETTING: frozenset[type] = frozenset((Put, Restore))
_WITH_FOOTPRINT = frozenset({Append, Upsert, Delete})
_PLAIN = frozenset({Append, Upsert, Delete, Put, Replace})


class Touched(NamedTuple):
    """A written key: whether it was only appended to, where, and whether a revert took it back."""

    key: str
    appends: bool
    where: Where
    restores: bool = False


def writes_in_effect(steps: Iterable[StepRecord]) -> tuple[Write, ...]:
    """Give the writes of steps without the operations that did not take effect."""
    found: list[Write] = []
    for step in steps:
        if step.skipped is None:
            found += step.writes
        else:
            found += [
                msgspec.structs.replace(write, operations=operations)
                for write in step.writes
                if (operations := operations_in_effect(step, write))
            ]
    return tuple(found)


def touched(writes: Iterable[Write]) -> tuple[Touched, ...]:
    """Give each key that writes touch, once.

    A key that appears, goes or changes its name is a write of the listings it is in, too.
    """
    found: dict[str, Touched] = {}
    for write in writes:
        operation = write.operations[0] if len(write.operations) == 1 else None
        kind = type(operation)
        if kind in _PLAIN and write.content is not None and write.before is not None:
            # What nearly all writes are, without the general way's detours.
            where = _footprint(operation) if kind is not Put and kind is not Replace else None
            each = Touched(write.key, kind is Append, (where,) if where else None)
            held = found.get(write.key)
            found[write.key] = each if held is None else _both(held, each)
            continue
        for each in _touched(write):
            held = found.get(each.key)
            found[each.key] = each if held is None else _both(held, each)
    return tuple(found.values())


def shares_rows(where: Where, read: Footprint | None) -> bool:
    """Whether a write and a read may share a row."""
    return where is None or not read or any(meet(each, read) for each in where)


def _touched(write: Write) -> Iterator[Touched]:
    appends, restores, content, structural = True, False, False, write.content is None
    where: list[Footprint] | None = []
    keys = [write.key]
    for operation in write.operations:
        kind = type(operation)
        if kind is Rewrite:
            continue
        content = True
        appends = appends and kind is Append
        footprint = _footprint(operation) if kind in _WITH_FOOTPRINT else None
        where = [*where, footprint] if where is not None and footprint else None
        restores = restores or kind is Restore
        structural = structural or kind in _STRUCTURAL
        structural = structural or (kind in _SETTING and write.before is None)
        if isinstance(operation, Rename):
            keys.append(table_key(operation.to))
    if not content:
        return
    for key in keys:
        yield Touched(key, appends, None if where is None else tuple(where), restores)
        if structural:
            for listing in _listings(key):
                yield Touched(listing, appends=True, where=None, restores=restores)


def _footprint(operation: Operation | None) -> Footprint:
    return operation.footprint if isinstance(operation, Append | Upsert | Delete) else {}


def _both(one: Touched, other: Touched) -> Touched:
    where = None if one.where is None or other.where is None else one.where + other.where
    return Touched(one.key, one.appends and other.appends, where, one.restores or other.restores)


def _listings(key: str) -> Sequence[str]:
    """Give the listings a key is in: ``cursor/p/s`` is in ``cursor/`` and ``cursor/p/``."""
    parts = key.split("/")
    return ["/".join(parts[:end]) + "/" for end in range(1, len(parts))]
