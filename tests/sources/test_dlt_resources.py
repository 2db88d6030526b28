"""Resources of the real dlt: every record, its state in the commit, its hints as the step's."""

import datetime as dt
import json
from decimal import Decimal

import pyarrow as pa
import pytest

dlt = pytest.importorskip("dlt")

from headgate.errors import HeadgateError, Invalid, Refused  # noqa: E402
from headgate.pipelines import dlt as declare  # noqa: E402
from headgate.project import open_project  # noqa: E402
from headgate.secrets import Secret  # noqa: E402
from headgate.sources import Setting  # noqa: E402
from headgate.sources.dlt_resource import DltSource  # noqa: E402
from headgate.testing.source_suite import Situation, SourceSuite  # noqa: E402


def numbers(rows):
    """Make a resource over a list that reads on by ``id``."""

    @dlt.resource(name="numbers", primary_key="id", write_disposition="merge")
    def numbers(last=dlt.sources.incremental("id", initial_value=0)):  # noqa: B008 - dlt's way
        yield [row for row in rows if row["id"] > last.last_value]

    return numbers


def source(resource, tmp_path, *, appends=False, **options):
    setting = Setting(
        root=tmp_path,
        cache=tmp_path,
        appends=appends,
        reveal=lambda value: "canary" if isinstance(value, Secret) else value,
    )
    return DltSource({"read": lambda _: resource, "title": "numbers()", **options}, setting)


def records(batches):
    return [json.loads(text) for batch in batches for text in batch.rows["_hg_record"].to_pylist()]


class TestDlt(SourceSuite):
    @pytest.fixture(autouse=True)
    def small_batches(self, monkeypatch):
        monkeypatch.setattr("headgate.sources.dlt_resource.BATCH_ROWS", 2)

    def situation(self, directory):
        rows = [{"id": n, "name": f"n{n}"} for n in range(1, 6)]

        def grow(**more):
            added = [
                {"id": n, "name": f"n{n}", **more} for n in range(len(rows) + 1, len(rows) + 4)
            ]
            rows.extend(added)
            return added

        return Situation(
            open=lambda: source(numbers(rows), directory),
            rows=list(rows),
            grow=grow,
            widen=lambda: grow(more=1),
            empty=lambda: source(numbers([]), directory),
        )


def test_only_the_last_batch_has_the_new_state(tmp_path, monkeypatch):
    monkeypatch.setattr("headgate.sources.dlt_resource.BATCH_ROWS", 2)
    made = source(numbers([{"id": n} for n in range(1, 6)]), tmp_path)
    batches = list(made.read(None))
    assert [batch.cursor is None for batch in batches] == [True, True, False]


def test_rows_at_the_boundary_are_told_apart_by_dlt_as_it_does(tmp_path):
    rows = [{"id": 1, "at": 5}, {"id": 2, "at": 5}]

    @dlt.resource(primary_key="id")
    def orders(last=dlt.sources.incremental("at")):  # noqa: B008
        yield rows

    (batch,) = source(orders, tmp_path).read(None)
    rows.append({"id": 3, "at": 5})
    assert records(source(orders, tmp_path).read(batch.cursor)) == [{"id": 3, "at": 5}]


def test_a_resources_own_state_is_kept_with_the_types_that_dlt_knows(tmp_path):
    seen = []

    @dlt.resource
    def pages():
        state = dlt.current.resource_state()
        seen.append(state.get("next"))
        state["next"] = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
        state["price"] = Decimal("1.10")
        yield {"n": 1}

    (batch,) = source(pages, tmp_path).read(None)
    (again,) = source(pages, tmp_path).read(batch.cursor)
    assert seen == [None, dt.datetime(2026, 1, 2, tzinfo=dt.UTC)]
    assert again.cursor == batch.cursor


def test_a_state_that_changed_without_rows_is_kept(tmp_path):
    @dlt.resource
    def pages():
        dlt.current.resource_state()["calls"] = dlt.current.resource_state().get("calls", 0) + 1
        yield from ()

    (batch,) = source(pages, tmp_path).read(None)
    assert batch.rows.num_rows == 0
    (again,) = source(pages, tmp_path).read(batch.cursor)
    assert batch.cursor < again.cursor


