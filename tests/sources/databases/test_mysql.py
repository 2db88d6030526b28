"""MariaDB's types and ways, against PyMySQL's own reading."""

from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from headgate.errors import HeadgateError

CARRIED = {
    "tinyint(1)": (["-128", "127"], pa.int32()),
    "tinyint unsigned": (["255"], pa.int32()),
    "smallint": (["-32768"], pa.int32()),
    "mediumint": (["8388607"], pa.int32()),
    "int": (["-2147483648"], pa.int32()),
    "int unsigned": (["4294967295"], pa.int64()),
    "int(8) zerofill": (["5"], pa.int64()),
    "bigint": (["-9223372036854775808"], pa.int64()),
    "decimal(10, 2)": (["-12345678.90"], pa.decimal128(10, 2)),
    "decimal(5, 2) zerofill": (["1.5"], pa.decimal128(5, 2)),
    "decimal(38, 38)": (["0.00000000000000000000000000000000000001"], pa.decimal128(38, 38)),
    "double": (["0.1", "-1.7976931348623157e308", "5e-324"], pa.float64()),
    "date": (["'0001-01-01'", "'9999-12-31'"], pa.date32()),
    "datetime(6)": (["'2026-01-01 10:00:00.123456'"], pa.timestamp("us")),
    "char(3)": (["'a '"], pa.string()),
    "varchar(9) character set latin1": (["'é'"], pa.string()),
    "longtext": ([r"'a\\b\n😀'"], pa.string()),
    "enum('x', 'y')": (["'x'"], pa.string()),
    "json": (["'{\"a\": 1.10}'"], pa.string()),
    "uuid": (["'6F9619FF-8B86-D011-B42D-00CF4FC964FF'"], pa.string()),
    "inet6": (["'::1'"], pa.string()),
    "binary(3)": (["x'01'"], pa.binary()),
    "longblob": (["x'ff00'"], pa.binary()),
    "year": (["2026"], pa.int32()),
}

TEXT = {
    "set('a', 'b')": ("'b,a'", "a,b"),
    "time(3)": ("'-838:59:59.5'", "-838:59:59.500"),
    "decimal(65, 30)": ("1.5", "1.500000000000000000000000000000"),
}


@pytest.fixture
def column(maria, opened):
    """Make a table of one column; give how it is read."""

    def column(kind, values, **options):
        maria.execute(f"create table awkward (c {kind} null, n int primary key auto_increment)")
        for value in [*values, "null"]:
            maria.execute(f"insert into awkward (c) values ({value})")
        [batch] = opened(maria.url(), "awkward", columns="c", **options).read(None)
        return batch.rows.column("c")

    return column


@pytest.mark.parametrize("kind", CARRIED)
def test_a_value_is_carried_as_pymysql_reads_it(maria, column, kind):
    values, type_ = CARRIED[kind]
    found = column(kind, values)
    assert found.type == type_
    assert found.to_pylist() == [
        row[0] for row in maria.execute("select c from awkward order by n")
    ]


@pytest.mark.parametrize("kind", TEXT)
def test_what_has_no_type_of_its_own_is_text(column, kind):
    value, expected = TEXT[kind]
    found = column(kind, [value])
    assert found.type == pa.string()
    assert found.to_pylist() == [expected, None]


def test_unsigned_numbers_of_64_bits_are_decimals(column):
    greatest = 2**64 - 1
    found = column("bigint unsigned", [str(greatest)])
    assert found.to_pylist() == [Decimal(greatest), None]


@pytest.mark.parametrize(("bits", "value"), [(1, 1), (63, 2**63 - 1), (64, 2**64 - 1)])
def test_bits_are_numbers(column, bits, value):
    assert column(f"bit({bits})", [str(value)]).to_pylist()[0] == value


def test_floats_keep_every_digit(column):
    found = column("float", ["1.1", "16777217", "3.4e38"])
    assert found.type == pa.float32()
    assert found.to_pylist()[:3] == np.array([1.1, 16777217, 3.4e38], "f4").tolist()


