"""Awkward types of PostgreSQL: each comes as psycopg reads it, or is refused by name."""

import math
from datetime import UTC, date, datetime
from decimal import Decimal

import psycopg
import pyarrow as pa
import pytest

from headgate.errors import HeadgateError
from headgate.sources.databases.postgresql_types import PgColumn, PgType

TYPES = """
create type mood as enum ('sad', 'ok', 'happy');
create domain positive as int check (value > 0);
create domain price as numeric(10, 3);
create domain moods as mood[];
create type place as (street text, number int);
create type span as range (subtype = float8);
"""

# What comes as a value of its own type: psycopg's value is ours.
CARRIED = {
    "bool": ["true", "false"],
    "int2": ["-32768", "32767"],
    "int4": ["-2147483648", "2147483647"],
    "int8": ["-9223372036854775808", "9223372036854775807"],
    "oid": ["0", "4294967295"],
    "float4": ["'NaN'", "'-Infinity'", "1.5", "-0.0", "1.1"],
    "float8": ["'NaN'", "'Infinity'", "0.1", "5e-324", "1.7976931348623157e308"],
    "numeric(12, 2)": ["1234567890.12", "-0.01", "0"],
    "numeric(18, 0)": ["999999999999999999", "-999999999999999999"],
    "numeric(18, 18)": ["0.999999999999999999", "-0.000000000000000001"],
    "numeric(38, 10)": ["1234567890123456789012345678.0123456789", "-0.0000000001"],
    "numeric(3, -2)": ["12300", "-99900"],
    "numeric(2, 4)": ["0.0012", "-0.0099"],
    "numeric": ["12345678901234567890.123456789", "-1", "0.000000001"],
    "price": ["1.234", "-1234567.890"],
    "positive": ["7"],
    "date": ["'0001-01-01'", "'9999-12-31'", "'2024-02-29'"],
    "timestamp": ["'0001-01-01 00:00:00'", "'9999-12-31 23:59:59.999999'"],
    "timestamptz": ["'2026-03-29 02:30:00+02'", "'9999-12-31 23:59:59.999999+00'"],
    "time": ["'00:00'", "'23:59:59.999999'"],
    "text": ["''", "E'tab\\t\\n\"quote\" \\\\ é 😀'"],
    "varchar(5)": ["'abc'"],
    "char(5)": ["'ab'", "''"],
    "name": ["'n'"],
    '"char"': ["'x'"],
    "bytea": ["'\\x00ff'", "''"],
    "int4[]": ["array[1, null, 3]", "'{}'"],
    "text[]": ["""'{a,NULL,"with, comma","NULL",""}'"""],
    "bool[]": ["'{t,f,NULL}'"],
    "float8[]": ["'{0.1,Infinity}'"],
    "bytea[]": ["array['\\x00'::bytea, null]"],
}

# What comes as PostgreSQL's own text.
TEXT = {
    "timetz": ["'24:00:00-02'", "'12:34:56.789+05:30'"],
    "interval": ["'1 year -2 mons 3 days -04:05:06.7'", "'-178000000 years'"],
    "uuid": ["'6F9619FF-8B86-D011-B42D-00CF4FC964FF'"],
    "json": ['\'{"a":  [1, 2], "a": 1.10}\''],
    "jsonb": ['\'{"b": 1e400, "a": null}\''],
    "xml": ["'<a b=\"1\">é</a>'"],
    "mood": ["'happy'", "'sad'"],
    "place": ["row('a \"street\"', null)"],
    "int4range": ["'[1,5)'", "'empty'"],
    "int4multirange": ["'{[1,3),[7,9)}'"],
    "tstzrange": ["'[2026-01-01 00:00+02,infinity)'"],
    "span": ["'[0.1,0.2]'"],
    "inet": ["'10.0.0.1/24'", "'::1'"],
    "cidr": ["'10.0.0.0/8'"],
    "macaddr": ["'08:00:2b:01:02:03'"],
    "bit(5)": ["b'10101'"],
    "bit varying": ["b''", "b'1'"],
    "point": ["'(1.5,-2)'"],
    "box": ["'(1,2),(3,4)'"],
    "path": ["'[(0,0),(1,1)]'"],
    "tsvector": ["'a:1 b:2'"],
    "pg_lsn": ["'16/B374D848'"],
    "xid8": ["'18446744073709551615'"],
    "regclass": ["'pg_class'"],
    "int2vector": ["'1 2 3'"],
}

# Arrays of what has no list of its own come as lists of PostgreSQL's texts.
TEXT_LISTS = {
    "numeric[]": ("array[1.50, 'NaN', null]::numeric[]", ["1.50", "NaN", None]),
    "date[]": ("array['infinity', '2026-01-01']::date[]", ["infinity", "2026-01-01"]),
    "uuid[]": (
        "'{6F9619FF-8B86-D011-B42D-00CF4FC964FF}'",
        ["6f9619ff-8b86-d011-b42d-00cf4fc964ff"],
    ),
    "mood[]": ("'{sad,ok}'", ["sad", "ok"]),
    "moods": ("'{happy}'", ["happy"]),
    "place[]": ("array[row('x', 1)::place]", ["(x,1)"]),
}

