"""What a source gives as typed batches arrives whole, whatever its columns do midway."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from decimal import Decimal

import pyarrow as pa
import pytest
from scripted import maker, unread
from workplaces import Workplace

from headgate.errors import HeadgateError, StepFailed, Unavailable
from headgate.runs import typed_rows
from headgate.runs.spool import Spool
from headgate.runs.typed_rows import TypedRows
from headgate.source_columns import POSITION
from headgate.sources import Batch, Cursor

PLAIN = """
import headgate as hg

orders = hg.source("scripted")
"""
CONTRACT = """
from typing import Annotated
import headgate as hg

class Order(hg.Contract, rules=({rules})):
    id: int
    amount: Annotated[int, hg.between(0, 100, severity="quarantine")]

orders = hg.source("scripted", contract=Order, mode="{mode}")
"""


@pytest.fixture
def quickly_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let rows flow at once, instead of after 32 MB."""
    monkeypatch.setattr(typed_rows, "HEAD_BYTES", 0)


def run(place: Workplace, *items: object, text: str = PLAIN) -> None:
    place.sources["scripted"] = maker(items)  # type: ignore[arg-type]
    place.hall.run(place.pipeline(text), target="main")


def contract(mode: str = "append", rules: str = "") -> str:
    return CONTRACT.format(mode=mode, rules=rules)


def table(**columns: object) -> pa.Table:
    return pa.table(columns)


def _same(rows: pa.Table, said: bool) -> Batch:
    return Batch(rows=rows, cursor=None, same_columns=said)


class _Batches:
    """Batches to take once; ``spools`` counts how often a place on disk was asked for."""

    def __init__(self, given: Sequence[Batch]) -> None:
        self._given = given
        self.batches = 0
        self.spools = 0

    def __iter__(self) -> Iterator[Batch]:
        for batch in self._given:
            self.batches += 1
            yield batch

    def spool(self) -> Spool:
        self.spools += 1
        raise AssertionError("nothing is to be kept")


@pytest.mark.parametrize("flowing", [True, False])
@pytest.mark.parametrize(
    ("items", "rows"),
    [
        ([table(id=[1]), table(id=[2], name=["b"])], [(1, None), (2, "b")]),
        ([table(id=[1], name=["a"]), table(id=[2])], [(1, "a"), (2, None)]),
        ([table(id=[1], name=pa.nulls(1)), table(id=[2], name=["b"])], [(1, None), (2, "b")]),
        ([table(id=pa.array([1], pa.int8()), name=["a"]), table(id=[2**40], name=["b"])],
         [(1, "a"), (2**40, "b")]),
        ([table(id=[1], name=[1]), table(id=[2], name=[1.5])], [(1, 1.0), (2, 1.5)]),
        ([table(id=[1], name=[Decimal("1.5")]), table(id=[2], name=[Decimal("100.25")])],
         [(1, Decimal("1.50")), (2, Decimal("100.25"))]),
        ([table(id=[1], name=[{"a": 1}]), table(id=[2], name=[{"b": "x"}])],
         [(1, {"a": 1, "b": None}), (2, {"a": None, "b": "x"})]),
        ([table(id=[1]), table(name=["b"], id=[2]), table(id=[3], more=[True])],
         [(1, None), (2, "b"), (3, None)]),
    ],
)  # fmt: skip
def test_columns_of_all_batches_are_united(
    place: Workplace,
    request: pytest.FixtureRequest,
    flowing: bool,
    items: list[pa.Table],
    rows: list[tuple[object, ...]],
) -> None:
    if flowing:
        request.getfixturevalue("quickly_full")
    run(place, *items)
    assert [(row["id"], row.get("name")) for row in place.rows("orders")] == rows


@pytest.mark.usefixtures("quickly_full")
def test_rows_are_not_kept_where_all_batches_are_said_to_have_the_same_columns() -> None:
    rows = [table(id=[number], name=[str(number)]) for number in range(5)]
    for said in ([True] * 5, [True, *[False] * 4]):
        batches = _Batches([_same(*pair) for pair in zip(rows, said, strict=True)])
        with closing(TypedRows(batches)) as typed:
            assert pa.Table.from_batches(typed.rows()) == pa.concat_tables(rows)
        assert not batches.spools


@pytest.mark.parametrize("flowing", [True, False])
@pytest.mark.parametrize("said", [(True, True), (True, False)])
def test_a_source_that_was_wrong_about_its_columns_publishes_nothing(
    place: Workplace,
    request: pytest.FixtureRequest,
    flowing: bool,
    said: tuple[bool, bool],
) -> None:
    if flowing:
        request.getfixturevalue("quickly_full")
    rows = (table(id=[1]), table(id=[2], name=["b"]))
    with pytest.raises(HeadgateError) as raised:
        run(place, *(_same(*pair) for pair in zip(rows, said, strict=True)))
    assert raised.value.code == "columns-not-the-same"
    assert raised.value.facts["batch"] == 2
    with pytest.raises(LookupError):
        place.rows("orders")


@pytest.mark.usefixtures("quickly_full")
def test_a_word_about_columns_that_comes_late_does_not_count(place: Workplace) -> None:
    rows = (table(id=[1]), table(id=[2], name=["b"]))
    run(place, _same(rows[0], said=False), _same(rows[1], said=True))
    assert [(row["id"], row.get("name")) for row in place.rows("orders")] == [(1, None), (2, "b")]


