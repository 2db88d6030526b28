"""Whether the history is stored as it was written: its commits, and the nodes of their trees."""

from collections.abc import Iterator

from headgate.errors import Corrupt
from headgate.lake.metastore import Metastore
from headgate.lake.nodes import Node, NodeReader, referred

_COMMITS_AT_ONCE = 256
_NODES_AT_ONCE = 64


def verify_history(metastore: Metastore, *, every_tree: bool) -> Iterator[Corrupt]:
    """Give what is damaged or missing, as it is found.

    Every commit that a branch or a tag reaches is read, and the trees of their heads; with
    ``every_tree`` those of all these commits, each node once, but for trees that were swept away.
    """
    heads = {branch.head for branch in metastore.branches()}
    heads |= {tag.commit for tag in metastore.tags()}
    known: set[str] = set()
    roots: dict[str, None] = {}
    for head in sorted(heads):
        yield from _commits(metastore, head, known, roots, every_tree=every_tree)
    reader = NodeReader(metastore, keep_bytes=0)
    seen: set[bytes] = set()
    for root in roots:
        yield from _nodes(reader, bytes.fromhex(root), seen)


def _commits(
    metastore: Metastore, head: str, known: set[str], roots: dict[str, None], *, every_tree: bool
) -> Iterator[Corrupt]:
    """Walk first parents until a commit that is known; note the roots of their trees."""
    at: str | None = head
    wanted = True
    while at is not None:
        try:
            piece = metastore.chain(at, limit=_COMMITS_AT_ONCE, cached=False)
        except Corrupt as error:
            yield error  # what lies beyond is reached by other refs, or not at all
            return
        gone = metastore.retention.gone([commit.id for commit in piece]) if every_tree else {}
        for commit in piece:
            swept = commit.id in gone and gone[commit.id].collected is not None
            if wanted or (every_tree and not swept):
                roots[commit.tree] = None
            wanted = False
            if commit.id in known:
                return
            known.add(commit.id)
        at = piece[-1].parent


def _nodes(reader: NodeReader, root: bytes, seen: set[bytes]) -> Iterator[Corrupt]:
    names = [] if root in seen else [root]
    seen.update(names)
    while names:
        batch, names = names[-_NODES_AT_ONCE:], names[:-_NODES_AT_ONCE]
        found: list[Node] = []
        yield from _read(reader, batch, found)
        values: list[bytes] = []
        for node in found:
            for slot in node.slots:
                below = slot if node.level else referred(slot)
                if below is not None and below not in seen:
                    seen.add(below)
                    (names if node.level else values).append(below)
        yield from _read_values(reader, values)


def _read(reader: NodeReader, names: list[bytes], found: list[Node]) -> Iterator[Corrupt]:
    try:
        found.extend(reader.nodes(names, {}))
    except Corrupt:
        for name in names:  # one by one, to go on behind those that are damaged
            try:
                found.extend(reader.nodes([name], {}))
            except Corrupt as error:
                yield error


def _read_values(reader: NodeReader, names: list[bytes]) -> Iterator[Corrupt]:
    try:
        reader.values(names, {})
    except Corrupt:
        for name in names:
            try:
                reader.values([name], {})
            except Corrupt as error:
                yield error
