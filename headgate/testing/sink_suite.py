"""What every sink must do, as tests. Subclass the suite, say how to make one, run pytest.

>>> class TestMine(SinkSuite):  # doctest: +SKIP
...     def destination(self, directory):
...         return Destination(open=lambda setting: MySink({...}, setting), read=rows_over_there)

A destination takes each commit whole, once, in order; what it has is compared with a dictionary.
"""

# ruff: noqa: D102, S101, PLR2004 - these are tests; their names say what they show

import string
import threading
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.clock import ManualClock
from headgate.errors import Conflict, HeadgateError, Invalid, Refused, Unavailable
from headgate.sinks import Delivery, Effect, Position, Setting, Sink, TableDelivery

Row: TypeAlias = Mapping[str, object]

LAKE = "00000000-0000-0000-0000-00000000000a"
OTHER_LAKE = "00000000-0000-0000-0000-00000000000b"

SMALL = pa.schema([("id", pa.int64()), ("name", pa.string())])

EVERY_TYPE = pa.schema(
    [
        ("id", pa.int64()),
        ("a_boolean", pa.bool_()),
        ("an_int", pa.int32()),
        ("a_float", pa.float32()),
        ("a_double", pa.float64()),
        ("a_decimal", pa.decimal128(30, 10)),
        ("a_wide_decimal", pa.decimal128(38, 0)),
        ("a_string", pa.string()),
        ("a_binary", pa.binary()),
        ("a_fixed", pa.binary(3)),
        ("a_date", pa.date32()),
        ("a_time", pa.time64("us")),
        ("a_timestamp", pa.timestamp("us")),
        ("an_instant", pa.timestamp("us", tz="UTC")),
        ("a_uuid", pa.uuid()),
        ("a_list", pa.list_(pa.int64())),
        ("a_list_of_texts", pa.list_(pa.string())),
        ("a_struct", pa.struct([("city", pa.string()), ("size", pa.decimal128(9, 2))])),
        ("a_list_of_structs", pa.list_(pa.struct([("n", pa.int32())]))),
        ("a_map", pa.map_(pa.string(), pa.float64())),
    ]
)

TEXTS = (
    "",
    " ",
    "NULL",
    "\\N",
    "\\.",
    'it\'s "quoted"',
    "a,b;c\td",
    "line\nbreak\r\nand\rmore",
    "back\\slash \\' \\\\",
    "ünïcödé 漢字 🚀",
    "{1,2}",
    "%s %(x)s ? :name $1",
    "007",
    "1e5",
    "trailing  ",
)


def every_row(number: int, text: str) -> Row:
    """Give a row with a value in every column of ``EVERY_TYPE``."""
    return {
        "id": number,
        "a_boolean": number % 2 == 0,
        "an_int": -(2**31) + number,
        "a_float": 0.10000000149011612 if number % 2 else 16777216.0,
        "a_double": 0.1 + number,
        "a_decimal": Decimal(f"123456789012345678{number % 10}.0123456789"),
        "a_wide_decimal": Decimal(10**38 - 1 - number),
        "a_string": text,
        "a_binary": bytes([0, 255, 39, 92, number % 256]),
        "a_fixed": bytes([0, 1, number % 256]),
        "a_date": date(1, 1, 1) if number % 2 else date(9999, 12, 31),
        "a_time": time(23, 59, 59, 999999),
        "a_timestamp": datetime(1969, 12, 31, 23, 59, 59, 999999),  # noqa: DTZ001 - without a zone
        "an_instant": datetime(2038, 1, 19, 3, 14, 8, number, tzinfo=UTC),
        "a_uuid": uuid.UUID(int=number * 10**30),
        "a_list": [1, None, 2**62],
        "a_list_of_texts": [text, None, 'a "b", {c}'],
        "a_struct": {"city": text, "size": Decimal("1.10")},
        "a_list_of_structs": [{"n": 1}, {"n": None}],
        "a_map": [("a", 1.5), ("b", None)],
    }


