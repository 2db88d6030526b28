"""Deliveries follow the history: after each one the destination has what the commit has."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.clock import ManualClock
from headgate.errors import HeadgateError, Invalid, NotFound, Refused, Unavailable
from headgate.lake import restore
from headgate.names import RandomIds
from headgate.project import Project, open_project
from headgate.runs import Delivered

SINK = 'out = hg.sink("sqlite", path="out.db", tables=["a", "b"], key={"a": "id"})'
T0 = datetime(2026, 1, 1, tzinfo=UTC)

Opened = Callable[..., Project]


def project_in(root: Path, sinks: str = SINK, *, clock: ManualClock | None = None) -> Project:
    root.mkdir(exist_ok=True)
    (root / "headgate.toml").write_text('[project]\nname = "demo"\npipelines = ["sinks.py"]\n')
    (root / "sinks.py").write_text(f"import headgate as hg\n{sinks}\n")
    return open_project(root, environment={}, clock=clock or ManualClock(T0))


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    projects = []

    def opened(sinks: str = SINK, **options) -> Project:
        for each in projects:
            each.close()
        projects.append(project_in(tmp_path, sinks, **options))
        return projects[-1]

    yield opened
    for each in projects:
        each.close()


def write(project: Project, table: str, *rows, **options) -> None:
    with project.transaction() as tx:
        tx.write(table, pa.Table.from_pylist([dict(row) for row in rows]), **options)


def there(root: Path, table: str, file: str = "out.db") -> list[dict[str, object]] | None:
    with closing(sqlite3.connect(root / file)) as connection:
        connection.row_factory = sqlite3.Row
        try:
            rows = connection.execute(f'select * from "{table}" order by 1').fetchall()
        except sqlite3.OperationalError:
            return None
    return [dict(row) for row in rows]


def sent(delivered: tuple[Delivered, ...]) -> list[dict[str, int]]:
    return [dict(each.rows) for each in delivered]


# -- each commit once, in order


def test_commits_that_are_behind_come_one_by_one_in_order(opened, tmp_path) -> None:
    project = opened()
    write(project, "a", {"id": 0, "v": "x"})
    assert sent(project.deliver()) == [{"a": 1}]
    for n in range(1, 11):
        write(project, "a", {"id": n, "v": f"{n}"}, {"id": 0, "v": f"{n}"}, mode="upsert", key="id")
    (state,) = project.sinks()
    assert (state.behind, state.error) == (10, None)
    seen = []
    delivered = project.deliver(done=lambda each: seen.append((each.number, there(tmp_path, "a"))))
    assert [each.number for each in delivered] == list(range(2, 12))
    for number, rows in seen:
        assert rows[0] == {"id": 0, "v": f"{number - 1}"}
        assert len(rows) == number
    assert project.deliver() == ()
    assert project.sinks()[0].behind == 0


def test_the_first_delivery_is_the_head_whole(opened, tmp_path) -> None:
    project = opened()
    for n in range(3):
        write(project, "b", {"n": n})
    assert sent(project.deliver()) == [{"b": 3}]
    assert there(tmp_path, "b") == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_nothing_is_delivered_while_none_of_the_tables_is_there(opened) -> None:
    project = opened()
    write(project, "other", {"n": 1})
    assert project.deliver() == ()
    assert project.sinks()[0].has is None


def test_commits_that_change_none_of_the_tables_only_move_the_position(opened, tmp_path) -> None:
    project = opened()
    write(project, "b", {"n": 1})
    project.deliver()
    for n in range(3):
        write(project, "other", {"n": n})
    write(project, "b", {"n": 2})
    write(project, "other", {"n": 9})
    assert project.sinks()[0].behind == 1
    assert sent(project.deliver()) == [{"b": 1}, {}]
    assert project.sinks()[0].has.number == 6


def test_appends_bring_their_own_rows_and_nothing_else(opened, tmp_path) -> None:
    project = opened()
    write(project, "b", *({"n": n} for n in range(100)))
    project.deliver()
    write(project, "b", {"n": 100})
    assert sent(project.deliver()) == [{"b": 1}]
    assert len(there(tmp_path, "b")) == 101


def test_compaction_delivers_nothing(opened, tmp_path) -> None:
    project = opened()
    write(project, "a", {"id": 1, "v": "x"})
    write(project, "a", {"id": 2, "v": "y"})
    project.deliver()
    project.compact("a")
    write(project, "a", {"id": 3, "v": "z"})
    assert sent(project.deliver()) == [{"a": 1}]


def test_of_a_table_that_is_replaced_only_rows_that_differ_are_sent(opened, tmp_path) -> None:
    project = opened()
    rows = [{"id": n, "v": f"{n}"} for n in range(50)]
    write(project, "a", *rows, mode="replace")
    project.deliver()
    rows[7]["v"] = "seven"
    write(project, "a", *rows[1:], {"id": 50, "v": None}, mode="replace")
    assert sent(project.deliver()) == [{"a": 3}]
    assert there(tmp_path, "a") == [*rows[1:], {"id": 50, "v": None}]


def test_a_revert_takes_its_rows_away_again(opened, tmp_path) -> None:
    project = opened()
    write(project, "a", {"id": 1, "v": "x"})
    write(project, "b", {"n": 1})
    project.deliver()
    write(project, "a", {"id": 1, "v": "worse"}, {"id": 2, "v": "y"}, mode="upsert", key="id")
    write(project, "b", {"n": 2})
    project.deliver()
    assert len(there(tmp_path, "a")) == len(there(tmp_path, "b")) == 2
    for each in [project.lake.resolve(ref).id for ref in ("main", "main~1")]:
        project.revert(each)
        assert len(project.deliver()) == 1
    assert there(tmp_path, "a") == [{"id": 1, "v": "x"}]
    assert there(tmp_path, "b") == [{"n": 1}]


def test_a_table_added_to_a_sink_later_comes_whole(opened, tmp_path) -> None:
    project = opened('out = hg.sink("sqlite", path="out.db", tables="b")')
    write(project, "b", {"n": 1})
    write(project, "a", {"id": 1, "v": "x"})
    project.deliver()
    assert there(tmp_path, "a") is None
    project = opened()
    assert sent(project.deliver()) == [{"a": 1}]
    assert there(tmp_path, "a") == [{"id": 1, "v": "x"}]
    assert there(tmp_path, "b") == [{"n": 1}]
    assert project.deliver() == ()


def test_a_table_that_is_called_otherwise_comes_whole_there(opened, tmp_path) -> None:
    project = opened()
    write(project, "b", {"n": 1})
    project.deliver()
    project = opened('out = hg.sink("sqlite", path="out.db", tables={"b": "second"})')
    project.deliver()
    assert there(tmp_path, "second") == there(tmp_path, "b") == [{"n": 1}]


def test_a_table_is_not_merged_into_what_another_has_filled(opened, tmp_path) -> None:
    project = opened('out = hg.sink("sqlite", path="out.db", tables={"a": "x"}, key="id")')
    write(project, "a", {"id": 1, "v": "a"})
    write(project, "c", {"id": 2, "v": "c"})
    project.deliver()
    swapped = 'out = hg.sink("sqlite", path="out.db", tables={"c": "x", "a": "y"}, key="id")'
    project = opened(swapped)
    with pytest.raises(Refused) as caught:
        project.deliver()
    assert caught.value.code == "sink-table-of-another"
    assert there(tmp_path, "x") == [{"id": 1, "v": "a"}]
    with closing(sqlite3.connect(tmp_path / "out.db")) as connection:
        connection.execute("drop table x")
    project.reset_sink("out")
    project.deliver()
    assert there(tmp_path, "x") == [{"id": 2, "v": "c"}]
    assert there(tmp_path, "y") == [{"id": 1, "v": "a"}]


# -- what a sink does not take


def test_a_sink_that_only_inserts_stops_where_rows_were_changed(opened, tmp_path) -> None:
    project = opened('log = hg.sink("sqlite", path="out.db", tables="a", mode="insert")')
    write(project, "a", {"id": 1, "v": "x"})
    write(project, "a", {"id": 2, "v": "y"})
    project.deliver()
    write(project, "a", {"id": 2, "v": "z"}, mode="upsert", key="id")
    with pytest.raises(Refused) as caught:
        project.deliver()
    assert caught.value.code == "sink-only-inserts"
    assert caught.value.facts["commit"] == project.lake.resolve("main").id
    assert len(there(tmp_path, "a")) == 2


@pytest.mark.parametrize(
    ("sinks", "code"),
    [
        ('out = hg.sink("sqlite", path="o", tables="a", mode="upsert")', "sink-key-missing"),
        ('out = hg.sink("sqlite", path="o", tables="a", key="nope")', "sink-key-unknown"),
        ('out = hg.sink("sqlite", path="o", tables="a", key="twice")', "sink-key-doubled"),
        ('out = hg.sink("sqlite", path="o", tables="a", key="some")', "sink-key-null"),
        ('out = hg.sink("sqlite", tables="a")', "bad-option"),
        ('out = hg.sink("sqlite", path="o", pth="o", tables="a")', "bad-option"),
        ('out = hg.sink("nosuch", tables="a")', "unknown-plugin"),
        ('out = hg.sink("sqlite", path="o", tables="a", branch="nope")', "unknown-branch"),
        ('out = hg.sink("sqlite", path="o", tables="a", branch="dev")', "sink-branch-open"),
    ],
)
def test_what_is_wrong_with_a_sink_is_said(opened, sinks: str, code: str) -> None:
    project = opened(sinks)
    write(project, "a", {"id": 1, "twice": 1, "some": 1}, {"id": 2, "twice": 1, "some": None})
    project.lake.create_branch("dev", "main")
    with pytest.raises(HeadgateError) as caught:
        project.deliver()
    assert caught.value.code == code
    (state,) = project.sinks()
    assert state.has is None
    if code not in {"sink-branch-open", "sink-key-doubled", "sink-key-null"}:
        assert state.behind == 1 or state.error is not None


def test_a_log_goes_on_after_an_erasure_without_what_was_erased(opened, tmp_path) -> None:
    project = opened('log = hg.sink("sqlite", path="out.db", tables="a", mode="insert")')
    write(project, "a", {"id": 1, "v": "x"}, {"id": 2, "v": "y"})
    project.deliver()
    write(project, "a", {"id": 3, "v": "private"}, {"id": 4, "v": "z"})
    project.erase("a", "id in (1, 3)", reason="asked for")
    assert sent(project.deliver()) == [{"a": 1}, {}]
    assert there(tmp_path, "a") == [{"id": 1, "v": "x"}, {"id": 2, "v": "y"}, {"id": 4, "v": "z"}]


def test_a_column_that_left_stops_the_sink_or_is_followed(opened, tmp_path) -> None:
    project = opened()
    write(project, "a", {"id": 1, "v": "x"}, mode="replace")
    project.deliver()
    write(project, "a", {"id": 1, "w": "x", "v": 7}, mode="replace")
    with pytest.raises(Refused) as caught:
        project.deliver()
    assert caught.value.code == "sink-column-gone"
    assert caught.value.facts["columns"] == ["v"]
    assert there(tmp_path, "a") == [{"id": 1, "v": "x"}]
    project = opened(SINK.replace('tables=["a"', 'changes="follow", tables=["a"'))
    project.deliver()
    assert there(tmp_path, "a") == [{"id": 1, "w": "x", "v": 7}]


def test_a_dropped_table_stops_the_sink_or_is_dropped(opened, tmp_path) -> None:
    project = opened()
    write(project, "a", {"id": 1, "v": "x"})
    project.deliver()
    with project.transaction() as tx:
        tx.drop("a")
    with pytest.raises(Refused) as caught:
        project.deliver()
    assert caught.value.code == "sink-table-gone"
    project = opened(SINK.replace('tables=["a"', 'changes="follow", tables=["a"'))
    assert sent(project.deliver()) == [{"a": 0}]
    assert there(tmp_path, "a") is None
    write(project, "a", {"id": 5})
    project.deliver()
    assert there(tmp_path, "a") == [{"id": 5}]


def test_a_column_that_is_added_is_added_and_filled_where_it_has_values(opened, tmp_path) -> None:
    project = opened()
    write(project, "a", {"id": 1, "v": "x"}, {"id": 2, "v": "y"}, mode="replace")
    write(project, "b", {"n": 1})
    project.deliver()
    write(project, "a", {"id": 1, "v": "x", "w": 5}, {"id": 2, "v": "y", "w": None}, mode="replace")
    write(project, "b", {"n": 2, "m": 3})
    assert sent(project.deliver()) == [{"a": 1}, {"b": 1}]
    assert there(tmp_path, "a") == [{"id": 1, "v": "x", "w": 5}, {"id": 2, "v": "y", "w": None}]
    assert there(tmp_path, "b") == [{"n": 1, "m": None}, {"n": 2, "m": 3}]


@pytest.mark.parametrize("done", ["alter table a drop column v", "drop table a"])
def test_what_somebody_dropped_comes_back_whole_or_not_at_all(opened, tmp_path, done: str) -> None:
    project = opened()
    write(project, "a", {"id": 1, "v": "x"})
    project.deliver()
    with closing(sqlite3.connect(tmp_path / "out.db", isolation_level=None)) as connection:
        connection.execute(done)
    write(project, "a", {"id": 2, "v": "y"})
    with pytest.raises(Refused, match=r"a to a of SQLite out\.db") as caught:
        project.deliver()
    assert caught.value.code in {"sink-column-missing", "sink-table-missing"}
    assert len(there(tmp_path, "a") or ()) == ("alter" in done)
    project.reset_sink("out")
    project.deliver()
    assert there(tmp_path, "a") == [{"id": 1, "v": "x"}, {"id": 2, "v": "y"}]


def test_one_sink_that_fails_does_not_keep_the_others(opened, tmp_path) -> None:
    project = opened(
        'bad = hg.sink("sqlite", path="file/place.db", tables="b")\n'
        'good = hg.sink("sqlite", path="out.db", tables="b")\n'
    )
    (tmp_path / "file").write_text("no directory can be here")
    write(project, "b", {"n": 1})
    failures = {}
    project.deliver(failed=failures.__setitem__)
    assert {name: error.code for name, error in failures.items()} == {"bad": "sink-unreachable"}
    assert there(tmp_path, "b") == [{"n": 1}]
    with pytest.raises(Unavailable):
        project.deliver()
    with pytest.raises(NotFound):
        project.deliver("nobody")


# -- outages, and what is kept meanwhile


def test_a_sink_that_was_away_longer_than_history_is_kept_catches_up(opened, tmp_path) -> None:
    clock = ManualClock(T0)
    project = opened(clock=clock)
    write(project, "a", {"id": 0, "v": "x"})
    write(project, "b", {"n": 0})
    project.deliver()
    (tmp_path / "out.db").rename(tmp_path / "away.db")
    (tmp_path / "out.db").mkdir()  # nobody can open it
    for n in range(1, 6):
        write(project, "a", {"id": 0, "v": f"{n}"}, {"id": n, "v": ""}, mode="upsert", key="id")
        write(project, "b", {"n": n}, mode="replace" if n == 3 else "append")
        clock.move(timedelta(days=20))
    for _ in range(3):
        project.collect(grace=timedelta(days=1))
        clock.move(timedelta(days=2))
    (state,) = project.sinks()
    assert state.error.code == "sink-unreachable"
    assert (state.behind, state.has.number) == (10, 2)
    assert state.late > timedelta(days=100)
    (tmp_path / "out.db").rmdir()
    (tmp_path / "away.db").rename(tmp_path / "out.db")
    delivered = project.deliver()
    assert [each.number for each in delivered] == list(range(3, 13))
    assert there(tmp_path, "a") == [{"id": 0, "v": "5"}, *({"id": n, "v": ""} for n in range(1, 6))]
    assert there(tmp_path, "b") == [{"n": 3}, {"n": 4}, {"n": 5}]
    for _ in range(2):
        clock.move(timedelta(days=2))
        project.collect(grace=timedelta(days=1))
    assert project.plan_collection(grace=timedelta(days=1)).files == 0
    held = [pin for pin in project.plan_collection().pins if pin.kind == "sink"]
    assert [pin.commit for pin in held] == [project.lake.resolve("main").id]


def test_a_sink_that_is_dropped_lets_go_of_the_history(opened, tmp_path) -> None:
    clock = ManualClock(T0)
    project = opened(clock=clock)
    write(project, "b", {"n": 0})
    project.deliver()
    project = opened("", clock=clock)
    (state,) = project.sinks()
    assert (state.name, state.declared) == ("out", False)
    project.drop_sink("out")
    assert project.sinks() == ()
    with pytest.raises(NotFound):
        project.drop_sink("out")
    write(project, "b", {"n": 1})
    for _ in range(4):
        clock.move(timedelta(days=20))
        project.collect(grace=timedelta(days=1))
    project = opened(clock=clock)
    with pytest.raises(NotFound) as caught:
        project.deliver()
    assert caught.value.code == "sink-history-gone"
    project.reset_sink("out")
    project.deliver()
    assert there(tmp_path, "b") == [{"n": 0}, {"n": 1}]


# -- positions


def test_a_commit_nobody_knows_stops_the_sink_until_it_is_reset(opened, tmp_path) -> None:
    project = opened()
    write(project, "b", {"n": 1})
    project.deliver()
    with closing(sqlite3.connect(tmp_path / "out.db", isolation_level=None)) as connection:
        connection.execute("update headgate_deliveries set commit_id = 'f00'")
    write(project, "b", {"n": 2})
    with pytest.raises(Refused) as caught:
        project.deliver()
    assert caught.value.code == "sink-unknown-commit"
    assert "headgate sinks reset out" in str(caught.value)
    assert there(tmp_path, "b") == [{"n": 1}]
    project.reset_sink("out", to="main~1")
    assert sent(project.deliver()) == [{"b": 1}]
    assert there(tmp_path, "b") == [{"n": 1}, {"n": 2}]


def test_a_restored_lake_is_not_built_upon(opened, tmp_path) -> None:
    project = opened()
    write(project, "b", {"n": 1})
    backup = tmp_path / "backup"
    project.backup(backup)
    write(project, "b", {"n": 2})
    project.deliver()
    restore(backup, tmp_path / "restored", clock=project.clock, ids=RandomIds())
    with open_project(tmp_path, lake=tmp_path / "restored", environment={}) as restored:
        write(restored, "b", {"n": 3})
        with pytest.raises(Refused) as caught:
            restored.deliver()
        assert caught.value.code == "sink-unknown-commit"
        assert there(tmp_path, "b") == [{"n": 1}, {"n": 2}]
        restored.reset_sink("out")
        restored.deliver()
    assert there(tmp_path, "b") == [{"n": 1}, {"n": 3}]


def test_a_reset_sink_begins_anew_with_whole_tables(opened, tmp_path) -> None:
    project = opened()
    write(project, "b", {"n": 1})
    project.deliver()
    with closing(sqlite3.connect(tmp_path / "out.db", isolation_level=None)) as connection:
        connection.execute("insert into b values (7)")
    project.reset_sink("out")
    assert project.sinks()[0].has is None
    project.deliver()
    assert there(tmp_path, "b") == [{"n": 1}]


def test_two_projects_that_deliver_in_turn_go_on_from_each_other(opened, tmp_path) -> None:
    project = opened()
    write(project, "b", {"n": 1})
    project.deliver()
    with project_in(tmp_path) as other:
        write(project, "b", {"n": 2})
        assert sent(other.deliver()) == [{"b": 1}]
        assert project.deliver() == ()
    assert there(tmp_path, "b") == [{"n": 1}, {"n": 2}]


# -- any history

KEYS = st.integers(0, 4)
CHANGES = st.one_of(
    st.tuples(st.just("upsert"), st.dictionaries(KEYS, st.sampled_from("xyz"), min_size=1)),
    st.tuples(st.just("append"), st.integers(1, 3)),
    st.tuples(st.just("replace"), st.dictionaries(KEYS, st.sampled_from("xyz"), min_size=1)),
    st.tuples(st.just("delete"), KEYS),
    st.tuples(st.just("where"), st.sampled_from("xyz")),
    st.tuples(st.just("widen"), KEYS),
    st.tuples(st.just("revert"), st.just(0)),
    st.tuples(st.just("compact"), st.just(0)),
    st.tuples(st.just("deliver"), st.just(0)),
)


@settings(max_examples=12, deadline=None)
@given(history=st.lists(CHANGES, min_size=3, max_size=9))
def test_after_each_commit_the_destination_has_what_the_commit_has(  # noqa: C901 - a case each
    tmp_path_factory: pytest.TempPathFactory, history
) -> None:
    root = tmp_path_factory.mktemp("any")
    sinks = (
        'keyed = hg.sink("sqlite", path="keyed.db", tables="a", key="id", changes="follow")\n'
        'equal = hg.sink("sqlite", path="equal.db", tables="a", mode="replace", changes="follow")'
    )
    with project_in(root, sinks) as project:
        fresh = 100

        def same(each: Delivered) -> None:
            view = project.at(each.commit)
            rows = view.table("a").to_rows() if "a" in view.tables else None
            expected = None if rows is None else sorted(rows, key=lambda row: row["id"])
            assert there(root, "a", f"{each.sink}.db") == expected, (each, history)

        write(project, "a", {"id": 0, "v": "x"})
        for what, value in history:
            match what:
                case "deliver":
                    project.deliver(done=same)
                case "upsert" | "replace":
                    rows = [{"id": k, "v": v} for k, v in value.items()]
                    write(project, "a", *rows, mode=what, key="id")
                case "append":
                    write(project, "a", *({"id": fresh + n, "v": None} for n in range(value)))
                    fresh += value
                case "delete":
                    write(project, "a", {"id": value}, mode="delete", key="id")
                case "where":
                    with project.transaction() as tx:
                        tx.delete("a", f"v = '{value}'")
                case "widen":
                    row = {"id": value, "v": "w", f"c{value}": 1}
                    write(project, "a", row, mode="upsert", key="id")
                case "compact":
                    project.compact("a")
                case "revert":
                    head = project.lake.resolve("main")
                    if head.number > 1:
                        try:
                            project.revert("main")
                        except Invalid:
                            continue  # that was a compaction
        project.deliver(done=same)
        assert {state.behind for state in project.sinks()} == {0}
