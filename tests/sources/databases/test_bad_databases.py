"""What is wrong outside is told by name and place, and never with a password."""

import socket
import threading
from contextlib import closing
from datetime import timedelta

import pytest

from headgate.clock import ManualClock
from headgate.errors import HeadgateError
from headgate.secrets import Secret
from headgate.sources.databases.database import DatabaseSource
from headgate.sources.source import Setting

WORD = "hunter2-Geheim%&"


def failure(source):
    with pytest.raises(HeadgateError) as caught:
        list(source.read(None))
    error = caught.value
    told = f"{error} {error.facts} {error.__cause__!r} {source.describe()}"
    assert WORD not in told
    assert "hunter2" not in told
    return error


@pytest.fixture
def patient(tmp_path):
    """Make a source whose clock stands still: it need not wait between attempts."""

    def patient(url, **options):
        setting = Setting(root=tmp_path, cache=tmp_path / "c", clock=ManualClock())
        return DatabaseSource({"url": url, **options}, setting)

    return patient


def urls_with(server_url, word):
    login, _, place = server_url.rpartition("@")
    scheme, _, _ = login.partition("://")
    return f"{scheme}://owner:{word}@{place}"


ENCODED = "hunter2-Geheim%25%26"


@pytest.fixture(params=["postgresql", "mysql", "mysql+pymysql"])
def server_url(request):
    if request.param == "postgresql":
        return request.getfixturevalue("pg").url()
    return request.getfixturevalue("maria").url().replace("mysql://", f"{request.param}://")


def test_a_wrong_password_is_refused(patient, server_url):
    error = failure(patient(urls_with(server_url, ENCODED), relation="t"))
    assert error.code == "database-login"
    assert "owner" in error.message


def test_a_password_of_its_own_wins_over_the_urls(patient, server_url):
    assert failure(patient(server_url, relation="t", password=WORD)).code == "database-login"


def test_an_unknown_host_is_told(patient, server_url):
    url = urls_with(server_url, ENCODED).replace("127.0.0.1", "no-such-host.invalid")
    error = failure(patient(url, relation="t"))
    assert error.code == "database-unreachable"
    assert "no-such-host.invalid" in error.message


def test_a_server_that_does_not_run_is_told(patient, server_url):
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    before = server_url.rpartition("@")[2].partition("/")[0]
    url = urls_with(server_url, ENCODED).replace(before, f"127.0.0.1:{port}")
    error = failure(patient(url, relation="t"))
    assert error.code == "database-unreachable"
    assert str(port) in error.message


def test_an_unknown_database_is_told(patient, server_url):
    url = server_url.replace("/metastore", "/nothing").replace("/shop", "/nothing")
    if "+" in server_url:
        pytest.skip("SQLAlchemy tells it in the driver's words")
    assert failure(patient(url, relation="t")).code == "database-missing"


def test_an_unknown_table_is_told_with_the_nearest_one(patient, request, server_url):
    outside = request.getfixturevalue("pg" if server_url.startswith("post") else "maria")
    outside.execute("create table orders (id int)")
    error = failure(patient(server_url, relation="ordres"))
    assert error.code == "database-relation-missing"
    assert "orders" in error.hint


@pytest.mark.parametrize("options", [{"columns": ["id", "nmae"]}, {"cursor": "nmae"}])
def test_a_missing_column_is_told(patient, request, server_url, options):
    outside = request.getfixturevalue("pg" if server_url.startswith("post") else "maria")
    outside.execute("create table things (id int, name text)")
    error = failure(patient(server_url, relation="things", **options))
    assert error.code == "database-column-missing"
    assert "things" in error.message
    assert "nmae" in error.message


@pytest.mark.parametrize(
    "query",
    [
        "delete from things returning id",
        "with gone as (delete from things returning id) select * from gone",
        "select setval('counted', 1)",
        "select 1) as q; delete from things; select * from (select 1",
    ],
)
def test_a_query_that_would_write_to_postgresql_is_refused(patient, pg, query):
    pg.execute("create table things (id int)", "insert into things values (1)")
    pg.execute("create sequence counted")
    assert failure(patient(pg.url(), query=query)).code in {"query-writes", "database-query"}
    assert pg.execute("select * from things") == [(1,)]
    assert pg.execute("select last_value, is_called from counted") == [(1, False)]


def test_a_function_that_would_write_is_refused_by_mariadb(patient, maria):
    maria.execute("create table things (id int)", "drop function if exists writes")
    maria.execute(
        "create function writes() returns int begin insert into things values (1); return 1; end"
    )
    assert failure(patient(maria.url(), query="select writes() as w")).code == "query-writes"
    assert maria.execute("select * from things") == []


@pytest.mark.parametrize("query", ["", "selec 1", "select 1; select 2", "drop table things"])
def test_what_is_no_query_is_refused(patient, server_url, query):
    if not query:
        with pytest.raises(HeadgateError) as caught:
            patient(server_url, query=query)
        assert caught.value.code == "bad-option"
        return
    assert failure(patient(server_url, query=query)).code in {
        "database-query",
        "database-statement",
    }


