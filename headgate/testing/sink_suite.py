"""What every sink must do, as tests. Subclass the suite, say how to make one, run pytest.

>>> class TestMine(SinkSuite):  # doctest: +SKIP
...     def destination(self, directory):
...         return Destination(open=lambda setting: MySink({...}, setting), read=rows_over_there)

A destination takes each commit whole, once, in order; what it has is compared with a dictionary.
"""

# ruff: noqa: D102, S101, PLR2004 - these are tests; their names say what they show

import string
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.errors import Conflict, HeadgateError, Refused, Unavailable
from headgate.sinks import Effect, Position, Sink
from headgate.testing.sink_columns_suite import SinkColumnsSuite
from headgate.testing.sink_deliveries import (
    OTHER_LAKE,
    SMALL,
    Deliveries,
    rows_delivery,
    setting,
    sorted_rows,
)
from headgate.testing.sink_under_test import Destination


class SinkSuite(SinkColumnsSuite):
    """The suite. ``destination`` sets up an empty place to deliver to."""

    examples = 10
    """How many sequences of commits are tried."""

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