@pytest.mark.parametrize("flowing", [True, False])
def test_what_no_type_holds_is_refused_by_batch_and_place(
    place: Workplace, request: pytest.FixtureRequest, flowing: bool
) -> None:
    if flowing:
        request.getfixturevalue("quickly_full")
    later = table(id=["x"], **{POSITION: ["orders.json:12"]})
    with pytest.raises(StepFailed, match=r"long in batch 1 and string in batch 2 \(orders"):
        run(place, table(id=[1]), later)
    with pytest.raises(LookupError):
        place.rows("orders")


def test_a_number_is_never_rounded_for_the_sake_of_one_type(place: Workplace) -> None:
    with pytest.raises(StepFailed, match="'id' is double in some batches"):
        run(place, table(id=[2**60 + 1]), table(id=[0.5]))


@pytest.mark.parametrize("mode", ["append", "replace"])
@pytest.mark.parametrize("rules", ["", 'hg.unique("id", severity="quarantine"),'])
@pytest.mark.usefixtures("quickly_full")
def test_a_contract_judges_all_rows_once_under_the_last_columns(
    place: Workplace, mode: str, rules: str
) -> None:
    batches = [
        table(id=[1, 2], amount=[5, 500]),
        table(id=[3, 4], amount=["7", "many"], note=["n", None]),
    ]
    with pytest.raises(StepFailed, match="'amount' is long in batch 1 and string in batch 2"):
        run(place, *batches, text=contract(mode, rules))
    batches[1] = table(id=[3, 4], amount=[7.0, 7.5], note=["n", None])
    run(place, *batches, text=contract(mode, rules))
    assert [(r["id"], r["amount"], r["note"]) for r in place.rows("orders")] == [
        (1, 5, None), (3, 7, "n"),
    ]  # fmt: skip
    aside = place.rows("_quarantine.orders")
    assert sorted(check for row in aside for check in row["checks"]) == [  # type: ignore[attr-defined]
        "amount between 0 and 100",
        "amount is long",
    ]


@pytest.mark.parametrize("flowing", [True, False])
def test_a_rejected_row_stands_where_its_source_says(
    place: Workplace, request: pytest.FixtureRequest, flowing: bool
) -> None:
    if flowing:
        request.getfixturevalue("quickly_full")
    first = table(id=[1, 2], amount=[5, 500], **{POSITION: ["a.json:1", "a.json:2"]})
    run(place, first, table(id=[3], amount=[-1]), text=contract())
    assert [set(row) for row in place.rows("orders")] == [{"id", "amount"}]
    found = {row["payload"]: row["position"] for row in place.rows("_quarantine.orders")}
    assert found == {'{"id":2,"amount":500}': "a.json:2", '{"id":3,"amount":-1}': None}


@pytest.mark.parametrize("text", [PLAIN, contract()])
def test_records_that_are_no_rows_count_and_go_to_quarantine(place: Workplace, text: str) -> None:
    cursor = Cursor(kind="scripted", sequence=(1,))
    batch = Batch(
        rows=table(id=[1], amount=[2]),
        cursor=cursor,
        unread=unread(("a.json:2", "{oops", "no JSON"), ("a.json:5", "]", "no object")),
    )
    run(place, batch, text=text)
    [step] = place.hall.wiring.head("main").record.steps
    assert (step.rows_in, step.rows_out, step.rows_quarantined) == (3, 1, 2)
    first, second = sorted(place.rows("_quarantine.orders"), key=lambda row: str(row["position"]))
    assert first["position"] == "a.json:2"
    assert first["payload"] == '{"raw":"{oops","column":null,"reason":"no JSON"}'
    assert first["checks"] == second["checks"] == ["malformed"]


def test_a_source_of_unread_records_only_is_told_by_the_first(place: Workplace) -> None:
    nothing = Batch(rows=pa.table({}), cursor=None, unread=unread(("a:1", "x", "no object")))
    with pytest.raises(StepFailed, match=r"None of the 1 records of a script .* first, a:1"):
        run(place, nothing)
    run(place, nothing, text=contract())
    assert place.rows("orders") == []
    assert len(place.rows("_quarantine.orders")) == 1


@pytest.mark.parametrize("flowing", [True, False])
@pytest.mark.parametrize("text", [PLAIN, contract()])
def test_what_a_source_raises_midway_comes_out_as_it_was_raised(
    place: Workplace, request: pytest.FixtureRequest, flowing: bool, text: str
) -> None:
    if flowing:
        request.getfixturevalue("quickly_full")
    trouble = Unavailable("host-away", "orders.example is away.")
    with pytest.raises(Unavailable) as raised:
        run(place, table(id=[1], amount=[1]), table(id=[2], amount=[1]), trouble, text=text)
    assert raised.value is trouble
    with pytest.raises(LookupError):
        place.rows("orders")


def test_a_run_that_is_over_reads_no_further_batch(place: Workplace) -> None:
    heard: list[str] = []

    def hear(what: str) -> None:
        heard.append(what)
        if what == "read 2":
            raise KeyboardInterrupt

    place.sources["scripted"] = maker([table(id=[1])] * 5, hear)
    with pytest.raises(HeadgateError) as raised:
        place.hall.run(place.pipeline(PLAIN), target="main")
    assert raised.value.code == "interrupted"
    assert heard == ["read 1", "read 2", "close"]


def test_the_last_cursor_is_stored_beside_the_rows(place: Workplace) -> None:
    run(place, table(id=[1]), table(id=[2]))
    run(place, table(id=[1]), table(id=[2]), table(id=[3]))
    assert [row["id"] for row in place.rows("orders")] == [1, 2, 3]