def test_values_lose_nothing_on_their_way(tmp_path):
    row = {
        "decimal": Decimal("12345678901234567890.10"),
        "at": dt.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=dt.UTC),
        "day": dt.date(2026, 1, 2),
        "big": 2**70,
        "nan": float("nan"),
        "raw": b"\x00\xff",
        "set": {1},
        "nested": [{"a": (1, None)}],
    }

    @dlt.resource
    def odd():
        yield row

    ((text,),) = [
        batch.rows["_hg_record"].to_pylist() for batch in source(odd, tmp_path).read(None)
    ]
    assert '"decimal":12345678901234567890.10' in text
    assert json.loads(text) | {"decimal": 0} == {
        "decimal": 0,
        "at": "2026-01-02T03:04:05.678901+00:00",
        "day": "2026-01-02",
        "big": 2**70,
        "nan": "NaN",
        "raw": "AP8=",
        "set": [1],
        "nested": [{"a": [1, None]}],
    }


def test_tables_pass_as_they_are(tmp_path):
    @dlt.resource
    def arrow():
        yield pa.table({"n": [1, 2]})
        yield {"n": 3}

    first, second = source(arrow, tmp_path).read(None)
    assert first.rows.to_pylist() == [{"n": 1}, {"n": 2}]
    assert second.rows.column_names == ["_hg_record"]


def test_what_is_no_row_is_refused_without_being_shown(tmp_path):
    @dlt.resource
    def texts():
        yield "canary"

    @dlt.resource
    def strange():
        yield {"a": object()}

    for resource in (texts, strange):
        with pytest.raises(Invalid) as caught:
            list(source(resource, tmp_path).read(None))
        assert caught.value.code == "source-gave-no-rows"
        assert "canary" not in caught.value.message


def test_rows_without_a_state_are_not_appended_twice(tmp_path):
    @dlt.resource
    def plain():
        yield {"n": 1}

    with pytest.raises(Invalid) as caught:
        list(source(plain, tmp_path, appends=True).read(None))
    assert caught.value.code == "cursor-missing"
    assert len(records(source(plain, tmp_path).read(None))) == 1


def test_arguments_are_revealed_when_it_is_read(tmp_path):
    seen = []

    @dlt.resource
    def asking(token, pages=1):
        seen.append((token, pages))
        yield {"n": 1}

    @dlt.source
    def shop(token):
        @dlt.resource
        def orders():
            seen.append(token)
            yield {"n": 1}

        return orders

    arguments = {"token": Secret("token")}
    list(source(asking, tmp_path, arguments={**arguments, "pages": 3}).read(None))
    list(source(shop, tmp_path, arguments=arguments).read(None))
    assert seen == [("canary", 3), "canary"]


def test_an_error_of_the_resource_is_raised_and_nothing_is_said_to_be_covered(tmp_path):
    @dlt.resource
    def failing(last=dlt.sources.incremental("id", initial_value=0)):  # noqa: B008
        yield {"id": 5}
        raise ValueError("the API is away")

    given = []
    with pytest.raises(Exception, match="the API is away"):
        given.extend(source(failing, tmp_path).read(None))
    assert given == []


# -- declaring


def declared(resource, **options):
    return declare(resource, **options)


def test_hints_are_the_steps_settings():
    @dlt.resource(
        primary_key=("id", "line"),
        write_disposition="merge",
        columns={
            "id": {"data_type": "bigint", "nullable": False},
            "price": {"data_type": "decimal", "precision": 9, "scale": 2},
            "at": {"data_type": "timestamp"},
            "extra": {"data_type": "json"},
        },
    )
    def lines():
        yield {}

    settings = declared(lines).settings
    assert (settings.mode, settings.key) == ("upsert", ("id", "line"))
    from headgate.contracts import contract_spec

    spec = contract_spec(settings.contract)
    assert {name: str(kind) for name, kind in spec.kinds.items()} == {
        "id": "long",
        "price": "decimal(9, 2)",
        "at": "timestamptz",
    }
    assert declared(lines, mode="replace", key=()).settings.mode == "replace"


