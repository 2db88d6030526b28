"""The tree of a commit: an ordered map from key to entry, in content-addressed chunks.

A chunk ends after a key whose hash says so, and nothing else has a say: equal content has an equal
root, whatever the order of edits, and an edit writes its own chunk and the chunks above it. One key
in 16 ends a chunk of entries; among the chunks' last keys one in 64 ends a chunk above, and so on.
The root is the one chunk of the lowest level that has no second.

Related: "prolly trees" (Noms, Dolt), whose borders also depend on values; Merkle search trees
(Auvolat, Taïani 2019), whose borders depend on keys, as here.
"""

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TypeAlias

import msgspec

from headgate.lake.diffing import Change, changed_slots
from headgate.lake.entries import Entry
from headgate.lake.nodes import (
    EMPTY_FRAMED,
    EMPTY_NAME,
    Node,
    NodeReader,
    make_node,
    make_slot,
    referred,
)

_CHUNK_BITS = 4
_LEVEL_BITS = 6
_HASH_BITS = 64
_AT_ONCE = 64

_Item: TypeAlias = tuple[str, bytes]
_Edit: TypeAlias = tuple[str, bytes | None]

_encode_entry = msgspec.msgpack.Encoder(order="deterministic").encode
decode_entry = msgspec.msgpack.Decoder(Entry).decode


