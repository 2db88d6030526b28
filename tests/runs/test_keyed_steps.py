"""What a step or a transaction writes by key: upserts, deletions, what is recorded and refused."""

import pyarrow as pa
import pytest
from workplaces import Workplace

from headgate.errors import Invalid, NotFound
from headgate.lake import Append, Entry, RowCounts, RunState
from headgate.runs.keyed_writes import SMALL_ROWS

DELETING = """
from collections.abc import Iterator
import headgate as hg

@hg.step(mode="append")
def orders() -> Iterator[dict]:
    yield {"id": 1, "customer": "a"}
    yield {"id": 2, "customer": "b"}
    yield {"id": 3, "customer": "b"}

left = hg.sql_step("select count(*) as n from orders")
bad = hg.sql_step("select 'b' as customer, id from orders where id = 3")
gone = hg.sql_step("select customer, id from bad", table="orders", mode="delete", key="customer")
"""


def entry_of(place: Workplace, table: str = "t") -> Entry:
    entry = place.lake.tree(place.lake.resolve("main")).get(f"table/{table}")
    assert entry is not None
    return entry


def write(place: Workplace, rows: object, **options: object) -> RowCounts | None:
    with place.hall.transaction("main") as transaction:
        done = transaction.write("t", rows, **options)  # type: ignore[arg-type]
    return done.writes[0].rows


def test_a_step_deletes_before_others_read_what_is_left(place: Workplace) -> None:
    pipeline = place.pipeline(DELETING)
    run = place.hall.run(pipeline, target="main")
    assert place.rows("orders") == [{"id": 1, "customer": "a"}]
    assert place.rows("left") == [{"n": 1}]
    [gone] = [step for step in run.steps if step.step == "gone"]
    assert gone.writes[0].rows == RowCounts(deleted=2, files_rewritten=1)
    assert gone.rows_out == 2


def test_a_deletion_by_key_takes_neither_contract_nor_columns_away(place: Workplace) -> None:
    text = "import headgate as hg\nclass C(hg.Contract):\n    k: int\n@hg.step(contract=C)\n"
    pipeline = place.pipeline(
        f"{text}def t() -> list[dict]:\n    return [{{'k': 1}}, {{'k': 2}}]\n"
    )
    place.hall.run(pipeline, target="main")
    before = place.lake.tree(place.lake.resolve("main")).get("contract/t")
    counts = write(place, [{"k": 2, "x": 9}, {"k": 2, "x": 8}, {"k": 5}], mode="delete", key="k")
    assert counts == RowCounts(deleted=1, files_rewritten=1)
    assert place.rows("t") == [{"k": 1}]
    assert place.lake.tree(place.lake.resolve("main")).get("contract/t") == before


def test_keys_are_deleted_from_tables_that_are_there_by_columns_they_have(
    place: Workplace,
) -> None:
    write(place, [{"k": 1}])
    with pytest.raises(NotFound, match="no table u"), place.hall.transaction("main") as transaction:
        transaction.write("u", [{"k": 1}], mode="delete", key="k")
    with pytest.raises(Invalid, match="no column j"):
        write(place, [{"j": 1}], mode="delete", key="j")
    with pytest.raises(Invalid, match="NULL in k"):
        write(place, [{"k": None}, {"k": 1}], mode="delete", key="k")
    with pytest.raises(Invalid, match="know by which columns"):
        write(place, [{"k": 1}], mode="delete")


def test_bad_keys_are_refused_with_their_column_and_examples(place: Workplace) -> None:
    rows = [{"a": 1, "b": None}, {"a": 2, "b": "x"}]
    with pytest.raises(Invalid, match="NULL in b") as null:
        write(place, rows, mode="upsert", key=("a", "b"))
    assert null.value.facts["columns"] == ["b"]
    rows = [{"a": n, "b": "x"} for n in (1, 1, 2, 3, 3)]
    with pytest.raises(Invalid, match="2 keys occur more than once") as doubled:
        write(place, rows, mode="upsert", key=("a", "b"))
    assert '{"a":1,"b":"x"}' in doubled.value.message
    assert "hg.unique('a', 'b', keep='last', order_by=...)" in str(doubled.value.hint)


