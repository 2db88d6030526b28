"""The tree is a map, and its root depends on what is in it and on nothing else."""

import random
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.errors import Corrupt
from headgate.lake.diffing import Change
from headgate.lake.entries import Entry
from headgate.lake.nodes import Node, NodeReader, frame, make_node, unframe
from headgate.lake.trees import Tree, rank


class Nodes(dict[bytes, bytes]):
    """A node store in memory that counts its round trips, and the nodes it gave."""

    trips = 0
    given = 0

    def get_nodes(self, hashes: Sequence[bytes]) -> Mapping[bytes, bytes]:
        self.trips += 1
        self.given += len(hashes)
        return {name: self[name] for name in hashes if name in self}


def pool() -> list[str]:
    """Give keys of which many end chunks, on several levels: few random ones would."""
    by_rank: dict[int, list[str]] = {0: [], 1: [], 2: [], 3: []}
    wanted = {0: 40, 1: 30, 2: 12, 3: 2}
    for number in range(200_000):
        key = f"table/t{number}"
        level = min(rank(key), 3)
        if len(by_rank[level]) < wanted[level]:
            by_rank[level].append(key)
    return sorted(key for keys in by_rank.values() for key in keys)


POOL = pool()
keys = st.sampled_from(POOL)
entries = st.builds(
    lambda content, length: Entry(kind="blob", content=content, data="x" * length or None),
    st.sampled_from(["a", "b"]),
    st.sampled_from([0, 0, 0, 600]),  # a long one is a node of its own
)
many = st.builds(  # about half of the pool, where a dictionary of keys stays small
    lambda chosen, long: {
        key: Entry(kind="blob", content=str(n % 3), data="x" * 600 if n == long else None)
        for n, key in enumerate(POOL)
        if chosen >> n & 1
    },
    st.integers(0, 2 ** len(POOL) - 1),
    st.integers(0, len(POOL) - 1),
)
contents = st.dictionaries(keys, entries, max_size=len(POOL)) | many
edits = st.dictionaries(keys, st.none() | entries, max_size=30)


def tree_of(content: Mapping[str, Entry], store: Nodes | None = None) -> Tree:
    tree = Tree.empty(NodeReader(store if store is not None else Nodes()))
    return tree.with_changes(content)


def stored(tree: Tree, store: Nodes) -> Tree:
    """Give the tree as somebody else reads it later."""
    store.update(tree.new_nodes)
    return Tree(NodeReader(store), tree.root)


def after(content: Mapping[str, Entry], changes: Mapping[str, Entry | None]) -> dict[str, Entry]:
    merged = {**content, **changes}
    return {key: merged[key] for key in sorted(merged) if merged[key] is not None}


def entry(content: object) -> Entry:
    return Entry(kind="blob", content=str(content))


def test_the_pool_reaches_several_levels() -> None:
    tree = tree_of({key: entry(key) for key in POOL})
    levels = {NodeReader(Nodes()).nodes([name], tree.new_nodes)[0].level for name in tree.new_nodes}
    assert levels == {0, 1, 2, 3}


@given(contents)
def test_a_tree_holds_what_was_put_into_it(content: dict[str, Entry]) -> None:
    tree = tree_of(content)
    assert list(tree.items()) == sorted(content.items())
    assert tree.get_many(POOL) == content
    assert all(tree.get(key) == content.get(key) for key in POOL[::9])


@given(contents, st.lists(edits, max_size=4), st.booleans())
def test_changes_do_what_they_do_to_a_dict(
    content: dict[str, Entry], steps: list[dict[str, Entry | None]], read_back: bool
) -> None:
    store = Nodes()
    tree = stored(tree_of(content, store), store)
    for changes in steps:
        tree = tree.with_changes(changes)
        content = after(content, changes)
        if read_back:
            tree = stored(tree, store)
        assert dict(tree.items()) == content
        assert tree.root == tree_of(content).root


