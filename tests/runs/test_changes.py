"""Changes of a table become the table: after each run the lake has what the server has."""

import random
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from changing_orders import Orders, random_transaction
from scripted import maker, unread
from workplaces import Workplace

from headgate.errors import HeadgateError, Unavailable
from headgate.events import SourceNotAcknowledged
from headgate.lake import Delete, Upsert
from headgate.sources import Batch, Cursor
from headgate.testing.postgres_servers import PostgresServer


@pytest.fixture
def orders(logical_postgres: PostgresServer, place: Workplace) -> Orders:
    made = Orders(logical_postgres, place)
    made.do("insert into {} select i, 'n' || i, i, repeat('x', 5000) from generate_series(1, 6) i")
    return made


# -- the table


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_the_table_is_the_servers(
    logical_postgres: PostgresServer, place: Workplace, seed: int
) -> None:
    dice = random.Random(seed)
    orders = Orders(logical_postgres, place)
    if seed % 3 == 0:
        orders.do("alter table {} replica identity full")
    pipeline = orders.pipeline()
    for _ in range(6):
        for _ in range(dice.randint(0, 6)):
            orders.do(random_transaction(dice))
        orders.run(pipeline)
        assert orders.here() == orders.there()
        assert orders.notes() == []


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 160))
def test_whatever_happens_for_long_the_table_is_the_servers(
    logical_postgres: PostgresServer, place: Workplace, seed: int
) -> None:
    dice = random.Random(seed)
    orders = Orders(logical_postgres, place)
    pipeline = orders.pipeline()
    for _ in range(12):
        for _ in range(dice.randint(0, 30)):
            orders.do(random_transaction(dice))
        orders.run(pipeline)
        assert orders.here() == orders.there()


def test_a_run_is_one_deletion_and_one_upsert(orders: Orders) -> None:
    pipeline = orders.pipeline()
    orders.run(pipeline)
    orders.do(
        "update {} set note = 'a' where id = 1",
        "update {} set note = 'b' where id = 1",
        "delete from {} where id = 2",
        "delete from {} where id = 3",
    )
    result = orders.run(pipeline)
    [step] = result.steps
    [write] = [write for write in step.writes if write.key == "table/orders"]
    assert [type(operation) for operation in write.operations] == [Delete, Upsert]
    assert (write.rows.updated, write.rows.deleted) == (1, 2)
    assert orders.run(pipeline).state.value == "nothing-to-do"


def test_untold_values_follow_their_row_through_new_keys(orders: Orders) -> None:
    pipeline = orders.pipeline()
    orders.run(pipeline)
    orders.do(
        "begin; update {} set id = 100 where id = 1; update {} set id = 1 where id = 2; "
        "update {} set id = 2 where id = 100; commit",
        "update {} set note = 'later' where id = 2",
        "update {} set large = repeat('new', 3000) where id = 3",
        "update {} set id = 30 where id = 3",
    )
    orders.run(pipeline)
    assert orders.here() == orders.there()


def test_what_untold_values_come_from_is_read(orders: Orders) -> None:
    pipeline = orders.pipeline()
    orders.run(pipeline)
    orders.do("update {} set note = 'x' where id = 1")
    result = orders.run(pipeline)
    assert "table/orders" in {read.key for read in result.steps[0].reads}
    orders.do("insert into {} values (70)")
    result = orders.run(pipeline)
    assert "table/orders" not in {read.key for read in result.steps[0].reads}


def test_a_truncated_table_is_empty_and_what_follows_is_there(orders: Orders) -> None:
    pipeline = orders.pipeline()
    orders.run(pipeline)
    orders.do("insert into {} values (90)", "truncate {}", "insert into {} values (91)")
    orders.run(pipeline)
    assert [row[0] for row in orders.here()] == [91]
    orders.do("truncate {}")
    orders.run(pipeline)
    assert orders.here() == []


def test_columns_come_and_go(orders: Orders) -> None:
    pipeline = orders.pipeline()
    orders.run(pipeline)
    orders.do("alter table {} add more int", "update {} set more = 7 where id = 1")
    orders.run(pipeline)
    assert orders.here() == orders.there()
    assert orders.notes() == []
    orders.do("alter table {} drop amount, add again text default 'x'", "delete from {} where id=4")
    orders.run(pipeline)
    assert orders.here() == orders.there()
    [note] = orders.notes()
    assert "read in full" in note