def test_what_an_upsert_did_is_in_the_record(place: Workplace) -> None:
    write(place, [{"k": n, "v": 0} for n in range(10)])
    write(place, [{"k": n, "v": 0} for n in range(10, 20)])
    counts = write(place, [{"k": n, "v": 1} for n in (3, 30)], mode="upsert", key="k")
    assert counts == RowCounts(inserted=1, updated=1, files_rewritten=1)
    commit = place.lake.commit(place.head())
    assert commit.record.steps[0].writes[0].rows == counts
    with place.hall.transaction("main") as transaction:
        assert transaction.delete("t", "k < 5") == 5
    [step] = place.lake.commit(place.head()).record.steps
    assert step.writes[0].rows == RowCounts(deleted=5, files_rewritten=1)


def test_rewritten_rows_stay_where_they_were_and_new_ones_apart(place: Workplace) -> None:
    many = SMALL_ROWS + 10
    for start in (0, many):
        write(place, pa.table({"k": range(start, start + many), "v": [0] * many}))
    write(place, [{"k": n, "v": 1} for n in (many, 7, 3 * many, 9)], mode="upsert", key="k")
    files = {file.bounds["k"]: file for file in place.lake.tables.files(entry_of(place))}
    assert sorted(files) == [(0, many - 1), (many, 2 * many - 1), (3 * many, 3 * many)]
    session = place.engine.session()
    scan = place.lake.tables.scan_files(entry_of(place), [files[0, many - 1]])
    first = session.reader(scan).read_all().to_pydict()
    session.close()
    inside = list(range(many))
    at = first["k"].index(0)  # the two row groups may trade places
    assert first["k"][at:] + first["k"][:at] == inside
    assert [k for k, v in zip(first["k"], first["v"], strict=True) if v] == [7, 9]