def test_without_hints_rows_are_appended_and_their_columns_are_theirs():
    @dlt.resource
    def plain():
        yield {}

    settings = declared(plain).settings
    assert (settings.mode, settings.key, settings.contract) == ("append", (), None)


def test_of_a_source_a_resource_is_selected():
    @dlt.source
    def shop():
        return [
            dlt.resource([{"n": 1}], name="a"),
            dlt.resource([{"n": 2}], name="b", write_disposition="replace"),
        ]

    assert declared(shop(), select="b").settings.mode == "replace"
    for select in (None, "c"):
        with pytest.raises(Invalid, match="a, b"):
            declared(shop(), select=select)


@pytest.mark.parametrize(
    ("hints", "words"),
    [
        ({"table_name": lambda row: row["type"]}, "chooses tables"),
        ({"write_disposition": {"disposition": "merge", "strategy": "scd2"}}, "scd2"),
        ({"columns": {"gone": {"data_type": "bool", "hard_delete": True}}}, "column gone"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(hints, words):
    @dlt.resource(**hints)
    def orders():
        yield {}

    with pytest.raises(Refused, match=words) as caught:
        declared(orders)
    assert caught.value.code == "dlt-hint-unsupported"


def test_what_is_no_resource_is_refused():
    for thing in (4, [{"n": 1}], "orders"):
        with pytest.raises(Invalid):
            declared(thing)


# -- in a project

PIPELINE = """
from pathlib import Path
import dlt
import headgate as hg

@dlt.resource(primary_key="id", write_disposition="merge", columns={{
    "price": {{"data_type": "decimal", "precision": 9, "scale": 2}},
}})
def orders(token, last=dlt.sources.incremental("updated", initial_value=0)):
    import json
    for line in Path("{file}").read_text().splitlines():
        row = json.loads(line)
        if row.get("fail"):
            raise RuntimeError(f"401 for {{token}}")
        yield row

table = hg.dlt(orders, arguments={{"token": hg.secret("token")}})
"""


def test_a_resource_becomes_a_table_and_its_state_a_cursor_of_the_same_commit(tmp_path):
    file = tmp_path / "rows.jsonl"
    (tmp_path / "headgate.toml").write_text('[project]\nname = "shop"\npipelines = ["pipe.py"]\n')
    (tmp_path / "pipe.py").write_text(PIPELINE.format(file=file))
    file.write_text(
        '{"id": 1, "updated": 1, "price": "1.10", "at": "2026-01-01T00:00:00Z"}\n'
        '{"id": 2, "updated": 2, "price": "2.20", "tags": ["a"]}\n'
    )
    environment = {"HEADGATE_SECRET_TOKEN": "canary-1"}
    with open_project(tmp_path, environment=environment) as project:
        project.run()
        rows = project.table("table").to_arrow().sort_by("id").to_pylist()
        assert [(row["id"], row["price"]) for row in rows] == [
            (1, Decimal("1.10")),
            (2, Decimal("2.20")),
        ]
        assert rows[0]["at"] == dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        assert project.run().state.value == "nothing-to-do"
        with file.open("a") as lines:
            lines.write('{"id": 1, "updated": 3, "price": "9.90"}\n')
        run = project.run()
        (step,) = run.commit.record.steps
        assert step.rows_out == 1
        rows = project.table("table").to_arrow().sort_by("id").to_pylist()
        assert [row["price"] for row in rows] == [Decimal("9.90"), Decimal("2.20")]
        with file.open("a") as lines:
            lines.write('{"fail": 1}\n')
        with pytest.raises(HeadgateError) as caught:
            project.run()
        assert "401 for secret('token')" in caught.value.message
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.name for path in kept if b"canary-1" in path.read_bytes()] == []
