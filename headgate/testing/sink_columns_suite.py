"""What every sink must do with columns, values and keys of any type, as tests."""

# ruff: noqa: D102, S101 - these are tests; their names say what they show

import uuid
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from headgate.errors import Invalid, Refused
from headgate.sinks import Effect, Sink
from headgate.testing.sink_deliveries import (
    EVERY_TYPE,
    SMALL,
    TEXTS,
    Deliveries,
    Row,
    different,
    every_row,
    rows_delivery,
    sorted_rows,
)
from headgate.testing.sink_under_test import Destination, SinkUnderTest


class SinkColumnsSuite(SinkUnderTest):
    """Part of ``SinkSuite``."""

    # -- columns

    def test_a_column_that_is_new_is_added(self, there: Destination, sink: Sink) -> None:
        self._needs_columns()
        deliveries = Deliveries()
        sink.deliver(deliveries.next(rows_delivery([{"id": 1, "name": "a"}])))
        wider = SMALL.append(pa.field("when", pa.date32()))
        sink.deliver(
            deliveries.next(
                rows_delivery(
                    [{"id": 2, "name": "b", "when": date(2026, 1, 2)}], schema=wider, new=["when"]
                )
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

    @pytest.mark.parametrize("gone", [["id"], ["left"], ["other"], ["id", "other"]], ids=str)
    def test_columns_of_a_key_and_those_beside_it_go_and_come_again(
        self, there: Destination, sink: Sink, gone: list[str]
    ) -> None:
        self._needs_columns()
        self._needs_keys()
        before = pa.schema(
            [("left", pa.string()), ("id", pa.int64()), ("other", pa.int64()), ("v", pa.string())]
        )
        row: Row = {"left": "l", "id": 1, "other": 2, "v": "a"}
        key = ("id", "other")
        deliveries = Deliveries()
        first = rows_delivery([row], schema=before, effect="upsert", key=key, whole=True)
        sink.deliver(deliveries.next(first))
        texts = [pa.field(f.name, pa.string()) if f.name in gone else f for f in before]
        changed: Row = {name: f"{v} now" if name in gone else v for name, v in row.items()}
        whole = rows_delivery(
            [changed], schema=pa.schema(texts), effect="replace", key=key, whole=True, gone=gone
        )
        sink.deliver(deliveries.next(whole))
        assert there.read("delays") == [changed]
        assert sink.position() == deliveries.at
        more = rows_delivery(
            [{**changed, "v": "b"}], schema=pa.schema(texts), effect="upsert", key=key
        )
        sink.deliver(deliveries.next(more))
        assert there.read("delays") == [{**changed, "v": "b"}]

    def test_another_key_over_there_is_named_where_it_refuses_rows(
        self, there: Destination, sink: Sink
    ) -> None:
        if there.execute is None:
            pytest.skip("the destination has no keys of its own")
        deliveries = Deliveries()
        first = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
        sink.deliver(deliveries.next(rows_delivery(first, effect="upsert", key=["id"], whole=True)))
        second = [{"id": 2, "name": "a"}]
        with pytest.raises(Invalid) as caught:
            sink.deliver(deliveries.next(rows_delivery(second, effect="upsert", key=["name"])))
        assert caught.value.code == "sink-rows-refused"
        assert "has the key id over there" in str(caught.value.hint)
        assert sorted_rows(there.read("delays")) == first

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

    @pytest.mark.parametrize(
        ("done", "code"),
        [
            ("alter table delays drop column name", "sink-column-missing"),
            ("drop table delays", "sink-table-missing"),
        ],
    )
    @pytest.mark.parametrize("key", [(), ("id",)], ids=["added", "by-key"])
    def test_what_somebody_took_away_is_not_made_again_for_new_rows_only(
        self, there: Destination, sink: Sink, done: str, code: str, key: tuple[str, ...]
    ) -> None:
        if there.execute is None:
            pytest.skip("the destination speaks no SQL")
        deliveries = Deliveries()
        effect: Effect = "upsert" if key else "insert"
        first = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
        sink.deliver(deliveries.next(rows_delivery(first, effect=effect, key=key, whole=True)))
        has = deliveries.at
        there.execute(done)
        left = sorted_rows(there.read("delays"))
        second = [{"id": 3, "name": "c"}]
        with pytest.raises(Refused) as caught:
            sink.deliver(deliveries.next(rows_delivery(second, effect=effect, key=key)))
        assert caught.value.code == code
        for named in ("warehouse", "delays", *(["name"] if "column" in code else [])):
            assert named in caught.value.message
        assert "headgate sinks reset warehouse" in str(caught.value.hint)
        assert sorted_rows(there.read("delays")) == left
        assert sink.position() == has
        sink.place(None)
        effect = "upsert" if key else "replace"
        whole = rows_delivery([*first, *second], effect=effect, key=key, whole=True)
        sink.deliver(Deliveries().next(whole))
        assert sorted_rows(there.read("delays")) == [*first, *second]

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
