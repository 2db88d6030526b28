from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import Invalid, NotFound
from headgate.pipelines import Graph, Input, Place, Step


def step(name: str, *reads: str, **others: object) -> Step:
    return Step(name=name, inputs=tuple(Input(table=table) for table in reads), **others)


@st.composite
def edge_lists(draw: st.DrawFn, *, acyclic: bool) -> list[tuple[int, ...]]:
    """For each of n steps, the steps it reads; acyclic ones read earlier ones, then shuffled."""
    size = draw(st.integers(1, 12))
    rows = [
        draw(st.sets(st.integers(0, number - 1 if acyclic else size - 1), max_size=4))
        if number or not acyclic
        else set()
        for number in range(size)
    ]
    names = draw(st.permutations(range(size))) if acyclic else list(range(size))
    renamed = {names[i]: tuple(sorted(names[j] for j in row)) for i, row in enumerate(rows)}
    return [renamed[number] for number in range(size)]


def steps_of(edges: list[tuple[int, ...]]) -> list[Step]:
    return [step(f"s{n}", *(f"s{m}" for m in reads)) for n, reads in enumerate(edges)]


def has_cycle(edges: list[tuple[int, ...]]) -> bool:
    """Take away steps that need nothing, until none is left or none can go."""
    left = {n: set(reads) for n, reads in enumerate(edges)}
    while free := {n for n, reads in left.items() if not reads & left.keys()}:
        left = {n: reads for n, reads in left.items() if n not in free}
    return bool(left)


@given(edge_lists(acyclic=True))
def test_every_step_comes_after_what_it_needs(edges: list[tuple[int, ...]]) -> None:
    graph = Graph(steps_of(edges))
    place = {name: number for number, name in enumerate(graph.order)}
    assert sorted(graph.order) == sorted(f"s{n}" for n in range(len(edges)))
    for n, reads in enumerate(edges):
        assert all(place[f"s{m}"] < place[f"s{n}"] for m in reads)


@given(edge_lists(acyclic=False))
def test_a_cycle_is_found_exactly_where_there_is_one(edges: list[tuple[int, ...]]) -> None:
    if not has_cycle(edges):
        Graph(steps_of(edges))
        return
    with pytest.raises(Invalid) as caught:
        Graph(steps_of(edges))
    assert caught.value.code == "step-cycle"
    cycle = caught.value.facts["cycle"]
    assert cycle[0] == cycle[-1]
    assert all(int(b[1:]) in edges[int(a[1:])] for a, b in pairwise(cycle))


@given(edge_lists(acyclic=True))
def test_ancestors_and_descendants_mirror_each_other(edges: list[tuple[int, ...]]) -> None:
    graph = Graph(steps_of(edges))
    for one in graph.order:
        for upstream in graph.upstream(one):
            assert {upstream, *graph.ancestors(upstream)} <= graph.ancestors(one)
        assert graph.descendants(one) == {o for o in graph.order if one in graph.ancestors(o)}


@given(edge_lists(acyclic=True), st.randoms(use_true_random=False), st.data())
def test_a_step_is_given_out_once_and_when_all_it_needs_is_done(
    edges: list[tuple[int, ...]], random: object, data: st.DataObject
) -> None:
    graph = Graph(steps_of(edges))
    done = set(data.draw(st.sets(st.sampled_from(graph.order)))) if edges else set()
    done |= {name for one in done for name in graph.ancestors(one)}
    ready, running, given_out = graph.ready(done), [], []
    while True:
        taken = ready.take()
        assert all(set(graph.upstream(one)) <= done for one in taken)
        running += taken
        given_out += taken
        if not running:
            break
        random.shuffle(running)
        done.add(finished := running.pop())
        ready.done(finished)
    assert done == set(graph.order)
    assert len(given_out) == len(set(given_out))
    assert len(ready) == 0


def test_steps_without_edges_stay_in_the_order_of_declaration() -> None:
    assert Graph([step("b"), step("a"), step("c")]).order == ("b", "a", "c")


def test_a_cycle_is_shown_as_a_path_with_places_and_reasons() -> None:
    with pytest.raises(Invalid) as caught:
        Graph(
            [
                step("a", "b", place=Place("flights.py", 3)),
                step("b", after=("c",), place=Place("flights.py", 7)),
                step("c", references=("a",)),
            ]
        )
    assert str(caught.value) == (
        "The steps need each other in a circle:\n"
        "  a reads b (flights.py:3)\n"
        "  b comes after c (flights.py:7)\n"
        "  c has a contract that refers to a\n"
        "Take one of these away."
    )


def test_a_step_that_reads_its_own_table_is_a_cycle() -> None:
    with pytest.raises(Invalid, match="a reads a"):
        Graph([step("a", "a")])


def test_a_contract_may_refer_to_its_own_table() -> None:
    assert Graph([step("staff", references=("staff",))]).upstream("staff") == ()


def test_tables_with_another_name_than_their_step_make_edges() -> None:
    graph = Graph([step("load", table="raw.flights"), step("clean", "raw.flights")])
    assert graph.upstream("clean") == ("load",)
    assert graph.maker("raw.flights") is graph["load"]


def test_two_steps_that_write_one_table_are_shown_with_both_places() -> None:
    with pytest.raises(Invalid) as caught:
        Graph(
            [
                step("a", table="t", place=Place("x.py", 1)),
                step("b", table="t", place=Place("y.py", 2)),
            ]
        )
    assert caught.value.code == "table-written-twice"
    assert "x.py:1" in str(caught.value)
    assert "y.py:2" in str(caught.value)


def test_steps_without_a_table_never_share_one() -> None:
    assert len(Graph([step("a", table=None), step("b", table=None, after=("a",))])) == 2


def test_two_steps_of_one_name_are_refused() -> None:
    with pytest.raises(Invalid) as caught:
        Graph([step("a"), step("a", table="b")])
    assert caught.value.code == "step-named-twice"


def test_after_a_step_that_is_none_names_the_one_meant() -> None:
    with pytest.raises(Invalid, match="Did you mean delays"):
        Graph([step("delays"), step("worst", after=("delay",))])


def test_an_input_that_nobody_makes_must_be_in_the_lake() -> None:
    graph = Graph([step("flights"), step("delays", "flihgts"), step("more", "old")])
    assert graph.external == {"flihgts": ("delays",), "old": ("more",)}
    with pytest.raises(NotFound) as caught:
        graph.check_inputs({"old"})
    assert caught.value.code == "input-unknown"
    assert caught.value.hint == "Did you mean flights?"
    graph.check_inputs({"old", "flihgts"})


def test_an_unknown_step_is_asked_for_with_a_suggestion() -> None:
    with pytest.raises(NotFound, match="Did you mean flights"):
        Graph([step("flights")])["flight"]


def test_a_thousand_steps_take_no_recursion() -> None:
    chain = [step(f"s{n}", *([f"s{n - 1}"] if n else [])) for n in range(5000)]
    assert len(Graph(reversed(chain)).ancestors("s4999")) == 4999