def setting(root: Path, *, name: str = "warehouse", lake: str = LAKE) -> Setting:
    """Give what a sink is given beside its options."""
    return Setting(name=name, lake=lake, root=root, cache=root / "cache", clock=ManualClock())


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Somewhere rows can go.

    ``open`` makes a new sink that delivers there, ``read`` gives a table's rows as they are over
    there, in any order, past the sink; None where there is no such table.
    """

    open: Callable[[Setting], Sink]
    read: Callable[[str], Sequence[Row] | None]
    root: Path = field(default_factory=Path)


def rows_delivery(
    rows: Iterable[Row],
    *,
    schema: pa.Schema = SMALL,
    effect: Effect = "insert",
    table: str = "delays",
    to: str | None = None,
    key: Sequence[str] = (),
    deleted: Iterable[Row] | None = None,
    whole: bool = False,
    gone: Sequence[str] = (),
) -> TableDelivery:
    """Give a table's delivery of rows at hand, in batches of two."""
    held = pa.Table.from_pylist(list(rows), schema=schema)
    keys = pa.schema([schema.field(name) for name in key])
    away = None if deleted is None else pa.Table.from_pylist(list(deleted), schema=keys)
    return TableDelivery(
        table=table,
        to=to or table,
        effect=effect,
        schema=schema,
        rows=lambda: held.to_reader(2),
        key=tuple(key),
        deleted=None if away is None else lambda: away.to_reader(2),
        whole=whole,
        gone=tuple(gone),
    )


class Deliveries:
    """Deliveries that follow each other, as a lake would make them."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self.at: Position | None = None

    def next(self, *tables: TableDelivery) -> Delivery:
        """Give the next commit's delivery; taken to be delivered."""
        number = next(self._numbers)
        has = dict(self.at.tables if self.at else ())
        for each in tables:
            if each.effect == "drop":
                has.pop(each.table, None)
            else:
                has[each.table] = each.to
        position = Position(commit=f"{number:040x}", number=number, tables=tuple(has.items()))
        delivery = Delivery(
            position=position,
            after=self.at,
            published=datetime(2026, 1, 1, tzinfo=UTC),
            branch="main",
            tables=tables,
        )
        self.at = position
        return delivery


def sorted_rows(rows: Iterable[Row] | None) -> list[Row] | None:
    """Give rows in an order of their own, for comparisons."""
    return None if rows is None else sorted(rows, key=lambda row: repr(sorted(row.items())))


def different(seen: Row, meant: Row) -> dict[str, tuple[object, object]]:
    """Give the columns whose values differ, with both."""
    names = {**seen, **meant}
    return {
        name: (seen.get(name, "absent"), meant.get(name, "absent"))
        for name in names
        if name not in seen or name not in meant or seen[name] != meant[name]
    }