@given(contents, st.randoms(use_true_random=False))
def test_the_order_of_edits_does_not_show(content: dict[str, Entry], order: random.Random) -> None:
    tree = Tree.empty(NodeReader(Nodes()))
    items = list(content.items())
    order.shuffle(items)
    for key, value in items:
        if order.random() < 0.3:
            tree = tree.with_changes({order.choice(POOL): entry("passing")})
        tree = tree.with_changes({key: value})
    tree = tree.with_changes({key: content.get(key) for key in POOL})
    assert tree.root == tree_of(content).root


@given(contents, contents)
def test_different_contents_have_different_roots(
    some: dict[str, Entry], other: dict[str, Entry]
) -> None:
    assert (tree_of(some).root == tree_of(other).root) == (some == other)


@given(contents, edits)
def test_the_new_nodes_are_those_that_are_needed_and_not_stored(
    content: dict[str, Entry], changes: dict[str, Entry | None]
) -> None:
    store = Nodes()
    before = stored(tree_of(content, store), store)
    tree = before.with_changes({POOL[0]: entry("passing")}).with_changes(changes)
    whole = tree_of(dict(tree.items())).new_nodes
    assert set(tree.new_nodes) <= set(whole)
    assert set(whole) <= set(tree.new_nodes) | set(store)


@given(contents, edits, st.booleans())
def test_a_diff_is_the_difference_of_two_dicts(
    content: dict[str, Entry], changes: dict[str, Entry | None], read_back: bool
) -> None:
    store = Nodes()
    before = stored(tree_of(content, store), store)
    tree = before.with_changes(changes)
    other = stored(tree, store) if read_back else tree
    later = after(content, changes)
    expected = [
        Change(key=key, before=content.get(key), after=later.get(key))
        for key in sorted({**content, **later})
        if content.get(key) != later.get(key)
    ]
    assert list(before.diff(other)) == expected
    backwards = [Change(key=c.key, before=c.after, after=c.before) for c in expected]
    assert list(other.diff(before)) == backwards


@given(contents, contents)
def test_any_two_trees_can_be_compared(some: dict[str, Entry], other: dict[str, Entry]) -> None:
    store = Nodes()
    left, right = stored(tree_of(some), store), stored(tree_of(other), store)
    found = {c.key: (c.before, c.after) for c in left.diff(right)}
    both = {*some, *other}
    assert found == {k: (some.get(k), other.get(k)) for k in both if some.get(k) != other.get(k)}


@given(contents, st.sampled_from(["", "table/", "table/t1", "table/t19", "tablf", "a"]))
def test_a_prefix_gives_the_keys_that_begin_so(content: dict[str, Entry], prefix: str) -> None:
    tree = tree_of(content)
    expected = {key: content[key] for key in sorted(content) if key.startswith(prefix)}
    assert dict(tree.items(prefix)) == expected
    assert list(tree.keys(prefix)) == list(expected)


@given(st.lists(st.text(max_size=5), unique=True, max_size=60))
def test_any_text_can_be_a_key(texts: list[str]) -> None:
    content = {
        text: entry(n)
        for n, text in enumerate(texts)
        if not any("\ud800" <= c <= "\udfff" for c in text)
    }
    assert list(tree_of(content).items()) == sorted(content.items())


def test_nothing_changed_is_the_same_tree() -> None:
    store = Nodes()
    tree = stored(tree_of({key: entry(key) for key in POOL}, store), store)
    for changes in ({}, {POOL[3]: entry(POOL[3])}, {"table/none": None}):
        unchanged = tree.with_changes(changes)
        assert unchanged.root == tree.root
        assert not unchanged.new_nodes


@pytest.fixture(scope="module")
def large() -> tuple[Nodes, Tree]:
    store = Nodes()
    content = {f"table/area{n % 97}.t{n}": entry(n) for n in range(30_000)}
    return store, stored(tree_of(content, store), store)


def test_a_change_of_one_key_writes_one_path(large: tuple[Nodes, Tree]) -> None:
    _, tree = large
    changed = tree.with_changes({"table/area9.t9": entry("new")})
    assert len(changed.new_nodes) <= 4
    assert sum(map(len, changed.new_nodes.values())) < 12_000


