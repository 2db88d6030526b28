"""Drift: what differs between columns as they were and as records would have them, in words."""

from collections.abc import Mapping

import pyarrow as pa

from headgate.records.nodes import LIST, Path
from headgate.type_words import type_words


def shown(path: Path) -> str:
    """Give a path as people read it: ``items[].price``."""
    return ".".join(path).replace(f".{LIST}", LIST)


def grown(given: pa.DataType, now: pa.DataType, path: Path) -> list[str]:
    """Say which fields a nested type has more than it was given."""
    if pa.types.is_struct(given) and pa.types.is_struct(now):
        known = {field.name: field.type for field in given}
        return [
            phrase
            for field in now
            for phrase in (
                grown(known[field.name], field.type, (*path, field.name))
                if field.name in known
                else [f"{shown((*path, field.name))} is new ({type_words(field.type)})"]
            )
        ]
    if pa.types.is_list(given) and pa.types.is_list(now):
        return grown(given.value_type, now.value_type, (*path, LIST))
    return []


def differences(present: pa.Schema | None, now: Mapping[str, pa.DataType]) -> tuple[str, ...]:
    """Say what the columns of a table that is replaced have become."""
    if present is None:
        return ()
    before = {field.name: type_words(field.type) for field in present}
    after = {name: type_words(kind) for name, kind in now.items()}
    return (
        *(f"added {name} {kind}" for name, kind in after.items() if name not in before),
        *(f"dropped {name}" for name in before if name not in after),
        *(
            f"{name}: {before[name]} became {kind}"
            for name, kind in after.items()
            if before.get(name, kind) != kind
        ),
    )
