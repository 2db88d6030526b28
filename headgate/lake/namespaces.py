"""Namespaces of tables: keys of a tree like any other, so that they branch and merge.

A namespace is there where it was created, and wherever a table or another namespace is in it: what
a step writes to ``raw.flights`` needs nobody's leave.
"""

from collections.abc import Iterator, Mapping

import msgspec

from headgate.digests import canonical_json, digest
from headgate.lake.entries import Entry, table_key
from headgate.lake.trees import Tree

_PREFIX = "namespace/"

Namespace = tuple[str, ...]


def namespace_key(namespace: Namespace) -> str:
    """Give the tree key of a namespace."""
    return _PREFIX + ".".join(namespace)


def namespace_entry(properties: Mapping[str, str]) -> Entry:
    """Give what is kept of a namespace: its properties."""
    text = canonical_json(dict(properties)).decode()
    return Entry(kind="blob", content=digest("namespace", text), data=text)


def properties_of(entry: Entry | None) -> dict[str, str]:
    """Give a namespace's properties; none, where it is there by its tables only."""
    text = entry.data if entry is not None else None
    return msgspec.json.decode(text, type=dict[str, str]) if text else {}


def namespaces(tree: Tree) -> set[Namespace]:
    """Give every namespace of a tree, those around others included."""
    found: set[Namespace] = set()
    for namespace in (*_created(tree), *(table[:-1] for table in tables(tree))):
        found |= {namespace[:depth] for depth in range(1, len(namespace) + 1)}
    return found


def tables(tree: Tree) -> list[Namespace]:
    """Give the names of a tree's tables, in parts."""
    prefix = table_key("")
    return [tuple(key.removeprefix(prefix).split(".")) for key in tree.keys(prefix)]


def _created(tree: Tree) -> Iterator[Namespace]:
    return (tuple(key.removeprefix(_PREFIX).split(".")) for key in tree.keys(_PREFIX))