# What no type of ours holds: refused by the column's name, never altered.
REFUSED = {
    "date": ["'infinity'", "'-infinity'"],
    "timestamp": ["'infinity'", "'-infinity'", "'294247-01-10 00:00'"],
    "timestamptz": ["'infinity'", "'-infinity'"],
    "time": ["'24:00'"],
    "numeric(12, 2)": ["'NaN'"],
    "numeric(30, 2)": ["'NaN'"],
    "int4[]": ["'{{1,2},{3,4}}'", "'[0:1]={1,2}'", "'{{{1}}}'"],
    "text[]": ["array[array['a', 'b'], array['c', 'd']]"],
    "date[]": ["array[array['2026-01-01'::date]]"],
}


def several(cases):
    return [pytest.param(kind, values, id=kind) for kind, values in cases.items()]


@pytest.fixture
def made(pg):
    """Make a table of one column; give psycopg's own reading of it."""

    def made(kind, values):
        pg.execute(TYPES.strip(), f"create table awkward (id serial, c {kind})")
        for value in values:
            pg.execute(f"insert into awkward (c) values ({value})")
        pg.execute("insert into awkward (c) values (null)")
        with psycopg.connect(pg.url(), autocommit=True) as connection:
            connection.execute("set timezone = 'UTC'")
            found = connection.execute("select c from awkward order by id")
            texts = [found.pgresult.get_value(n, 0) for n in range(found.rowcount)]
            rows = found.fetchall() if kind in CARRIED and values == CARRIED[kind] else []
            return [row[0] for row in rows], [
                None if text is None else text.decode() for text in texts
            ]

    return made


def column(opened, pg, **options):
    [batch] = opened(pg.url(), query="select * from awkward order by id", **options).read(None)
    return batch.rows.column("c")


def same(ours, theirs):
    if isinstance(ours, float) and isinstance(theirs, float):
        return (math.isnan(ours) and math.isnan(theirs)) or ours == theirs
    return ours == theirs and type(ours) is type(theirs)


@pytest.mark.parametrize(("kind", "values"), several(CARRIED))
def test_a_value_is_carried_as_psycopg_reads_it(opened, pg, made, kind, values):
    theirs, _ = made(kind, values)
    ours = column(opened, pg).to_pylist()
    if kind == "float4":  # psycopg reads the shortest text; ours is the number itself
        theirs = [value and pa.scalar(value, pa.float32()).as_py() for value in theirs]
    if kind == '"char"':
        theirs = [value.decode() if isinstance(value, bytes) else value for value in theirs]
    if kind == "timestamptz":
        theirs = [value and value.astimezone(UTC) for value in theirs]
        ours = [value and value.astimezone(UTC) for value in ours]
    assert all(map(same, ours, theirs)), (ours, theirs)


@pytest.mark.parametrize(("kind", "values"), several(TEXT))
def test_what_arrow_cannot_carry_comes_as_the_databases_own_text(opened, pg, made, kind, values):
    _, texts = made(kind, values)
    found = column(opened, pg)
    assert found.type == pa.string()
    assert found.to_pylist() == texts


@pytest.mark.parametrize(("kind", "case"), several(TEXT_LISTS))
def test_arrays_of_such_types_are_lists_of_texts(opened, pg, made, kind, case):
    value, expected = case
    made(kind, [value])
    found = column(opened, pg)
    assert found.type == pa.list_(pa.string())
    assert found.to_pylist() == [expected, None]


@pytest.mark.parametrize(
    ("kind", "value"),
    [pytest.param(kind, v, id=f"{kind}-{v}") for kind, values in REFUSED.items() for v in values],
)
def test_what_nothing_holds_is_refused_with_its_column(opened, pg, made, kind, value):
    made(kind, [value])
    with pytest.raises(HeadgateError) as caught:
        column(opened, pg)
    assert caught.value.code == "database-value-unsupported"
    assert caught.value.facts["column"] == "c"
    assert caught.value.hint


@pytest.mark.parametrize("kind", ["int4[]", "text[]", "date[]"])
def test_arrays_of_any_shape_come_as_text_where_that_is_said(opened, pg, made, kind):
    _, texts = made(kind, REFUSED[kind])
    assert column(opened, pg, arrays="text").to_pylist() == texts


def test_a_column_declared_with_two_dimensions_is_text_from_the_beginning(opened, pg, made):
    _, texts = made("int4[][]", ["'{{1,2},{3,4}}'", "'{1}'"])
    [batch] = opened(pg.url(), "awkward", columns="c").read(None)
    assert sorted(filter(None, batch.rows.column("c").to_pylist())) == sorted(filter(None, texts))


def test_infinite_dates_become_null_or_the_calendars_ends_where_that_is_said(opened, pg, made):
    made("date", ["'infinity'", "'-infinity'", "'2026-01-01'"])
    day = date(2026, 1, 1)
    assert column(opened, pg, infinite="null").to_pylist() == [None, None, day, None]
    assert column(opened, pg, infinite="clamp").to_pylist() == [date.max, date.min, day, None]