def test_a_right_that_is_missing_is_told_with_its_columns(patient, pg):
    pg.execute(
        "create table staff (id int, salary int)",
        "drop role if exists reader",
        f"create role reader login password '{pg.server.password}'",
        f"grant usage on schema {pg.schema} to reader",
        "grant select (id) on staff to reader",
        "insert into staff values (1, 100)",
    )
    url = pg.url().replace("owner:", "reader:")
    error = failure(patient(url, relation="staff"))
    assert error.code == "database-forbidden"
    assert error.facts["columns"] == ["salary"]
    assert "reader" in error.message
    [batch] = patient(url, relation="staff", columns=["id"]).read(None)
    assert batch.rows.to_pylist() == [{"id": 1}]
    pg.execute("drop owned by reader", "drop role reader")


@pytest.mark.parametrize("mode", ["require", "verify-full"])
def test_a_server_without_a_certificate_is_not_trusted_where_one_is_wanted(patient, pg, mode):
    assert failure(patient(pg.url(sslmode=mode), relation="t")).code == "database-not-trusted"


@pytest.mark.parametrize("mode", ["REQUIRED", "VERIFY_IDENTITY"])
def test_neither_is_one_of_mariadb(patient, maria, mode):
    assert failure(patient(maria.url(ssl_mode=mode), relation="t")).code == "database-not-trusted"


def test_a_secret_is_revealed_when_a_connection_is_made_and_not_before(pg, tmp_path):
    pg.execute("create table t (id int)", "insert into t values (1)")
    revealed = []

    def reveal(value):
        if isinstance(value, Secret):
            revealed.append(value.name)
            return pg.url()
        return value

    setting = Setting(root=tmp_path, cache=tmp_path, reveal=reveal)
    source = DatabaseSource({"url": Secret("shop"), "relation": "t"}, setting)
    assert "secret('shop')" in source.describe().title
    assert source.fingerprint() is None
    assert revealed == []
    [batch] = source.read(None)
    assert batch.rows.num_rows == 1
    assert revealed == ["shop"]


def test_a_server_that_goes_away_while_rows_come_is_told(patient, pg):
    pg.execute(
        "create table many as select n, repeat('x', 200) as x from generate_series(1, 300000) n"
    )
    batches = patient(pg.url(), relation="many", connections=1).read(None)
    next(batches)
    pg.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() "
        "and application_name = 'headgate'"
    )
    with pytest.raises(HeadgateError) as caught:
        list(batches)
    assert caught.value.code == "database-lost"
    assert "many" in caught.value.message


def test_mariadb_going_away_is_told_too(patient, maria):
    maria.execute(
        "create table many as select seq as n, repeat('x', 200) as x from seq_1_to_300000"
    )
    batches = patient(maria.url(), relation="many", batch_rows=10).read(None)
    next(batches)
    asked = "select id from information_schema.processlist where user = 'owner' and info like %s"
    with closing(maria.server.connect()) as other, other.cursor() as cursor:
        cursor.execute(asked, ("select `n`%",))
        [(session,)] = cursor.fetchall()
        cursor.execute(f"kill {session}")
    with pytest.raises(HeadgateError) as caught:
        list(batches)
    assert caught.value.code == "database-lost"


def test_reading_half_and_stopping_leaves_no_session_behind(patient, pg):
    pg.execute(
        "create table many as select n, repeat('x', 200) as x from generate_series(1, 300000) n"
    )
    for connections in (1, 3):
        batches = patient(pg.url(), relation="many", connections=connections).read(None)
        next(batches)
        batches.close()
        assert not [t for t in threading.enumerate() if t.daemon and "follow" in repr(t)]
    left = "select count(*) from pg_stat_activity where application_name = 'headgate'"
    assert any(pg.execute(left) == [(0,)] for _ in range(500)), "sessions are left"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"relation": "t"}, "append-without-cursor"),
        ({"relation": "t", "cursor": "id", "lag": timedelta(1)}, "cursor-needs-upsert"),
        ({"relation": "t", "cursor": "id", "empty_cursor": "again"}, "cursor-needs-upsert"),
        ({}, "database-without-relation"),
        ({"relation": "t", "query": "select 1"}, "database-without-relation"),
        ({"relation": "t", "cusor": "id"}, "unknown-option"),
        ({"relation": "t", "cursor": "id", "numbers": "decimal(40, 2)"}, "bad-option"),
        ({"relation": "t", "cursor": "id", "infinite": "drop"}, "bad-option"),
        ({"relation": "t", "cursor": "id", "batch_rows": 0}, "bad-option"),
        ({"relation": "t", "lag": 3}, "bad-option"),
        ({"relation": "t", "cursor": "id", "columns": 3}, "bad-option"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_asked(opened, options, code):
    with pytest.raises(HeadgateError) as caught:
        opened("postgresql://nobody@nowhere/x", appends=True, **options)
    assert caught.value.code == code


@pytest.mark.parametrize("url", ["shop", ":memory:", "mysql://host", "postgresql://host:port/x"])
def test_urls_that_name_nothing_are_refused_without_being_repeated(opened, url):
    with pytest.raises(HeadgateError) as caught:
        opened(url, "t").describe()
    assert caught.value.code == "bad-database-url"


def test_a_source_without_a_url_says_how_to_name_one(tmp_path):
    with pytest.raises(HeadgateError) as caught:
        DatabaseSource({"relation": "t"}, Setting(root=tmp_path, cache=tmp_path))
    assert caught.value.code == "database-without-url"
