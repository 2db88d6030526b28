"""Nodes of a tree as bytes: how they are written, hashed, found and checked.

A node is named by the digest of its plain bytes; what is stored is those bytes in a frame (plain or
compressed), so that another zlib never changes a name.
"""

import hashlib
import threading
import zlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Protocol

import msgspec

from headgate.digests import DIGEST_BYTES
from headgate.errors import Corrupt

_PLAIN = b"\x00"
_DEFLATED = b"\x01"
_WORTH_DEFLATING = 128
_LEVEL = 1
_REFERENCE = b"\x00"
_INLINE_BYTES = 512


class NodeStore(Protocol):
    """Where nodes are: immutable, named by their content. The metastore is one."""

    def get_nodes(self, hashes: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Give the framed nodes of these names; a missing one is left out."""
        ...


class Node(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A chunk of a tree: keys in order, and a slot for each.

    On level 0 a slot is a value, or a reference to a long one. Above it is the name of the chunk
    whose last key is the slot's key.
    """

    level: int
    keys: tuple[str, ...]
    slots: tuple[bytes, ...]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Node).decode


def node_name(plain: bytes) -> bytes:
    """Give the name of a node: the digest of its plain bytes."""
    return hashlib.blake2b(plain, digest_size=DIGEST_BYTES).digest()


def frame(plain: bytes) -> bytes:
    """Give bytes as they are stored: compressed where that helps."""
    if len(plain) >= _WORTH_DEFLATING:
        deflated = zlib.compress(plain, _LEVEL)
        if len(deflated) < len(plain):
            return _DEFLATED + deflated
    return _PLAIN + plain


def unframe(framed: bytes) -> bytes:
    """Give the plain bytes of a frame.

    Raises:
        ValueError: no frame of ours.
    """
    if framed[:1] == _PLAIN:
        return framed[1:]
    if framed[:1] == _DEFLATED:
        try:
            return zlib.decompress(framed[1:])
        except zlib.error as error:
            raise ValueError(str(error)) from error
    message = "unknown frame"
    raise ValueError(message)


def make_node(node: Node) -> tuple[bytes, bytes]:
    """Give a node's name and its framed bytes."""
    plain = _encode(node)
    return node_name(plain), frame(plain)


def make_slot(value: bytes, into: dict[bytes, bytes]) -> bytes:
    """Give the slot of a value. A long value becomes a node of its own, put ``into`` the new nodes.

    So the change of one key never rewrites the long values of its neighbours.
    """
    if len(value) <= _INLINE_BYTES:
        return value
    name = node_name(value)
    into[name] = frame(value)
    return _REFERENCE + name


def referred(slot: bytes) -> bytes | None:
    """Give the name of the node that holds a slot's value, or None where the slot itself does.

    No value begins with a zero byte: values are msgpack maps.
    """
    return slot[1:] if slot[:1] == _REFERENCE else None


EMPTY = Node(0, (), ())
EMPTY_NAME, EMPTY_FRAMED = make_node(EMPTY)


class NodeReader:
    """Reads nodes from a store, checks each against its name, and keeps them for a while.

    Shared by the trees of a lake and between threads. What it keeps may be dropped at any time.
    """

    def __init__(self, store: NodeStore, *, keep_bytes: int = 16 << 20) -> None:
        self._store = store
        self._keep_bytes = keep_bytes
        self._kept: dict[bytes, tuple[Node, int]] = {EMPTY_NAME: (EMPTY, 0)}
        self._kept_bytes = 0
        self._lock = threading.Lock()

    def nodes(self, names: Sequence[bytes], fresh: Mapping[bytes, bytes]) -> list[Node]:
        """Give nodes in the order of their names, one round trip for all that must be read.

        ``fresh`` holds framed nodes that are not stored yet.

        Raises:
            Corrupt: ``missing-node``, ``corrupt-node``.
        """
        found: dict[bytes, Node] = {}
        kept = self._kept
        missing: list[bytes] = []
        for name in names:
            entry = kept.get(name)
            if entry is not None:
                found[name] = entry[0]
            else:
                missing.append(name)
        if missing:
            for name, plain in self._plain(missing, fresh):
                try:
                    node = _decode(plain)
                except msgspec.DecodeError as error:
                    raise _corrupt(name) from error
                found[name] = node
                self._keep(name, node, len(plain))
        return [found[name] for name in names]

    def values(self, names: Sequence[bytes], fresh: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """Give the long values of these names.

        Raises:
            Corrupt: ``missing-node``, ``corrupt-node``.
        """
        return dict(self._plain(names, fresh)) if names else {}

    def _plain(
        self, names: Sequence[bytes], fresh: Mapping[bytes, bytes]
    ) -> Iterable[tuple[bytes, bytes]]:
        wanted = [name for name in names if name not in fresh]
        stored = self._store.get_nodes(wanted) if wanted else {}
        for name in names:
            framed = fresh.get(name) or stored.get(name)
            if framed is None:
                raise Corrupt(
                    "missing-node",
                    f"The lake's history refers to tree node {name.hex()}, which is not stored.",
                    hint="headgate doctor shows what is affected; restore the metastore's backup.",
                    node=name.hex(),
                )
            try:
                plain = unframe(framed)
            except ValueError as error:
                raise _corrupt(name) from error
            if node_name(plain) != name:
                raise _corrupt(name)
            yield name, plain

    def _keep(self, name: bytes, node: Node, size_bytes: int) -> None:
        with self._lock:
            if name in self._kept:
                return
            if self._kept_bytes + size_bytes > self._keep_bytes:
                for old in list(islice(self._kept, len(self._kept) // 2 + 1)):
                    if old != EMPTY_NAME:
                        self._kept_bytes -= self._kept.pop(old)[1]
            self._kept[name] = (node, size_bytes)
            self._kept_bytes += size_bytes


def _corrupt(name: bytes) -> Corrupt:
    return Corrupt(
        "corrupt-node",
        f"Tree node {name.hex()} is stored with other bytes than were written.",
        hint="headgate doctor shows what is affected; restore the metastore's backup.",
        node=name.hex(),
    )