class SinkSuite(ABC):
    """The suite. ``destination`` sets up an empty place to deliver to."""

    can_upsert = True
    can_change_columns = True
    examples = 10
    """How many sequences of commits are tried."""

    @abstractmethod
    def destination(self, directory: Path) -> Destination:
        """Set up an empty place."""

    def shown(self, row: Row) -> Row:
        """Give a row of ``EVERY_TYPE`` as ``read`` gives it."""
        return row

    @pytest.fixture
    def there(self, tmp_path: Path) -> Destination:
        return replace(self.destination(tmp_path), root=tmp_path)

    @pytest.fixture
    def sink(self, there: Destination) -> Iterator[Sink]:
        with closing(there.open(setting(there.root))) as sink:
            yield sink

    # -- what it is

    def test_a_sink_says_what_it_is(self, sink: Sink) -> None:
        described = sink.describe()
        assert isinstance(sink, Sink)
        assert described.kind == sink.kind
        assert described.title

    def test_nothing_is_there_before_the_first_delivery(
        self, there: Destination, sink: Sink
    ) -> None:
        assert sink.position() is None
        assert there.read("delays") is None

    # -- once, in order

    def test_a_delivery_is_there_whole_with_its_position(
        self, there: Destination, sink: Sink
    ) -> None:
        one = Deliveries().next(
            rows_delivery([{"id": 1, "name": "a"}, {"id": 2, "name": None}, {"id": 3, "name": ""}]),
            rows_delivery([{"id": 9, "name": "z"}], table="other"),
        )
        assert sink.deliver(one) == {"delays": 3, "other": 1}
        assert sorted_rows(there.read("delays")) == [
            {"id": 1, "name": "a"},
            {"id": 2, "name": None},
            {"id": 3, "name": ""},
        ]
        assert there.read("other") == [{"id": 9, "name": "z"}]
        if sink.remembers:
            assert sink.position() == one.position
            with closing(there.open(setting(there.root))) as another:
                assert another.position() == one.position

    def test_a_delivery_that_is_repeated_is_done_once(self, there: Destination, sink: Sink) -> None:
        if not sink.remembers:
            pytest.skip("the destination remembers nothing")
        deliveries = Deliveries()
        one = deliveries.next(rows_delivery([{"id": 1, "name": "a"}]))
        two = deliveries.next(rows_delivery([{"id": 2, "name": "b"}]))
        sink.deliver(one)
        for again, has in ((one, one), (two, two), (two, two), (one, two)):
            if again is not has or sink.position() == has.position:
                with pytest.raises(Conflict) as caught:
                    sink.deliver(again)
                assert caught.value.code == "sink-elsewhere"
            else:
                sink.deliver(again)
            assert sink.position() == has.position
        assert sorted_rows(there.read("delays")) == [
            {"id": 1, "name": "a"},
            {"id": 2, "name": "b"},
        ]

    def test_a_delivery_after_another_commit_is_refused(
        self, there: Destination, sink: Sink
    ) -> None:
        if not sink.remembers:
            pytest.skip("the destination remembers nothing")
        deliveries = Deliveries()
        deliveries.next()
        ahead = deliveries.next(rows_delivery([{"id": 1, "name": "a"}]))
        with pytest.raises(Conflict):
            sink.deliver(ahead)
        assert sink.position() is None
        assert not there.read("delays")

    def test_of_two_who_deliver_at_once_one_does(self, there: Destination, sink: Sink) -> None:
        if not sink.remembers:
            pytest.skip("the destination remembers nothing")
        deliveries = Deliveries()
        sink.deliver(deliveries.next(rows_delivery([])))
        begun, outcomes = threading.Barrier(2), []
        same = deliveries.next(rows_delivery([{"id": n, "name": "x"} for n in range(10)]))

        def deliver() -> None:
            with closing(there.open(setting(there.root))) as another:
                begun.wait()
                try:
                    another.deliver(same)
                except (Conflict, Unavailable) as error:
                    outcomes.append(error.code)
                else:
                    outcomes.append("delivered")

        threads = [threading.Thread(target=deliver) for _ in range(2)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert outcomes.count("delivered") == 1
        assert {*outcomes} <= {"delivered", "sink-elsewhere", "sink-busy"}
        assert sink.position() == same.position
        assert len(there.read("delays") or ()) == 10

    def test_rows_that_end_in_an_error_leave_nothing(self, there: Destination, sink: Sink) -> None:
        deliveries = Deliveries()
        sink.deliver(deliveries.next(rows_delivery([{"id": 1, "name": "a"}])))
        has = deliveries.at

        def broken() -> Iterator[pa.RecordBatch]:
            yield pa.RecordBatch.from_pylist([{"id": 2, "name": "b"}], schema=SMALL)
            raise Unavailable("sink-unreachable", "the lake's files went away")

        ends = replace(
            rows_delivery([]), rows=lambda: pa.RecordBatchReader.from_batches(SMALL, broken())
        )
        with pytest.raises(Exception, match="went away"):
            sink.deliver(
                deliveries.next(rows_delivery([{"id": 3, "name": "c"}], table="other"), ends)
            )
        assert there.read("delays") == [{"id": 1, "name": "a"}]
        assert not there.read("other")
        if sink.remembers:
            assert sink.position() == has

    def test_a_move_tells_the_position_and_nothing_else(
        self, there: Destination, sink: Sink
    ) -> None:
        if not sink.remembers:
            pytest.skip("the destination remembers nothing")
        deliveries = Deliveries()
        sink.deliver(deliveries.next(rows_delivery([{"id": 1, "name": "a"}])))
        assert sink.deliver(deliveries.next()) == {}
        assert sink.position() == deliveries.at
        assert there.read("delays") == [{"id": 1, "name": "a"}]

    # -- what a commit does

    def test_rows_are_put_in_the_place_of_others_and_taken_away_by_key(
        self, there: Destination, sink: Sink
    ) -> None:
        self._needs_keys()
        deliveries = Deliveries()
        first = [{"id": n, "name": f"old {n}"} for n in range(6)]
        sink.deliver(deliveries.next(rows_delivery(first, effect="upsert", key=["id"], whole=True)))
        sent = sink.deliver(
            deliveries.next(
                rows_delivery(
                    [{"id": 1, "name": "new 1"}, {"id": 9, "name": None}],
                    effect="upsert",
                    key=["id"],
                    deleted=[{"id": 2}, {"id": 3}, {"id": 77}],
                )
            )
        )
        assert sent == {"delays": 5}
        assert sorted_rows(there.read("delays")) == sorted_rows(
            [
                {"id": 0, "name": "old 0"},
                {"id": 1, "name": "new 1"},
                {"id": 4, "name": "old 4"},
                {"id": 5, "name": "old 5"},
                {"id": 9, "name": None},
            ]
        )

    def test_rows_of_others_stay_where_a_table_is_merged_whole(
        self, there: Destination, sink: Sink
    ) -> None:
        self._needs_keys()
        deliveries = Deliveries()
        sink.deliver(deliveries.next(rows_delivery([{"id": 1, "name": "theirs"}])))
        merged = rows_delivery([{"id": 2, "name": "ours"}], effect="upsert", key=["id"], whole=True)
        sink.deliver(deliveries.next(merged))
        assert sorted_rows(there.read("delays")) == [
            {"id": 1, "name": "theirs"},
            {"id": 2, "name": "ours"},
        ]

    def test_a_replacement_is_all_there_is(self, there: Destination, sink: Sink) -> None:
        deliveries = Deliveries()
        for rows in (
            [{"id": 1, "name": "a"}],
            [{"id": 2, "name": "b"}, {"id": 2, "name": "b"}],
            [],
        ):
            sink.deliver(deliveries.next(rows_delivery(rows, effect="replace", whole=True)))
            assert there.read("delays") == rows

    def test_a_table_without_rows_is_there(self, there: Destination, sink: Sink) -> None:
        sink.deliver(Deliveries().next(rows_delivery([], effect="replace", whole=True)))
        assert there.read("delays") == []

    def test_a_table_is_taken_away(self, there: Destination, sink: Sink) -> None:
        self._needs_columns()
        deliveries = Deliveries()
        sink.deliver(deliveries.next(rows_delivery([{"id": 1, "name": "a"}])))
        sink.deliver(deliveries.next(rows_delivery([], effect="drop")))
        assert there.read("delays") is None
        assert sink.position() == deliveries.at

    # -- columns

    def test_a_column_that_is_new_is_added(self, there: Destination, sink: Sink) -> None:
        self._needs_columns()
        deliveries = Deliveries()
        sink.deliver(deliveries.next(rows_delivery([{"id": 1, "name": "a"}])))
        wider = SMALL.append(pa.field("when", pa.date32()))
        sink.deliver(
            deliveries.next(
                rows_delivery([{"id": 2, "name": "b", "when": date(2026, 1, 2)}], schema=wider)
            )
        )
        assert sorted_rows(there.read("delays")) == [
            self._seen({"id": 1, "name": "a", "when": None}, wider),
            self._seen({"id": 2, "name": "b", "when": date(2026, 1, 2)}, wider),
        ]

    def test_columns_that_are_gone_go_and_those_of_another_type_come_again(
        self, there: Destination, sink: Sink
    ) -> None:
        self._needs_columns()
        deliveries = Deliveries()
        before = pa.schema([("id", pa.int64()), ("name", pa.string()), ("size", pa.int32())])
        sink.deliver(
            deliveries.next(rows_delivery([{"id": 1, "name": "a", "size": 3}], schema=before))
        )
        after = pa.schema([("id", pa.int64()), ("size", pa.string()), ("called", pa.string())])
        changed = rows_delivery(
            [{"id": 1, "size": "three", "called": "a"}],
            schema=after,
            effect="replace",
            whole=True,
            gone=["name", "size"],
        )
        sink.deliver(deliveries.next(changed))
        assert there.read("delays") == [{"id": 1, "size": "three", "called": "a"}]
        assert sink.position() == deliveries.at

    def test_odd_names_are_names(self, there: Destination, sink: Sink) -> None:
        schema = pa.schema(
            [("select", pa.int64()), ("Dep Delay (raw)", pa.string()), ("größe", pa.int32())]
        )
        row = {"select": 1, "Dep Delay (raw)": "x", "größe": 2}
        one = rows_delivery(
            [row], schema=schema, table="order", effect="upsert", key=["select"], whole=True
        )
        deliveries = Deliveries()
        if not self.can_upsert:
            one = replace(one, effect="insert", key=())
        sink.deliver(deliveries.next(one))
        assert there.read("order") == [row]
        if self.can_upsert:
            changed = rows_delivery(
                [{**row, "größe": 3}],
                schema=schema,
                table="order",
                effect="upsert",
                key=["select"],
                deleted=[{"select": 7}],
            )
            sink.deliver(deliveries.next(changed))
            assert there.read("order") == [{**row, "größe": 3}]

    # -- values

    def test_every_type_arrives_as_it_is(self, there: Destination, sink: Sink) -> None:
        rows = [every_row(number, text) for number, text in enumerate(TEXTS)]
        rows.append({"id": len(TEXTS)})
        rows[-1] = {name: rows[-1].get(name) for name in EVERY_TYPE.names}
        deliveries = Deliveries()
        sink.deliver(deliveries.next(rows_delivery(rows, schema=EVERY_TYPE, table="types")))
        expected = [self.shown(row) for row in rows]
        found = sorted(there.read("types") or (), key=lambda row: int(str(row["id"])))
        for seen, meant in zip(found, expected, strict=True):
            assert (odd := different(seen, meant)) == {}, odd

    def test_every_type_can_be_changed_by_key(self, there: Destination, sink: Sink) -> None:
        self._needs_keys()
        deliveries = Deliveries()
        rows = [every_row(number, "before") for number in range(3)]
        key = {"schema": EVERY_TYPE, "table": "types", "effect": "upsert", "key": ["id"]}
        sink.deliver(deliveries.next(rows_delivery(rows, whole=True, **key)))
        empty: Row = {name: 1 if name == "id" else None for name in EVERY_TYPE.names}
        changed = [empty, every_row(2, "after")]
        sink.deliver(deliveries.next(rows_delivery(changed, **key)))
        found = sorted(there.read("types") or (), key=lambda row: int(str(row["id"])))
        expected = [self.shown(row) for row in (rows[0], *changed)]
        for seen, meant in zip(found, expected, strict=True):
            assert (odd := different(seen, meant)) == {}, odd

    @pytest.mark.parametrize(
        ("kind", "value"),
        [
            (pa.int64(), 7),
            (pa.string(), "key"),
            (pa.string(), "ß " * 60),
            (pa.date32(), date(2026, 2, 3)),
            (pa.timestamp("us", tz="UTC"), datetime(2026, 2, 3, 4, 5, 6, 7, tzinfo=UTC)),
            (pa.decimal128(20, 5), Decimal("1.50000")),
            (pa.binary(), b"\0\xff"),
            (pa.uuid(), uuid.UUID(int=3)),
        ],
        ids=["int", "text", "long-text", "date", "instant", "decimal", "binary", "uuid"],
    )
    def test_rows_are_known_by_keys_of_any_type(
        self, there: Destination, sink: Sink, kind: pa.DataType, value: object
    ) -> None:
        self._needs_keys()
        schema = pa.schema([("k", kind), ("v", pa.int64())])
        deliveries = Deliveries()
        for changed in (1, 2):
            sink.deliver(
                deliveries.next(
                    rows_delivery(
                        [{"k": value, "v": changed}],
                        schema=schema,
                        effect="upsert",
                        key=["k"],
                        whole=changed == 1,
                    )
                )
            )
        assert [row["v"] for row in there.read("delays") or ()] == [2]
        gone = rows_delivery([], schema=schema, effect="upsert", key=["k"], deleted=[{"k": value}])
        sink.deliver(deliveries.next(gone))
        assert there.read("delays") == []

    @pytest.mark.parametrize(
        ("code", "ids"), [("sink-key-null", [1, None]), ("sink-key-doubled", [1, 2, 1])]
    )
    def test_keys_that_tell_no_rows_apart_are_refused(
        self, there: Destination, sink: Sink, code: str, ids: list[int | None]
    ) -> None:
        self._needs_keys()
        deliveries = Deliveries()
        sink.deliver(
            deliveries.next(
                rows_delivery([{"id": 1, "name": "a"}], effect="upsert", key=["id"], whole=True)
            )
        )
        has = deliveries.at
        rows = [{"id": each, "name": "b"} for each in ids]
        with pytest.raises(Invalid) as caught:
            sink.deliver(deliveries.next(rows_delivery(rows, effect="upsert", key=["id"])))
        assert caught.value.code == code
        assert there.read("delays") == [{"id": 1, "name": "a"}]
        assert sink.position() == has

    def test_a_log_is_not_begun_on_rows_of_others(self, there: Destination, sink: Sink) -> None:
        if not sink.remembers:
            pytest.skip("the destination has no rows of others")
        deliveries = Deliveries()
        sink.deliver(deliveries.next(rows_delivery([{"id": 1, "name": "theirs"}])))
        sink.place(None)
        whole = rows_delivery([{"id": 1, "name": "theirs"}], whole=True)
        with pytest.raises(Refused) as caught:
            sink.deliver(Deliveries().next(whole))
        assert caught.value.code == "sink-table-not-empty"
        assert there.read("delays") == [{"id": 1, "name": "theirs"}]
        assert sink.position() is None

    # -- positions

    def test_a_position_can_be_said_and_forgotten(self, sink: Sink) -> None:
        if not sink.remembers:
            pytest.skip("the destination remembers nothing")
        position = Position(commit="c" * 40, number=7, tables=(("a", "x.a"), ("größe", 'q"t')))
        sink.place(position)
        assert sink.position() == position
        sink.place(None)
        assert sink.position() is None

    def test_what_another_lake_delivered_is_not_built_upon(
        self, there: Destination, sink: Sink
    ) -> None:
        if not sink.remembers:
            pytest.skip("the destination remembers nothing")
        sink.deliver(Deliveries().next(rows_delivery([{"id": 1, "name": "a"}])))
        with closing(there.open(setting(there.root, lake=OTHER_LAKE))) as other:
            with pytest.raises(Refused) as caught:
                other.position()
            assert caught.value.code == "sink-of-another-lake"
            with pytest.raises(HeadgateError):
                other.deliver(Deliveries().next(rows_delivery([{"id": 2, "name": "b"}])))
            other.place(None)
            assert other.position() is None
        assert sink.position() is None

    def test_sinks_of_other_names_do_not_meet(self, there: Destination, sink: Sink) -> None:
        if not sink.remembers:
            pytest.skip("the destination remembers nothing")
        sink.deliver(Deliveries().next(rows_delivery([{"id": 1, "name": "a"}])))
        with closing(there.open(setting(there.root, name="another"))) as other:
            assert other.position() is None
            other.deliver(Deliveries().next(rows_delivery([{"id": 2, "name": "b"}], to="second")))
        assert there.read("delays") == [{"id": 1, "name": "a"}]
        assert there.read("second") == [{"id": 2, "name": "b"}]

    # -- any sequence of commits

    def test_any_commits_leave_what_a_dictionary_would_have(
        self, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        self._needs_keys()

        @settings(max_examples=self.examples, deadline=None)
        @given(data=st.data())
        def is_like_a_dictionary(data: st.DataObject) -> None:
            self._is_like_a_dictionary(tmp_path_factory.mktemp("any"), data)

        is_like_a_dictionary()

    def _is_like_a_dictionary(self, root: Path, data: st.DataObject) -> None:
        there = replace(self.destination(root), root=root)
        texts = st.none() | st.text(string.printable + "äß漢🚀'\"\\", max_size=6)
        keys = st.integers(0, 6)
        model: dict[int, str | None] = {}
        effects: list[Effect | None] = ["insert", "upsert", "upsert", "replace", None]
        deliveries, is_new = Deliveries(), True
        with closing(there.open(setting(root))) as sink:
            for _ in range(data.draw(st.integers(1, 5))):
                effect = data.draw(st.sampled_from(effects))
                rows = data.draw(st.dictionaries(keys, texts, max_size=5))
                if effect is None:
                    sink.deliver(deliveries.next())
                    continue
                gone = []
                if effect == "insert":
                    rows = {k: v for k, v in rows.items() if k not in model}
                elif effect == "replace":
                    model = {}
                elif not is_new:
                    gone = [k for k in data.draw(st.lists(keys, unique=True)) if k not in rows]
                    model = {k: v for k, v in model.items() if k not in gone}
                model.update(rows)
                made = rows_delivery(
                    [{"id": k, "name": v} for k, v in rows.items()],
                    effect=effect,
                    key=["id"],
                    deleted=[{"id": k} for k in gone] if effect == "upsert" else None,
                    whole=effect == "replace" or is_new,
                )
                sink.deliver(deliveries.next(made))
                is_new = False
                if sink.remembers:
                    assert sink.position() == deliveries.at
        found = there.read("delays") or ()
        assert {row["id"]: row["name"] for row in found} == model
        assert len(found) == len(model)

    # -- parts

    def _seen(self, row: Row, schema: pa.Schema) -> Row:
        del schema
        return self.shown(row)

    def _needs_keys(self) -> None:
        if not self.can_upsert:
            pytest.skip("the destination changes no rows")

    def _needs_columns(self) -> None:
        if not self.can_change_columns:
            pytest.skip("the destination has no columns that stay")