def test_a_log_has_every_change_and_only_grows(orders: Orders) -> None:
    pipeline = orders.pipeline('keep="log"')
    orders.run(pipeline)
    orders.do("update {} set id = 50 where id = 1", "delete from {} where id = 2")
    orders.run(pipeline)
    rows = orders.place.rows("orders")
    words = [row["_operation"] for row in rows]
    assert sorted(words) == ["delete", "snapshot"] + ["snapshot"] * 5 + ["update"]
    [moved] = [row for row in rows if row["_operation"] == "update"]
    assert (moved["id"], moved["_before"], moved["_unchanged"]) == (50, {"id": 1}, ["large"])


# -- contracts

CONTRACT = """
from typing import Annotated

class Order(hg.Contract):
    id: int
    note: str | None
    amount: Annotated[hg.Decimal(9, 2) | None, hg.between(0, 100, severity="quarantine")]
    large: str | None
"""


def test_a_row_that_becomes_invalid_leaves_the_table_for_quarantine(orders: Orders) -> None:
    pipeline = orders.pipeline('key="id", contract=Order', CONTRACT)
    orders.run(pipeline)
    orders.do(
        "update {} set amount = 1000 where id = 1",
        "update {} set note = 'fine' where id = 2",
        "insert into {} values (7, 'bad', -1)",
        "update {} set id = 60, amount = -5 where id = 3",
    )
    result = orders.run(pipeline)
    valid = [row for row in orders.there() if 0 <= row[2] <= 100]
    assert orders.here() == valid
    aside = orders.place.rows("_quarantine.orders")
    assert len(aside) == result.steps[0].rows_quarantined == 3
    assert result.steps[0].rows_in == result.steps[0].rows_out + 3
    orders.do("update {} set amount = 10, large = 'y' where id = 1")
    orders.run(pipeline)
    assert orders.here() == [row for row in orders.there() if 0 <= row[2] <= 100]


def test_a_quarantined_row_that_is_changed_or_deleted_leaves_the_quarantine(orders: Orders) -> None:
    pipeline = orders.pipeline('key="id", contract=Order', CONTRACT)
    orders.run(pipeline)
    orders.do("update {} set amount = 1000 + id where id < 4")
    orders.run(pipeline)
    assert len(orders.place.rows("_quarantine.orders")) == 3
    orders.do(
        "delete from {} where id = 1",
        "update {} set amount = 5000 where id = 2",
    )
    orders.run(pipeline)
    aside = [str(row["payload"]) for row in orders.place.rows("_quarantine.orders")]
    assert len(aside) == 2
    assert any("5000" in text for text in aside)
    assert any("1003" in text for text in aside)
    assert orders.notes() == ["2 quarantined rows of orders were overtaken by later changes."]
    orders.do("truncate {}")
    orders.run(pipeline)
    assert orders.place.rows("_quarantine.orders") == []


def test_an_untold_value_of_a_row_that_is_not_there_is_not_invented(orders: Orders) -> None:
    pipeline = orders.pipeline('key="id", contract=Order', CONTRACT)
    orders.run(pipeline)
    orders.do("update {} set amount = 1000 where id = 1")
    orders.run(pipeline)
    orders.do("update {} set amount = 10 where id = 1")  # its large value is not told
    result = orders.run(pipeline)
    assert 1 not in [row[0] for row in orders.here()]
    [lost] = [row for row in orders.place.rows("_quarantine.orders") if "does not tell" in str(row)]
    assert "large" in str(lost)
    assert result.steps[0].rows_quarantined == 1


def test_a_value_the_lake_cannot_hold_is_in_quarantine_and_its_row_not_in_the_table(
    logical_postgres: PostgresServer, place: Workplace
) -> None:
    orders = Orders(logical_postgres, place, "id int primary key, day date")
    orders.do("insert into {} values (1, '2026-01-01'), (2, 'infinity')")
    pipeline = orders.pipeline()
    orders.run(pipeline)
    assert [row[0] for row in orders.here()] == [1]
    orders.do("update {} set day = '-infinity' where id = 1", "update {} set day = '2026-02-02'")
    orders.do("update {} set day = 'infinity' where id = 1")
    orders.run(pipeline)
    assert [row[0] for row in orders.here()] == [2]
    aside = [str(row["payload"]) for row in orders.place.rows("_quarantine.orders")]
    assert [("1" in text, "infinity" in text) for text in aside] == [(True, True)] * 2


