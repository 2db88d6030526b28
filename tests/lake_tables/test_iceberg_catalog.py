"""A ref is an Iceberg catalog: it behaves as PyIceberg's own; protected branches only read."""

import pyarrow as pa
import pytest
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NamespaceNotEmptyError,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.sorting import NullOrder, SortDirection, SortField, SortOrder
from pyiceberg.transforms import BucketTransform, DayTransform, IdentityTransform
from pyiceberg.types import LongType, NestedField, StringType, TimestampType

from headgate.errors import Refused
from headgate.lake import IcebergCatalog, IcebergSession, RunRow, RunState, table_key

ROWS = pa.table({"id": [1, 2, 3], "name": ["a", "b", None]})
MORE = pa.table({"id": [4], "name": ["d"]})


@pytest.fixture
def dev(bench):
    bench.lake.create_branch("dev", "main")
    return IcebergCatalog(bench.lake, "dev")


@pytest.fixture
def theirs(tmp_path):
    memory = pytest.importorskip("pyiceberg.catalog.memory", exc_type=ImportError)
    catalog = memory.InMemoryCatalog("theirs", warehouse=str(tmp_path / "theirs"))
    yield catalog
    catalog.close()


def contents(catalog, name="raw.t"):
    return sorted(catalog.load_table(name).scan().to_arrow().to_pylist(), key=repr)


def test_reading_is_as_in_pyicebergs_own_catalogs(dev, theirs):
    for catalog in (dev, theirs):
        for namespace in ("raw", "raw.deep", "raw_"):
            catalog.create_namespace(namespace)
        for name in ("raw.t", "raw.u", "raw.deep.v", "raw_.w"):
            catalog.create_table(name, ROWS.schema).append(ROWS)

    def answers(catalog):
        return {
            "namespaces": sorted(catalog.list_namespaces()),
            "inner": sorted(catalog.list_namespaces("raw")),
            "none inside": catalog.list_namespaces("raw.deep"),
            "tables": sorted(catalog.list_tables("raw")),
            "deep": catalog.list_tables(("raw", "deep")),
            "exists": [
                catalog.table_exists(name) for name in ("raw.t", "raw.x", ("raw", "deep", "v"))
            ],
            "namespace exists": [
                catalog.namespace_exists(name) for name in ("raw", "ra", "raw.deep", "deep")
            ],
            "rows": contents(catalog),
            "name": catalog.load_table("raw.deep.v").name(),
            "schema": catalog.load_table("raw.t").schema().as_struct(),
        }

    assert answers(dev) == answers(theirs)


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (NoSuchTableError, lambda c: c.load_table("raw.x")),
        (NoSuchTableError, lambda c: c.load_table("nowhere.x")),
        (NoSuchTableError, lambda c: c.drop_table("raw.x")),
        (NoSuchTableError, lambda c: c.rename_table("raw.x", "raw.y")),
        (NoSuchNamespaceError, lambda c: c.list_tables("nowhere")),
        (NoSuchNamespaceError, lambda c: c.list_namespaces("nowhere")),
        (NoSuchNamespaceError, lambda c: c.load_namespace_properties("nowhere")),
        (NoSuchNamespaceError, lambda c: c.drop_namespace("nowhere")),
        (NamespaceAlreadyExistsError, lambda c: c.create_namespace("raw")),
        (NamespaceNotEmptyError, lambda c: c.drop_namespace("raw")),
        (TableAlreadyExistsError, lambda c: c.create_table("raw.t", ROWS.schema)),
        (TableAlreadyExistsError, lambda c: c.rename_table("raw.t", "raw.u")),
    ],
)
def test_errors_are_pyicebergs_own(dev, theirs, error, call):
    for catalog in (theirs, dev):
        catalog.create_namespace("raw")
        catalog.create_table("raw.t", ROWS.schema)
        catalog.create_table("raw.u", ROWS.schema)
        with pytest.raises(error):
            call(catalog)


def test_tables_without_a_namespace_are_listed_at_the_root(dev):
    dev.create_table("flights", ROWS.schema)
    assert dev.list_tables(()) == [("flights",)]
    assert dev.list_namespaces() == []
    assert dev.load_table("flights").name() == ("flights",)


def test_a_catalogs_reading_is_our_scans_reading(bench, dev):
    table = dev.create_table("raw.t", ROWS.schema)
    table.append(ROWS)
    table.append(MORE)
    entry = bench.lake.tree(bench.lake.resolve("dev")).get(table_key("raw.t"))
    ours = sorted(bench.by_duckdb(entry).to_pylist(), key=repr)
    assert contents(dev) == ours == sorted([*ROWS.to_pylist(), *MORE.to_pylist()], key=repr)