def test_a_lookup_costs_a_round_trip_per_level(large: tuple[Nodes, Tree]) -> None:
    store, tree = large
    before = store.trips
    some = Tree(NodeReader(store), tree.root).get_many(f"table/area{n}.t{n}" for n in range(90))
    assert len(some) == 90
    assert store.trips - before <= 4


def test_a_diff_reads_what_changed_and_not_the_rest(large: tuple[Nodes, Tree]) -> None:
    store, tree = large
    changed = stored(
        tree.with_changes({f"table/area{n}.t{n}": entry("new") for n in range(0, 90, 9)}), store
    )
    before = store.trips
    reader = NodeReader(store)
    assert len(list(Tree(reader, tree.root).diff(Tree(reader, changed.root)))) == 10
    assert store.trips - before <= 25


def test_reading_part_of_a_tree_does_not_read_the_rest(large: tuple[Nodes, Tree]) -> None:
    store, tree = large
    before = store.trips
    assert next(Tree(NodeReader(store), tree.root).items()) is not None
    assert store.trips - before <= 4


def test_a_diff_with_nothing_begins_before_all_is_read(large: tuple[Nodes, Tree]) -> None:
    store, tree = large
    before = store.given
    reader = NodeReader(store)
    assert next(Tree.empty(reader).diff(Tree(reader, tree.root))) is not None
    assert store.given - before < len(store) / 5


def test_equal_entries_are_stored_equal_whatever_their_dicts_order() -> None:
    from headgate.lake.entries import TableBody

    def table(epochs: dict[str, int]) -> Entry:
        body = TableBody(
            uuid="u", metadata="m", schema=(), rows=0, size_bytes=0, files=0, drop_epochs=epochs
        )
        return Entry(kind="table", content="c", table=body)

    there, back = table({"a": 1, "b": 2}), table({"b": 2, "a": 1})
    assert tree_of({"table/t": there}).root == tree_of({"table/t": back}).root


def test_a_lost_node_is_named() -> None:
    store = Nodes()
    tree = stored(tree_of({key: entry(key) for key in POOL}, store), store)
    name = next(iter(sorted(set(store) - {bytes.fromhex(tree.root)})))
    del store[name]
    with pytest.raises(Corrupt) as caught:
        list(tree.items())
    assert caught.value.code == "missing-node"
    assert caught.value.facts["node"] == name.hex()


@settings(max_examples=40)
@given(st.integers(0, 5_000), st.integers(0, 255))
def test_a_damaged_node_is_named_and_never_believed(at: int, byte: int) -> None:
    store = Nodes()
    tree = stored(tree_of({key: entry(key) for key in POOL[:3]}, store), store)
    name = bytes.fromhex(tree.root)
    framed = bytearray(store[name])
    at %= len(framed)
    if framed[at] == byte:
        return
    framed[at] = byte
    store[name] = bytes(framed)
    try:
        assert len(list(tree.items())) == 3  # deflated bytes may differ and mean the same
    except Corrupt as error:
        assert error.code == "corrupt-node"  # noqa: PT017 - it may also not be raised


def test_bytes_that_are_no_node_are_corrupt() -> None:
    name, _ = make_node(Node(0, ("a",), (b"",)))
    for framed in (b"", b"\x07abc", b"\x01not deflated", frame(b"other")):
        with pytest.raises(Corrupt):
            NodeReader(Nodes({name: framed})).nodes([name], {})


def test_nodes_are_kept_within_bounds() -> None:
    nodes = dict(make_node(Node(0, (f"k{n}",), (bytes(100),))) for n in range(500))
    store = Nodes(nodes)
    reader = NodeReader(store, keep_bytes=5_000)
    for _ in range(2):
        for name in nodes:
            reader.nodes([name], {})
    assert store.trips > 900
    assert sum(size for _, size in reader._kept.values()) == reader._kept_bytes <= 5_000


@given(st.binary(max_size=2_000))
def test_frames_give_back_what_was_put_in(plain: bytes) -> None:
    assert unframe(frame(plain)) == plain
    assert unframe(frame(plain * 9)) == plain * 9