def test_a_timestamp_is_an_instant_whatever_the_zone_of_the_server(maria, opened):
    maria.execute("create table seen (c timestamp(3) null)")
    with closing(maria.server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("set time_zone = '+05:30'")
        cursor.execute("insert into seen values ('2026-01-01 10:00:00.5')")
        connection.commit()
    [batch] = opened(maria.url(), "seen").read(None)
    [found] = batch.rows.column("c").to_pylist()
    assert found == datetime(2026, 1, 1, 4, 30, 0, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "value"),
    [("date", "'0000-00-00'"), ("date", "'2026-00-10'"), ("datetime", "0"), ("timestamp", "0")],
)
def test_dates_of_no_calendar_are_refused_or_null(maria, opened, column, kind, value):
    with pytest.raises(HeadgateError) as caught:
        column(kind, [value])
    assert caught.value.code == "database-value-unsupported"
    assert "zero_dates" in caught.value.hint
    [batch] = opened(maria.url(), "awkward", columns="c", zero_dates="null").read(None)
    assert batch.rows.column("c").to_pylist() == [None, None]


def test_shapes_are_refused_by_name_and_may_be_left_out(maria, opened):
    maria.execute(
        "create table places (id int, at point)", "insert into places values (1, point(1, 2))"
    )
    with pytest.raises(HeadgateError) as caught:
        list(opened(maria.url(), "places").read(None))
    assert caught.value.code == "database-type-unsupported"
    assert caught.value.facts["column"] == "at"
    query = "select id, st_astext(at) as at from places"
    [batch] = opened(maria.url(), query=query).read(None)
    assert batch.rows.to_pylist() == [{"id": 1, "at": "POINT(1 2)"}]


@pytest.mark.parametrize(
    ("kind", "early", "late"),
    [
        ("bigint unsigned", "9223372036854775808", "18446744073709551615"),
        ("decimal(30, 5)", "-1.5", "1.50001"),
        ("date", "'2026-01-01'", "'2026-01-02'"),
        ("datetime(6)", "'2026-01-01 10:00:00'", "'2026-01-01 10:00:00.000001'"),
        ("decimal(38, 2)", f"{'9' * 35}0.12", f"{'9' * 35}0.13"),
        ("timestamp(6)", "'2026-01-01 10:00:00'", "'2026-01-01 10:00:00.000001'"),
        ("varchar(20)", "'a'", "'a '"),
        ("varchar(20)", "'É'", "'é'"),
        ("varchar(20)", "'a''b'", r"'a\\b'"),
        (
            "uuid",
            "'0f9619ff-8b86-d011-b42d-00cf4fc964ff'",
            "'6f9619ff-8b86-d011-b42d-00cf4fc964f0'",
        ),
    ],
)
def test_any_ordered_type_can_be_followed(maria, opened, kind, early, late):
    maria.execute(
        f"create table grows (c {kind} not null, n int)", f"insert into grows values ({early}, 1)"
    )
    source = opened(maria.url(), "grows", cursor="c", appends=True)
    cursor = list(source.read(None))[-1].cursor
    assert list(source.read(cursor)) == []
    maria.execute(f"insert into grows values ({late}, 2), ({early}, 3)")
    found = [row["n"] for batch in source.read(cursor) for row in batch.rows.to_pylist()]
    assert sorted(found) == [2, 3]


def test_a_zero_date_is_no_cursor_value(maria, opened):
    maria.execute("create table grows (c date)", "insert into grows values ('0000-00-00')")
    with pytest.raises(HeadgateError) as caught:
        list(opened(maria.url(), "grows", cursor="c", appends=True, zero_dates="null").read(None))
    assert caught.value.code == "database-value-unsupported"


def test_one_state_is_read_while_others_write(maria, opened):
    maria.execute("create table many as select seq as n, repeat('x', 100) as x from seq_1_to_20000")
    batches = opened(maria.url(), "many", batch_rows=50).read(None)
    read = next(batches).rows.num_rows
    maria.execute("update many set x = 'later'")
    for batch in batches:
        assert {*batch.rows.column("x").to_pylist()} == {"x" * 100}
        read += batch.rows.num_rows
    assert read == 20_000


def test_a_reader_that_stops_early_does_not_read_the_rest(maria, opened):
    maria.execute(
        "create table many as select seq as n, repeat('x', 500) as x from seq_1_to_100000"
    )
    batches = opened(maria.url(), "many", batch_rows=10).read(None)
    next(batches)
    batches.close()
    asked = "select count(*) from information_schema.processlist where info like 'select `n`%'"
    with closing(maria.server.connect()) as connection, connection.cursor() as cursor:
        for _ in range(2_000):  # until the server has noticed
            cursor.execute(asked)
            if cursor.fetchone() == (0,):
                return
    pytest.fail("the server is still sending rows")