WRITES = {
    "create": lambda c: c.create_table("raw.x", ROWS.schema),
    "create namespace": lambda c: c.create_namespace("new"),
    "append": lambda c: c.load_table("raw.t").append(ROWS),
    "delete": lambda c: c.load_table("raw.t").delete("id = 1"),
    "drop": lambda c: c.drop_table("raw.t"),
    "rename": lambda c: c.rename_table("raw.t", "raw.x"),
}


@pytest.mark.parametrize("write", WRITES)
def test_a_protected_branch_reads_and_refuses_writes_naming_the_way(bench, dev, write):
    dev.create_table("raw.t", ROWS.schema).append(ROWS)
    bench.lake.protect("dev")
    head = bench.lake.resolve("dev").id
    with pytest.raises(Refused) as error:
        WRITES[write](dev)
    assert error.value.code == "protected-branch"
    assert "headgate branch create" in str(error.value.hint)
    assert 'project.transaction("dev")' in str(error.value.hint)
    assert bench.lake.resolve("dev").id == head
    assert len(contents(dev)) == 3


@pytest.mark.parametrize("write", WRITES)
def test_a_tag_and_a_commit_never_change(bench, dev, write):
    dev.create_table("raw.t", ROWS.schema).append(ROWS)
    bench.lake.create_tag("v1", "dev")
    dev.load_table("raw.t").append(MORE)
    for ref in ("v1", "dev~1"):
        fixed = IcebergCatalog(bench.lake, ref)
        with pytest.raises(Refused) as error:
            WRITES[write](fixed)
        assert error.value.code == "ref-fixed"
        assert len(contents(fixed)) == 3


@pytest.mark.parametrize("write", WRITES)
def test_the_branch_of_a_run_is_read_and_never_written(bench, dev, write):
    dev.create_table("raw.t", ROWS.schema).append(ROWS)
    head = bench.lake.resolve("dev")
    now = bench.lake.clock.now()
    bench.lake.metastore.begin_run(
        RunRow(
            id="0123456789ab",
            pipeline="p",
            target="main",
            branch="run/0123456789ab",
            state=RunState.RUNNING,
            fence=1,
            base=head.id,
            began=now,
            owner="test",
            lease_until=now,
        ),
        fork_from=head.id,
    )
    runs = IcebergCatalog(bench.lake, "run/0123456789ab")
    with pytest.raises(Refused) as error:
        WRITES[write](runs)
    assert error.value.code == "run-branch"
    assert len(contents(runs)) == 3


def test_foreign_writes_become_our_own_operations(bench, dev):
    table = dev.create_table("raw.t", ROWS.schema)
    table.append(ROWS)
    table.delete("id = 2")
    with table.update_schema() as schema:
        schema.add_column("extra", LongType())
        schema.rename_column("name", "label")
    table.overwrite(pa.table({"id": [9], "label": ["z"], "extra": [1]}))
    dev.rename_table("raw.t", "raw.u")
    dev.drop_table("raw.u")
    done = [
        [
            type(operation).__name__
            for write in commit.record.writes
            for operation in write.operations
        ]
        for commit in bench.lake.log(bench.lake.resolve("dev"))
    ]
    assert done == [
        ["Drop"],
        ["Rename"],
        ["Replace"],
        ["ChangeSchema"],
        ["Replace"],
        ["Append"],
        ["Create", "AddColumn", "AddColumn"],
        [],
    ]
    assert {c.record.kind for c in bench.lake.log(bench.lake.resolve("dev"))} == {
        "catalog",
        "genesis",
    }


def test_rows_and_columns_in_one_transaction(bench, dev):
    table = dev.create_table("raw.t", ROWS.schema)
    table.append(ROWS)
    with table.transaction() as transaction:
        with transaction.update_schema() as schema:
            schema.add_column("extra", LongType())
        transaction.append(pa.table({"id": [4], "name": ["d"], "extra": [40]}))
    assert [row["extra"] for row in contents(dev)] == [None, None, None, 40]


def test_a_column_id_that_another_branch_has_used_otherwise_is_refused(bench, dev):
    table = dev.create_table("raw.t", ROWS.schema)
    bench.lake.create_branch("other", "dev")
    with IcebergCatalog(bench.lake, "other").load_table("raw.t").update_schema() as schema:
        schema.add_column("theirs", StringType())
    transaction = table.transaction()
    with transaction.update_schema() as schema:
        schema.add_column("ours", LongType())
    transaction.append(pa.table({"id": [4], "name": ["d"], "ours": [40]}))
    with pytest.raises(CommitFailedException, match="taken on another branch"):
        transaction.commit_transaction()
    with table.update_schema() as schema:
        schema.add_column("ours", LongType())
    table.append(pa.table({"id": [4], "name": ["d"], "ours": [40]}))
    assert contents(dev) == [{"id": 4, "name": "d", "ours": 40}]