# -- published, acknowledged, taken back


def test_a_source_is_told_what_is_published_and_nothing_earlier(orders: Orders) -> None:
    pipeline = orders.pipeline()
    orders.run(pipeline)
    [(_, before)] = [slot for slot in orders.slots() if "orders_main" in slot[0]][-1:]
    orders.do("delete from {} where id = 1")
    failing = orders.pipeline(
        'key="id"', "@hg.step\ndef fails(orders: list[dict]) -> list[dict]:\n    raise OSError\n"
    )
    with pytest.raises(Exception, match="OSError"):
        orders.run(failing)
    assert [slot for slot in orders.slots() if "orders_main" in slot[0]][-1][1] == before
    orders.run(pipeline)
    assert [slot for slot in orders.slots() if "orders_main" in slot[0]][-1][1] > before
    assert orders.here() == orders.there()


def test_a_run_is_published_though_its_source_cannot_be_told(
    orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headgate.sources.postgres_changes.source import PostgresChanges

    def deaf(self: PostgresChanges, cursor: Cursor) -> None:
        raise Unavailable("database-unreachable", "Nobody answers.")

    pipeline = orders.pipeline()
    with monkeypatch.context() as patched:
        patched.setattr(PostgresChanges, "acknowledge", deaf)
        result = orders.run(pipeline)
    assert result.state.value == "published"
    told = [event for event in orders.place.events if isinstance(event, SourceNotAcknowledged)]
    assert [event.code for event in told] == ["database-unreachable"]
    orders.do("delete from {} where id = 1")
    orders.run(pipeline)
    assert orders.here() == orders.there()


def test_after_a_revert_the_table_is_read_in_full_at_once(orders: Orders) -> None:
    pipeline = orders.pipeline()
    orders.run(pipeline)
    orders.do("delete from {} where id = 1")
    gone = orders.run(pipeline)
    orders.place.hall.revert(gone.id, target="main")
    assert len(orders.here()) == 6
    orders.do("delete from {} where id = 2")
    before = orders.place.head()
    orders.run(pipeline)
    assert "ahead of the cursor" in orders.notes()[0]
    assert orders.here() == orders.there()
    lake = orders.place.lake
    assert lake.commit(orders.place.head()).parent == before  # one publication


def test_a_run_on_a_branch_leaves_main_its_changes(orders: Orders) -> None:
    pipeline = orders.pipeline()
    orders.run(pipeline)
    orders.place.lake.create_branch("dev", "main")
    orders.do("delete from {} where id = 1", "update {} set note = 'x' where id = 2")
    orders.run(pipeline, target="dev")
    assert orders.here("dev") == orders.there()
    assert orders.here() != orders.there()
    orders.run(pipeline)
    assert orders.here() == orders.there()
    assert orders.notes() == []


@pytest.mark.parametrize("moment", ["refuse_unfit", "LogStream"])
def test_a_run_that_another_overtook_reads_what_is_left(
    orders: Orders, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    from headgate.sources.postgres_changes import reading

    pipeline = orders.pipeline()
    orders.run(pipeline)
    orders.do("delete from {} where id = 1", "update {} set note = 'x' where id = 2")
    really = getattr(reading, moment)

    def late(*given: Any, **named: Any) -> Any:
        """Let another run of the pipeline publish, and tell the server so, in the middle."""
        monkeypatch.undo()
        orders.run(pipeline)
        orders.do("update {} set note = 'y' where id = 3")
        return really(*given, **named)

    monkeypatch.setattr(reading, moment, late)
    result = orders.run(pipeline)
    assert orders.notes() == []
    if result.state.value == "nothing-to-do":  # its log ended before the other run's did
        orders.run(pipeline)
    assert orders.notes() == []
    assert orders.here() == orders.there()


def test_what_was_quarantined_before_a_reading_in_full_does_not_come_back(orders: Orders) -> None:
    pipeline = orders.pipeline('key="id", contract=Order', CONTRACT)
    orders.run(pipeline)
    orders.do("update {} set amount = 1000 where id < 3")
    orders.run(pipeline)
    [(slot, _)] = [slot for slot in orders.slots() if "orders_main" in slot[0]][-1:]
    orders.do(f"select pg_drop_replication_slot('{slot}')", "delete from {} where id = 1")
    orders.run(pipeline)
    aside = [str(row["payload"]) for row in orders.place.rows("_quarantine.orders")]
    assert ["1000" in text for text in aside] == [True]


# -- operations of any source


def scripted(place: Workplace, *batches: Batch | pa.Table, options: str = "") -> object:
    place.sources["scripted"] = maker(batches)
    return place.pipeline(
        f'import headgate as hg\nt = hg.source("scripted", mode="upsert", key="id"{options})'
    )


def told(*rows: tuple[str, object, object]) -> pa.Table:
    return pa.table(
        {
            "_hg_operation": [row[0] for row in rows],
            "id": pa.array([row[1] for row in rows], pa.int64()),
            "value": pa.array([row[2] for row in rows], pa.string()),
        }
    )


def test_operations_of_any_source_are_applied_in_order(place: Workplace) -> None:
    first = told(("upsert", 1, "a"), ("upsert", 2, "b"), ("delete", 1, None), ("upsert", 1, "c"))
    second = told(("delete", 2, None), ("delete", 99, None))
    place.hall.run(scripted(place, first, second), target="main")
    assert place.rows("t") == [{"id": 1, "value": "c"}]


def test_what_came_before_the_whole_table_is_void(place: Workplace) -> None:
    whole = pa.table({"id": [5], "value": ["whole"]})
    note = Batch(rows=told(("truncate", None, None)), cursor=None, note="All anew.")
    first = Batch(rows=told(("upsert", 1, "a")), cursor=None, unread=unread(("x:1", "?", "no")))
    last = Batch(rows=whole.slice(0, 0), cursor=None, unread=unread(("x:2", "?", "no")))
    place.hall.run(scripted(place, first, note, whole, last), target="main")
    assert place.rows("t") == [{"id": 5, "value": "whole"}]
    assert [row["position"] for row in place.rows("_quarantine.t")] == ["x:2"]
    assert [e.note for e in place.events if type(e).__name__ == "SourceNoted"] == ["All anew."]


def test_a_cursor_without_columns_is_no_empty_table(place: Workplace) -> None:
    only = Batch(rows=pa.table({}), cursor=Cursor(kind="scripted", sequence=(9,)))
    place.hall.run(scripted(place, told(("upsert", 1, "a")), only), target="main")
    assert place.rows("t") == [{"id": 1, "value": "a"}]


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (pa.table({"id": [1]}), pa.table({"_hg_record": ['{"id": 2}']}), "columns, and then rec"),
        (pa.table({"_hg_record": ['{"id": 2}']}), pa.table({"id": [1]}), "records, and then col"),
        (pa.table({"id": [1]}), told(("delete", 1, None)), "columns, and then operations"),
        (told(("delete", 1, None)), pa.table({"_hg_record": ["{}"]}), "operations, and then rec"),
    ],
)
def test_rows_of_another_kind_are_refused(
    place: Workplace, first: pa.Table, second: pa.Table, words: str
) -> None:
    with pytest.raises(HeadgateError, match=words):
        place.hall.run(scripted(place, first, second), target="main")