@pytest.mark.parametrize("kind", ["timestamp", "timestamptz"])
def test_infinite_instants_become_null_or_the_calendars_ends(opened, pg, made, kind):
    made(kind, ["'infinity'", "'-infinity'"])
    assert column(opened, pg, infinite="null").to_pylist() == [None, None, None]
    zone = UTC if kind == "timestamptz" else None
    last, first, _ = column(opened, pg, infinite="clamp").to_pylist()
    assert last == datetime.max.replace(tzinfo=zone)
    assert first == datetime.min.replace(tzinfo=zone)


def test_finite_instants_that_are_too_late_are_refused_under_every_rule(opened, pg, made):
    made("timestamp", ["'294250-01-01'"])
    for rule in ("refuse", "null", "clamp"):
        with pytest.raises(HeadgateError) as caught:
            column(opened, pg, infinite=rule)
        assert caught.value.code == "database-value-unsupported"


@pytest.mark.parametrize("kind", ["numeric(12, 2)", "numeric(30, 2)", "price"])
def test_nan_in_a_decimal_becomes_null_where_that_is_said(opened, pg, made, kind):
    made(kind, ["'NaN'", "1.5"])
    found = column(opened, pg, infinite="null")
    assert pa.types.is_decimal(found.type)
    assert found.to_pylist() == [None, Decimal("1.5"), None]


@pytest.mark.parametrize("value", ["'NaN'", "'Infinity'", "1e40", "1e-39"])
def test_numbers_without_scale_are_text_where_one_of_them_fits_no_decimal(opened, pg, made, value):
    _, texts = made("numeric", [value, "1.50"])
    found = column(opened, pg)
    assert found.type == pa.string()
    assert found.to_pylist() == texts


def test_numbers_without_scale_are_read_by_the_rule_that_is_said(opened, pg, made):
    made("numeric", ["1.50", "-2"])
    assert column(opened, pg, numbers="text").to_pylist() == ["1.50", "-2", None]
    assert column(opened, pg, numbers="double").to_pylist() == [1.5, -2.0, None]
    exact = column(opened, pg, numbers="decimal(20, 4)")
    assert exact.type == pa.decimal128(20, 4)
    assert exact.to_pylist() == [Decimal("1.5"), Decimal(-2), None]
    with pytest.raises(HeadgateError) as caught:
        column(opened, pg, numbers="decimal(20, 0)")
    assert "decimal(20, 0)" in caught.value.message


def test_numbers_without_scale_keep_their_type_from_load_to_load(opened, pg, made):
    made("numeric", ["1.5"])
    [batch] = opened(pg.url(), "awkward", cursor="id", appends=True).read(None)
    assert batch.rows.schema.field("c").type == pa.string()


def test_money_has_the_servers_decimals(opened, pg, made):
    made("money", ["'-92233720368547758.08'", "12.5"])
    found = column(opened, pg)
    assert found.type == pa.decimal128(19, 2)
    assert found.to_pylist() == [Decimal("-92233720368547758.08"), Decimal("12.50"), None]


def test_instants_before_christ_keep_their_day(opened, pg, made):
    made("date", ["'4713-01-01 BC'", "'5874897-12-31'"])
    days = column(opened, pg).cast(pa.int32()).to_pylist()
    asked = "select c - date '1970-01-01' from awkward order by id"
    assert days == [row[0] for row in pg.execute(asked)]


def test_names_of_columns_may_be_anything(opened, pg):
    pg.execute(
        'create table "Odd ""Table" '
        '("a ""b" date, "select" int[], "é in [headgate]" numeric(4, 2), "%s" text)',
        """insert into "Odd ""Table" values ('2026-01-01', '{1}', 1.5, '%%')""",
    )
    [batch] = opened(pg.url(), '"Odd ""Table"').read(None)
    assert batch.rows.to_pylist() == [
        {'a "b': date(2026, 1, 1), "select": [1], "é in [headgate]": Decimal("1.5"), "%s": "%%"}
    ]
    pg.execute("""update "Odd ""Table" set "é in [headgate]" = 'NaN'""")
    with pytest.raises(HeadgateError) as caught:
        list(opened(pg.url(), '"Odd ""Table"').read(None))
    assert caught.value.facts["column"] == "é in [headgate]"


def test_digits_are_read_from_the_type_modifier():
    numeric = PgType(oid=1700, name="numeric", schema="pg_catalog", kind="b")

    def digits(precision, scale):
        modifier = (precision << 16 | scale & 0x7FF) + 4
        return PgColumn(name="n", type=numeric, modifier=modifier).digits

    assert digits(12, 2) == (12, 2)
    assert digits(3, -2) == (5, 0)
    assert digits(2, 4) == (4, 4)
    assert digits(38, 38) == (38, 38)
    assert digits(39, 0) is None
    assert PgColumn(name="n", type=numeric, modifier=-1).digits is None