@pytest.mark.parametrize("kind", ["append", "overwrite"])
def test_a_commit_on_a_stale_table_fails_and_the_client_does_not_retry_by_itself(dev, kind):
    dev.create_table("raw.t", ROWS.schema).append(ROWS)
    table = dev.load_table("raw.t")
    transaction = table.transaction()
    getattr(transaction, kind)(MORE)
    dev.load_table("raw.t").append(MORE)
    with pytest.raises(CommitFailedException):
        transaction.commit_transaction()
    assert len(contents(dev)) == 4
    table.refresh().append(MORE)
    assert len(contents(dev)) == 5


def test_partitioned_tables_are_created_and_written(bench, dev):
    schema = Schema(
        NestedField(1, "id", LongType(), required=True), NestedField(2, "ts", TimestampType())
    )
    spec = PartitionSpec(
        PartitionField(2, 1000, DayTransform(), "ts_day"),
        PartitionField(1, 1001, IdentityTransform(), "id"),
    )
    table = dev.create_table("raw.t", schema, partition_spec=spec)
    assert [str(field.transform) for field in table.spec().fields] == ["day", "identity"]
    assert not table.schema().find_field("id").required
    by_id = PartitionSpec(PartitionField(1, 1000, IdentityTransform(), "id"))
    rows = pa.table({"id": [1, 2, None], "ts": pa.array([1, 2, 3], pa.timestamp("us"))})
    dev.create_table("raw.u", schema, partition_spec=by_id).append(rows)
    assert len(contents(dev, "raw.u")) == 3
    entry = bench.lake.tree(bench.lake.resolve("dev")).get(table_key("raw.u"))
    assert {file.partition["id"] for file in bench.tables.files(entry)} == {1, 2, None}
    buckets = PartitionSpec(PartitionField(1, 1000, BucketTransform(4), "b"))
    with pytest.raises(Refused) as error:
        dev.create_table("raw.v", schema, partition_spec=buckets)
    assert error.value.code == "catalog-change-unsupported"


def test_what_the_lake_would_lose_is_refused(dev):
    table = dev.create_table("raw.t", ROWS.schema)
    for change in (
        lambda: dev.create_table("raw.u", ROWS.schema, location="/elsewhere"),
        lambda: dev.create_table("raw.u", NUMBERED, sort_order=DESCENDING),
        lambda: dev.register_table("raw.u", table.metadata_location),
        lambda: table.update_spec().add_identity("id").commit(),
    ):
        with pytest.raises(Refused) as error:
            change()
        assert error.value.code == "catalog-change-unsupported"


def test_a_purged_table_stays_in_older_commits(bench, dev):
    dev.create_table("raw.t", ROWS.schema).append(ROWS)
    before = bench.lake.resolve("dev")
    dev.purge_table("raw.t")
    assert not dev.table_exists("raw.t")
    assert len(contents(IcebergCatalog(bench.lake, before.id))) == 3


# -- properties, sort orders, namespaces, created with their rows


def asked(catalog):
    """Do what clients do, and give all they can see of it."""
    catalog.create_namespace("raw", {"owner": "ann"})
    catalog.create_namespace("raw.deep")
    summary = catalog.update_namespace_properties("raw", {"owner", "nothing"}, {"tier": "gold"})
    table = catalog.create_table(
        "raw.t", NUMBERED, properties={"kind": "events", "n": 1}, sort_order=BY_ID
    )
    seen = [
        catalog.load_namespace_properties("raw"),
        (sorted(summary.removed), sorted(summary.updated), sorted(summary.missing)),
        {key: table.properties[key] for key in ("kind", "n")},
        [field.source_id for field in table.sort_order().fields],
    ]
    with table.transaction() as change:
        change.set_properties(kind="orders", more="yes")
        change.remove_properties("n")
        change.append(ROWS)
    again = catalog.load_table("raw.t")
    seen.append({key: again.properties.get(key) for key in ("kind", "n", "more")})
    again.upsert(pa.table({"id": [2, 9], "name": ["B", "i"]}), join_cols=["id"])
    catalog.load_table("raw.t").delete("id = 1")
    catalog.load_table("raw.t").overwrite(MORE, overwrite_filter="id = 3")
    seen.append(contents(catalog))
    with catalog.create_table_transaction("raw.u", ROWS.schema, properties={"a": "b"}) as new:
        new.append(ROWS)
        new.append(MORE)
        with new.update_schema() as schema:
            schema.add_column("late", StringType())
    made = catalog.load_table("raw.u")
    seen += [contents(catalog, "raw.u"), made.properties["a"], made.schema().column_names]
    made.append(pa.table({"id": [7], "name": ["g"], "late": ["x"]}))
    seen.append(contents(catalog, "raw.u"))
    catalog.rename_table("raw.u", "raw.deep.v")
    with pytest.raises(NamespaceNotEmptyError):
        catalog.drop_namespace("raw.deep")
    catalog.drop_table("raw.deep.v")
    catalog.drop_namespace("raw.deep")
    return [*seen, catalog.list_namespaces("raw"), catalog.list_tables("raw")]