def test_a_row_whose_sorting_column_changes_moves_to_the_new_files(place: Workplace) -> None:
    rows = [{"k": n, "day": n // 10, "v": 0} for n in range(100)]
    write(place, rows, sort_by="day")
    moved = [{"k": 5, "day": 99, "v": 1}, {"k": 6, "day": 0, "v": 1}, {"k": 200, "day": 98, "v": 1}]
    counts = write(place, moved, mode="upsert", key="k")
    assert counts == RowCounts(inserted=1, updated=2, files_rewritten=1)
    bounds = sorted(file.bounds["day"] for file in place.lake.tables.files(entry_of(place)))
    assert bounds == [(0, 9), (98, 99)]
    assert len(place.rows("t")) == 101


def test_small_files_that_are_hit_become_one(place: Workplace) -> None:
    with place.hall.transaction("main") as transaction:
        for n in range(30):
            transaction.write(
                "t", [{"k": n, "v": 0}, {"k": n + 100, "v": 0}, {"k": -1 - n, "v": 0}]
            )
    rows = [{"k": n, "v": 1} for n in range(30)]
    counts = write(place, rows, mode="upsert", key="k")
    assert counts == RowCounts(updated=30, files_rewritten=30)
    assert len(place.lake.tables.files(entry_of(place))) == 1


def test_a_key_beyond_the_32nd_column_keeps_its_bounds(place: Workplace) -> None:
    def rows(start: int, v: int) -> list[dict[str, object]]:
        return [{**{f"c{n}": v for n in range(40)}, "k": start + n} for n in range(10)]

    for start in (0, 100):
        write(place, rows(start, 0), mode="upsert", key="k")
    for _ in range(2):
        assert write(place, rows(3, 1)[:2], mode="upsert", key="k") == RowCounts(
            updated=2, files_rewritten=1
        )
        assert all("k" in file.bounds for file in place.lake.tables.files(entry_of(place)))


def test_a_column_left_out_of_an_upsert_keeps_its_values_in_any_partition(
    place: Workplace,
) -> None:
    pipeline = place.pipeline(
        "import headgate as hg\n"
        "@hg.step(mode='append', partition_by='day')\n"
        "def t() -> list[dict]:\n"
        "    return [{'k': n, 'day': f'2026-11-0{n}', 'v': n} for n in (1, 2, 3)]\n"
    )
    place.hall.run(pipeline, target="main")
    write(place, [{"k": 2, "v": 20}, {"k": 9, "v": 90}], mode="upsert", key="k")
    assert place.rows("t") == [
        {"k": 1, "day": "2026-11-01", "v": 1},
        {"k": 2, "day": "2026-11-02", "v": 20},
        {"k": 3, "day": "2026-11-03", "v": 3},
        {"k": 9, "day": None, "v": 90},
    ]


def test_an_upsert_after_a_deletion_by_another_key_is_done_to_what_is_left(
    place: Workplace,
) -> None:
    write(place, [{"k": 1, "c": "a", "v": 5}, {"k": 2, "c": "b", "v": 6}], mode="upsert", key="k")
    with place.hall.transaction("main") as transaction:
        transaction.write("t", [{"k": 1, "c": "x"}], mode="upsert", key="k")
        write(place, [{"c": "a"}], mode="delete", key="c")
    assert place.rows("t") == [{"k": 1, "c": "x", "v": None}, {"k": 2, "c": "b", "v": 6}]
    [step] = place.lake.commit(place.head()).record.steps
    assert step.writes[0].rows == RowCounts(inserted=1)


def test_a_table_that_is_only_appended_to_learns_its_key_from_an_upsert(place: Workplace) -> None:
    write(place, [{"k": 1}])
    write(place, [{"k": 1}], mode="upsert", key="k")
    body = entry_of(place).table
    assert body is not None
    assert body.key_columns == ("k",)
    operations = place.lake.commit(place.head()).record.steps[0].writes[0].operations
    assert not any(isinstance(each, Append) for each in operations)


CHOOSING = """
from collections.abc import Iterator
import headgate as hg

class C(hg.Contract, rules=(hg.unique("k", {rule}),)):
    k: int
    v: int
    at: int

@hg.step(mode="upsert", key="k", contract=C)
def t() -> Iterator[dict]:
    yield from {rows}
"""


@pytest.mark.parametrize(
    ("rule", "winners", "aside"),
    [
        ("keep='last', order_by='at'", {1: 12, 2: 20}, 1),
        ("keep='first', order_by='at'", {1: 11, 2: 20}, 1),
        ("severity='quarantine'", {1: 0, 2: 20}, 2),
    ],
)
def test_a_declared_rule_says_which_of_an_upserts_rows_wins(
    place: Workplace, rule: str, winners: dict[int, int], aside: int
) -> None:
    first = [{"k": 1, "v": 0, "at": 9}]
    place.hall.run(place.pipeline(CHOOSING.format(rule=rule, rows=first)), target="main")
    rows = [(1, 11, 1), (2, 20, 1), (1, 12, 2)]
    given = [{"k": k, "v": v, "at": at} for k, v, at in rows]
    place.hall.run(place.pipeline(CHOOSING.format(rule=rule, rows=given)), target="main")
    assert {row["k"]: row["v"] for row in place.rows("t")} == winners
    assert len(place.rows("_quarantine.t")) == aside


READING = """
import headgate as hg

t = hg.files("in/*.csv", mode="upsert", key="k")
gone = hg.files("gone/*.csv", table="t", mode="delete", key="k")
"""


def test_what_a_source_wrote_is_not_written_again_over_what_was_deleted_since(
    place: Workplace,
) -> None:
    for name, text in (("in/1.csv", "k,v\n1,1\n2,2\n3,3\n"), ("gone/1.csv", "k\n2\n")):
        (place.root / name).parent.mkdir()
        (place.root / name).write_text(text)
    place.hall.run(place.pipeline(READING), target="main")
    assert [row["k"] for row in place.rows("t")] == [1, 3]
    head = place.head()
    run = place.hall.run(place.pipeline(READING), target="main")
    assert (run.state, place.head()) == (RunState.NOTHING, head)
    write(place, [{"k": 3}], mode="delete", key="k")
    place.hall.run(place.pipeline(READING), target="main")
    assert [row["k"] for row in place.rows("t")] == [1]
    (place.root / "in/2.csv").write_text("k,v\n2,22\n")
    place.hall.run(place.pipeline(READING), target="main")
    assert [row["k"] for row in place.rows("t")] == [1, 2]