def test_later_batches_may_bring_columns(place: Workplace) -> None:
    more = told(("upsert", 2, "b")).append_column("extra", pa.array([1.5]))
    place.hall.run(scripted(place, told(("upsert", 1, "a")), more), target="main")
    assert place.rows("t") == [
        {"id": 1, "value": "a", "extra": None},
        {"id": 2, "value": "b", "extra": 1.5},
    ]


def test_more_than_memory_should_hold_is_folded_as_well(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headgate.runs.typed_rows.HEAD_BYTES", 1_000)
    dice = random.Random(5)
    table: dict[int, str] = {}
    batches = []
    for number in range(20):
        rows: list[tuple[str, object, object]] = []
        for _ in range(50):
            key, word = dice.randrange(60), dice.choice(["upsert", "upsert", "delete"])
            rows.append((word, key, f"{number}"))
            if word == "upsert":
                table[key] = f"{number}"
            else:
                table.pop(key, None)
        batches.append(told(*rows))
    place.hall.run(scripted(place, *batches), target="main")
    assert {row["id"]: row["value"] for row in place.rows("t")} == table


def test_keys_of_several_columns_are_kept_apart(place: Workplace) -> None:
    place.sources["scripted"] = maker(
        [
            pa.table(
                {
                    "_hg_operation": ["upsert", "upsert", "upsert", "delete"],
                    "a": ["x", "xy", "x", "x"],
                    "b": ["yz", "z", "other", "yz"],
                }
            )
        ]
    )
    text = 'import headgate as hg\nt = hg.source("scripted", mode="upsert", key=("a", "b"))'
    place.hall.run(place.pipeline(text), target="main")
    assert place.rows("t") == [{"a": "x", "b": "other"}, {"a": "xy", "b": "z"}]


def test_unread_records_of_operations_are_counted(place: Workplace) -> None:
    aside = Batch(
        rows=told(("upsert", 1, "a")),
        cursor=Cursor(kind="scripted", sequence=(1,)),
        unread=unread(("p 1", "?", "no row")),
    )
    result = place.hall.run(scripted(place, aside), target="main")
    assert result.steps[0].rows_in == 2
    assert result.steps[0].rows_quarantined == 1


@pytest.mark.parametrize(
    ("rows", "mode", "code"),
    [
        (told(("upsert", 1, "a")), "append", "operations-need-key"),
        (told(("merge", 1, "a")), "upsert", "unknown-operation"),
        (told(("upsert", None, "a")), "upsert", "null-key"),
        (told(("upsert", 1, "a")).drop_columns(["id"]), "upsert", "schema-key-missing"),
    ],
)
def test_operations_that_cannot_be_applied_are_refused(
    place: Workplace, rows: pa.Table, mode: str, code: str
) -> None:
    place.sources["scripted"] = maker([rows])
    key = ', key="id"' if mode == "upsert" else ""
    pipeline = place.pipeline(
        f'import headgate as hg\nt = hg.source("scripted", mode="{mode}"{key})'
    )
    with pytest.raises(HeadgateError) as refused:
        place.hall.run(pipeline, target="main")
    assert refused.value.code == code


def test_amounts_stay_exact(orders: Orders) -> None:
    pipeline = orders.pipeline()
    orders.run(pipeline)
    orders.do("update {} set amount = 1234567.89 where id = 1")
    orders.run(pipeline)
    assert Decimal("1234567.89") in [row[2] for row in orders.here()]


def test_columns_may_have_any_name(logical_postgres: PostgresServer, place: Workplace) -> None:
    names = ["n", "op", "at", "name", "code", "k", "number", "key0", "Order", "a b", '"q"']
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    columns = ", ".join(f"{name} text" for name in quoted)
    orders = Orders(logical_postgres, place, f"id int primary key, {columns}, large text")
    orders.do(
        "insert into {} values (1, 'x', 'y'), (2, 'y', 'z')",
        "update {} set large = repeat('x', 5000)",
    )
    pipeline = orders.pipeline()
    orders.run(pipeline)
    orders.do("update {} set n = 'm' where id = 1", "update {} set id = 3 where id = 2")
    orders.run(pipeline)
    assert orders.here() == orders.there()


def test_keys_come_under_the_contracts_names_and_types(place: Workplace) -> None:
    rows = pa.table(
        {
            "_hg_operation": ["upsert", "upsert", "upsert", "delete", "upsert"],
            "ID": ["1", "2", "3", "2", "oops"],
            "value": ["a", "b", "c", None, "d"],
        }
    )
    later = pa.table({"_hg_operation": ["delete", "upsert"], "ID": ["1", "3"], "value": ["", "-"]})
    text = """
import headgate as hg
from typing import Annotated

class T(hg.Contract):
    id: Annotated[int, hg.column("ID")]
    value: Annotated[str | None, hg.length(0, 1, severity="quarantine")]

t = hg.source("scripted", mode="upsert", key="id", contract=T)
"""
    place.sources["scripted"] = maker([rows.slice(0, 4)])
    place.hall.run(place.pipeline(text), target="main")
    assert place.rows("t") == [{"id": 1, "value": "a"}, {"id": 3, "value": "c"}]
    place.sources["scripted"] = maker([rows.slice(0, 4), later])
    place.hall.run(place.pipeline(text), target="main")
    assert place.rows("t") == [{"id": 3, "value": "-"}]