NUMBERED = Schema(
    NestedField(1, "id", LongType(), required=False), NestedField(2, "name", StringType())
)
BY_ID = SortOrder(SortField(1, IdentityTransform(), SortDirection.ASC, NullOrder.NULLS_LAST))
DESCENDING = SortOrder(SortField(1, IdentityTransform(), SortDirection.DESC, NullOrder.NULLS_LAST))


def test_what_clients_do_has_the_outcome_of_pyicebergs_own_catalogs(dev, theirs):
    assert asked(dev) == asked(theirs)


def test_a_table_whose_name_is_taken_meanwhile_is_not_created(dev, theirs):
    for catalog in (dev, theirs):
        catalog.create_namespace("raw")
        begun = catalog.create_table_transaction("raw.t", ROWS.schema)
        begun.append(ROWS)
        catalog.create_table("raw.t", MORE.schema)
        with pytest.raises((TableAlreadyExistsError, CommitFailedException)):
            begun.commit_transaction()
        assert contents(catalog) == []


def test_a_transaction_that_is_not_committed_leaves_no_table(dev):
    dev.create_table_transaction("raw.t", ROWS.schema).append(ROWS)
    assert not dev.table_exists("raw.t")


def test_properties_are_no_content_and_do_not_end_in_the_lakes_own(bench, dev):
    dev.create_table("raw.t", ROWS.schema).append(ROWS)
    before = bench.lake.tree(bench.lake.resolve("dev")).get(table_key("raw.t"))
    change = dev.load_table("raw.t").transaction()
    change.set_properties({"a": "b", "gc.enabled": "true"}).commit_transaction()
    after = bench.lake.tree(bench.lake.resolve("dev")).get(table_key("raw.t"))
    assert after.content == before.content
    assert after.table.properties == {"a": "b"}
    assert dev.load_table("raw.t").properties["gc.enabled"] == "false"
    assert len(contents(dev)) == 3


def test_a_namespace_is_there_with_its_first_table(dev):
    dev.create_table("raw.deep.t", ROWS.schema)
    assert dev.list_namespaces() == [("raw",)]
    assert dev.list_namespaces("raw") == [("raw", "deep")]
    assert dev.load_namespace_properties("raw.deep") == {}
    dev.update_namespace_properties("raw.deep", updates={"a": "b"})
    assert dev.load_namespace_properties("raw.deep") == {"a": "b"}


# -- sessions


def test_a_session_reads_one_commit_and_its_own_writes(bench, dev):
    dev.create_table("raw.t", ROWS.schema).append(ROWS)
    dev.create_table("raw.u", ROWS.schema)
    session = IcebergSession(bench.lake, "dev")
    dev.load_table("raw.u").append(MORE)
    assert contents(session, "raw.u") == []
    assert len(contents(dev, "raw.u")) == 1


def test_a_session_commits_beside_what_others_did_to_what_it_never_loaded(bench, dev):
    dev.create_table("raw.t", ROWS.schema).append(ROWS)
    dev.create_table("raw.u", ROWS.schema)
    session = IcebergSession(bench.lake, "dev")
    table = session.load_table("raw.t")
    dev.load_table("raw.u").append(MORE)
    table.append(MORE)
    assert len(contents(session)) == len(contents(dev)) == 4
    assert len(contents(session, "raw.u")) == 1
    [step] = bench.lake.resolve("dev").record.steps
    assert [read.key for read in step.reads] == [table_key("raw.t")]
    assert [write.key for write in step.writes] == [table_key("raw.t")]


def test_a_session_fails_where_something_it_read_has_changed(bench, dev):
    dev.create_table("raw.t", ROWS.schema).append(ROWS)
    dev.create_table("raw.u", ROWS.schema)
    session = IcebergSession(bench.lake, "dev")
    assert len(contents(session, "raw.u")) == 0  # what it writes to raw.t may depend on that
    dev.load_table("raw.u").append(MORE)
    with pytest.raises(CommitFailedException, match=r"raw\.u has changed on dev"):
        session.load_table("raw.t").append(MORE)
    assert len(contents(dev)) == 3


def test_a_session_that_listed_tables_fails_where_one_came(bench, dev):
    dev.create_table("raw.t", ROWS.schema)
    session = IcebergSession(bench.lake, "dev")
    assert session.list_tables("raw") == [("raw", "t")]
    dev.create_table("raw.u", ROWS.schema)
    with pytest.raises(CommitFailedException, match="come or gone"):
        session.load_table("raw.t").append(MORE)