def rank(key: str) -> int:
    """Give how many levels of chunks end after this key: 0 for 15 keys in 16."""
    hashed = int.from_bytes(
        hashlib.blake2b(key.encode(), digest_size=_HASH_BITS // 8).digest(), "big"
    )
    zeros = (hashed & -hashed).bit_length() - 1 if hashed else _HASH_BITS
    return 0 if zeros < _CHUNK_BITS else 1 + (zeros - _CHUNK_BITS) // _LEVEL_BITS


class Tree:
    """All entries of the lake at one commit. Never changes; ``with_changes`` gives another.

    Reading costs a round trip per level (five at a million keys), less what was read before.

    Args:
        reader: where nodes are read; trees of one lake share one.
        root: the root's name, as in ``Commit.tree``.
        new_nodes: nodes of this tree that are not stored yet.
    """

    __slots__ = ("_name", "_new", "_reader")

    def __init__(
        self, reader: NodeReader, root: str, new_nodes: Mapping[bytes, bytes] | None = None
    ) -> None:
        self._reader = reader
        self._name = bytes.fromhex(root)
        self._new = new_nodes or {}

    @classmethod
    def empty(cls, reader: NodeReader) -> "Tree":
        """Give the tree without entries."""
        return cls(reader, EMPTY_NAME.hex(), {EMPTY_NAME: EMPTY_FRAMED})

    def __repr__(self) -> str:
        return f"Tree({self.root[:12]})"

    @property
    def root(self) -> str:
        """The root's name, in hex: equal trees have equal roots."""
        return self._name.hex()

    @property
    def new_nodes(self) -> Mapping[bytes, bytes]:
        """The nodes of this tree that are not stored yet, framed, by name."""
        return self._new

    # -- reading

    def get(self, key: str) -> Entry | None:
        """Give the entry of a key, or None."""
        return self.get_many((key,)).get(key)

    def get_many(self, keys: Iterable[str]) -> dict[str, Entry]:
        """Give the entries of those keys that are there. Costs no more round trips than one key."""
        wanted = sorted(set(keys))
        slots: dict[str, bytes] = {}
        for node, inside in self._leaves(wanted):
            for key in inside:
                at = bisect_left(node.keys, key)
                if at < len(node.keys) and node.keys[at] == key:
                    slots[key] = node.slots[at]
        return dict(self._entries(slots.items(), self._new))

    def items(self, prefix: str = "") -> Iterator[tuple[str, Entry]]:
        """Give the entries whose keys begin with ``prefix``, in order, reading ahead in pieces."""
        found = self._slots(prefix)
        while batch := list(islice(found, _AT_ONCE)):
            yield from self._entries(batch, self._new)

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Give the keys that begin with ``prefix``, in order."""
        return (key for key, _ in self._slots(prefix))

    def diff(self, other: "Tree") -> Iterator[Change]:
        """Give what changed from this tree to the other, in order of the keys.

        The cost follows the number of changes. Nothing is read before the first is asked for.
        """
        fresh = {**self._new, **other.new_nodes}
        found = changed_slots(
            lambda names: self._reader.nodes(names, fresh), self._name, bytes.fromhex(other.root)
        )
        while batch := list(islice(found, _AT_ONCE)):
            before = dict(
                self._entries(((k, old) for k, old, _ in batch if old is not None), fresh)
            )
            after = dict(self._entries(((k, new) for k, _, new in batch if new is not None), fresh))
            for key, _, _ in batch:
                yield Change(key=key, before=before.get(key), after=after.get(key))

    # -- changing

    def with_changes(self, changes: Mapping[str, Entry | None]) -> "Tree":
        """Give the tree with these keys set, or removed where the entry is None.

        Pure: the new nodes stay in memory, in ``new_nodes``. The result does not depend on the way
        to it: any order of changes that ends in the same entries ends in the same root.
        """
        new = dict(self._new)
        edits: list[_Edit] = [
            (key, None if entry is None else make_slot(_encode_entry(entry), new))
            for key, entry in sorted(changes.items())
        ]
        rebuilding = _Rebuilding(self._reader, self._name, new)
        name = rebuilding.rebuild(edits)
        if name == self._name:
            return self
        return Tree(self._reader, name.hex(), rebuilding.needed(name))

    # -- walking

    def _load(self, names: Sequence[bytes]) -> list[Node]:
        return self._reader.nodes(names, self._new)

    def _leaves(self, keys: list[str]) -> Iterator[tuple[Node, list[str]]]:
        """Give each leaf that may hold some of the sorted keys, with those keys."""
        (root,) = self._load((self._name,))
        spots = [(root, keys)]
        for _ in range(root.level):
            below = [part for node, inside in spots for part in _parted(node, inside)]
            nodes = self._load([name for name, _ in below])
            spots = [(node, inside) for node, (_, inside) in zip(nodes, below, strict=True)]
        yield from spots

    def _slots(self, prefix: str) -> Iterator[_Item]:
        (root,) = self._load((self._name,))
        for leaf in self._leaves_from(root, prefix):
            start = bisect_left(leaf.keys, prefix)
            for at in range(start, len(leaf.keys)):
                if not leaf.keys[at].startswith(prefix):
                    return
                yield leaf.keys[at], leaf.slots[at]

    def _leaves_from(self, node: Node, key: str) -> Iterator[Node]:
        if node.level == 0:
            yield node
            return
        names = node.slots[bisect_left(node.keys, key) :]
        ahead = 1  # most prefixes are short: read little first, then more
        while names:
            for below in self._load(names[:ahead]):
                yield from self._leaves_from(below, key)
            names, ahead = names[ahead:], _AT_ONCE

    def _entries(
        self, slots: Iterable[_Item], fresh: Mapping[bytes, bytes]
    ) -> Iterator[tuple[str, Entry]]:
        found = list(slots)
        long = [name for _, slot in found if (name := referred(slot)) is not None]
        values = self._reader.values(long, fresh)
        for key, slot in found:
            name = referred(slot)
            yield key, decode_entry(slot if name is None else values[name])


def _parted(node: Node, keys: list[str]) -> Iterator[tuple[bytes, list[str]]]:
    """Deal sorted keys out to the chunks below that may hold them."""
    at = 0
    while at < len(keys):
        child = bisect_left(node.keys, keys[at])
        if child == len(node.keys):
            return
        end = bisect_right(keys, node.keys[child], lo=at)
        yield node.slots[child], keys[at:end]
        at = end


class _Rebuilding:
    """One change of a tree: rebuilds it level by level, from the chunks that hold changed keys."""

    def __init__(self, reader: NodeReader, root: bytes, new: dict[bytes, bytes]) -> None:
        self._reader = reader
        self._new = new
        self._seen: dict[bytes, Node] = {}
        self._root_name = root
        self._root = self._load(root)

    def rebuild(self, edits: list[_Edit]) -> bytes:
        """Give the name of the root after the edits, which are sorted by key."""
        self._read_ahead([key for key, _ in edits])
        for level in range(self._root.level + 1):
            edits = self._rebuild_level(level, edits)
            if not edits:
                return self._root_name
        chunks = [(key, name) for key, name in edits if name is not None]
        level = self._root.level
        while len(chunks) > 1:
            level += 1
            chunks = list(self._cut(level, chunks, {key for key, _ in chunks}))
        if not chunks:
            self._new[EMPTY_NAME] = EMPTY_FRAMED
            return EMPTY_NAME
        ((_, name),) = chunks
        while (node := self._load(name)).level and len(node.slots) == 1:
            name = node.slots[0]
        return name

    def _rebuild_level(self, level: int, edits: list[_Edit]) -> list[_Edit]:
        """Apply edits to the items of a level; give the edits of the level above that follow."""
        above: dict[str, bytes | None] = {}
        before: dict[str, bytes] = {}
        at = 0
        while at < len(edits):
            items: list[_Item] = []
            ends: set[str] = set()
            found = self._chunk(level, edits[at][0])
            while True:
                if found is None:
                    items.extend(_applied((), edits[at:]))
                    ends.update(key for key, _ in edits[at:])
                    at = len(edits)
                    break
                name, chunk, is_last = found
                last_key = chunk.keys[-1]
                end = at
                while end < len(edits) and (is_last or edits[end][0] <= last_key):
                    end += 1
                items.extend(_applied(zip(chunk.keys, chunk.slots, strict=True), edits[at:end]))
                ends.update(key for key, _ in edits[at:end])
                ends.add(last_key)
                at = end
                above[last_key] = None
                before[last_key] = name
                if is_last or not items or rank(items[-1][0]) > level:
                    break
                found = self._chunk(level, last_key, after=True)
            above.update(self._cut(level, items, ends))
        if level < self._root.level:  # nothing follows from a chunk that stayed as it was
            above = {key: name for key, name in above.items() if before.get(key) != name}
        return sorted(above.items())

    def _cut(self, level: int, items: list[_Item], ends: set[str]) -> Iterator[_Item]:
        """Cut items into chunks where their keys say so; give each chunk's last key and name.

        ``ends`` are the keys that may end a chunk: those edited, and the last ones of old chunks.
        A key within an old chunk did not end one, and never will.
        """
        start = 0
        for at, (key, _) in enumerate(items, 1):
            if at == len(items) or (key in ends and rank(key) > level):
                keys, slots = zip(*items[start:at], strict=True)
                node = Node(level, keys, slots)
                name, framed = make_node(node)
                self._new[name] = framed
                self._seen[name] = node
                yield key, name
                start = at

    def _chunk(
        self, level: int, key: str, *, after: bool = False
    ) -> tuple[bytes, Node, bool] | None:
        """Find the old chunk where a key belongs, or the first one wholly after it.

        Gives its name, the chunk, and whether it is the last of its level.
        """
        name, node = self._root_name, self._root
        if not node.keys:
            return None
        is_last = True
        bisect = bisect_right if after else bisect_left
        while node.level > level:
            child = min(bisect(node.keys, key), len(node.keys) - 1)
            is_last = is_last and child == len(node.keys) - 1
            name = node.slots[child]
            node = self._load(name)
        return name, node, is_last

    def _read_ahead(self, keys: list[str]) -> None:
        """Read the chunks that hold the keys, a round trip a level."""
        spots = [(self._root, keys)]
        for _ in range(self._root.level):
            below = [part for node, inside in spots for part in _parted(node, inside)]
            names = [name for name, _ in below]
            self._seen.update(zip(names, self._reader.nodes(names, self._new), strict=True))
            spots = [(self._seen[name], inside) for name, inside in below]

    def _load(self, name: bytes) -> Node:
        node = self._seen.get(name)
        if node is None:
            (node,) = self._reader.nodes((name,), self._new)
            self._seen[name] = node
        return node

    def needed(self, root: bytes) -> dict[bytes, bytes]:
        """Give those of the new nodes that a root reaches."""
        needed: dict[bytes, bytes] = {}
        names = [root] if root in self._new else []
        while names:
            name = names.pop()
            needed[name] = self._new[name]
            node = self._load(name)
            for slot in node.slots:
                below = slot if node.level else referred(slot)
                if below is None or below not in self._new or below in needed:
                    continue
                if node.level:
                    names.append(below)
                else:
                    needed[below] = self._new[below]
        return needed


def _applied(items: Iterable[_Item], edits: Sequence[_Edit]) -> list[_Item]:
    merged = dict(items)
    if not edits:
        return list(merged.items())
    for key, slot in edits:
        if slot is None:
            merged.pop(key, None)
        else:
            merged[key] = slot
    return sorted(merged.items())
