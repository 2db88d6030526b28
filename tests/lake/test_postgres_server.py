"""A PostgreSQL server behaves badly: what is said, what is done again, what is never done twice."""

# ruff: noqa: E402 - the driver is an extra: without it, nothing of this is there

import os
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest

psycopg = pytest.importorskip("psycopg")

from headgate.clock import ManualClock
from headgate.errors import (
    AlreadyExists,
    Corrupt,
    HeadgateError,
    Invalid,
    NotFound,
    Refused,
    Unavailable,
)
from headgate.lake import postgres_lanes, postgres_sessions
from headgate.lake.lake import Lake
from headgate.lake.metastore import Metastore, Tag
from headgate.lake.postgres import open_postgres
from headgate.lake.postgres_addresses import address_of
from headgate.names import CountingIds
from headgate.testing.postgres_servers import Pooler, PostgresServer


def made(url: str, directory: Path) -> Metastore:
    """Make a lake whose metastore is there; give the metastore."""
    return Lake.create(directory, clock=ManualClock(), ids=CountingIds(), metastore=url).metastore


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.url(patience=20)


@pytest.fixture
def store(url: str, tmp_path: Path) -> Iterator[Metastore]:
    with closing(made(url, tmp_path / "lake")) as opened:
        yield opened


def tag(store: Metastore, name: str) -> Tag:
    head = store.branch("main")
    assert head is not None
    return Tag(name=name, commit=head.head, created=ManualClock().now())


def said(error: HeadgateError) -> str:
    return f"{error} {error.facts} {error!r} {error.__cause__}"


# -- at the door


def test_a_server_that_is_down_is_named_without_the_password(postgres: PostgresServer) -> None:
    url = postgres.url("lake", port=1)
    with pytest.raises(Unavailable, match=r"owner@127\.0\.0\.1:1/metastore") as refused:
        open_postgres(url, clock=ManualClock())
    assert refused.value.code == "metastore-unreachable"
    assert refused.value.facts["host"] == "127.0.0.1"
    assert refused.value.facts["database"] == "metastore"
    assert postgres.password not in said(refused.value)


def test_a_wrong_password_is_refused_and_not_shown(postgres: PostgresServer) -> None:
    with pytest.raises(Refused, match="password authentication failed") as refused:
        open_postgres(postgres.url("lake", password="wr0ng-one"), clock=ManualClock())
    assert refused.value.code == "metastore-login"
    assert "wr0ng-one" not in said(refused.value)


def test_a_database_that_is_not_there_is_named(postgres: PostgresServer) -> None:
    url = postgres.url("lake").replace("/metastore?", "/nowhere?")
    with pytest.raises(NotFound, match="nowhere") as missing:
        open_postgres(url, clock=ManualClock())
    assert missing.value.code == "no-database"


def test_a_database_without_a_lake_holds_none(url: str) -> None:
    with pytest.raises(NotFound, match="There is no lake in postgresql://owner@127") as missing:
        open_postgres(url, clock=ManualClock())
    assert missing.value.code == "no-lake"


def test_tables_of_others_are_no_lake(postgres: PostgresServer, url: str) -> None:
    schema = address_of(url).schema
    postgres.execute(f"create schema {schema}; create table {schema}.lake (id int)")
    with pytest.raises(Corrupt) as damaged:
        open_postgres(url, clock=ManualClock())
    assert damaged.value.code == "metastore-corrupt"


@pytest.mark.parametrize(
    "bad",
    [
        "postgresql://u:s3cret@h:12x/db",
        "postgresql://u:s3cret@h/db?nonsense=1",
        "postgresql://u:s3cret@h/db?schema=Sales",
        "postgresql://u:s3cret@h/db?schema=pg_x",
        "postgresql://u:s3cret@h/db?patience=long",
        "postgresql://u:s3cret@[h/db",
    ],
)
def test_a_url_that_cannot_be_read_is_not_repeated(bad: str) -> None:
    with pytest.raises(Invalid) as refused:
        address_of(bad)
    assert refused.value.code == "bad-metastore-url"
    assert "s3cret" not in said(refused.value)


def test_an_address_is_shown_without_secrets() -> None:
    address = address_of("postgresql://ann:s3cret@db:6432/metastore?schema=sales&sslpassword=k3y")
    assert str(address) == "postgresql://ann@db:6432/metastore?schema=sales"
    assert "s3cret" not in repr(address)
    assert "k3y" not in repr(address)


def test_several_hosts_are_one_address() -> None:
    address = address_of("postgresql://a:1,b:2/db?target_session_attrs=read-write")
    assert str(address).endswith("@a,b:1,2/db")


def test_the_password_may_come_from_the_environment(
    postgres: PostgresServer, store: Metastore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = url.replace(f":{postgres.password}@", "@")
    monkeypatch.setenv("PGPASSWORD", postgres.password)
    with closing(open_postgres(bare, clock=ManualClock())) as opened:
        assert opened.lake_id() == store.lake_id()


def test_a_server_that_is_too_old_is_refused(
    url: str, monkeypatch: pytest.MonkeyPatch, store: Metastore
) -> None:
    monkeypatch.setattr(postgres_lanes, "OLDEST", 99)
    with pytest.raises(Refused, match="needs 99 or newer") as refused:
        open_postgres(url, clock=ManualClock())
    assert refused.value.code == "postgres-too-old"


def test_clocks_that_are_apart_are_refused(
    url: str, monkeypatch: pytest.MonkeyPatch, store: Metastore
) -> None:
    monkeypatch.setattr(postgres_lanes, "_CLOCKS_APART", timedelta(seconds=-1))
    with pytest.raises(Unavailable, match="apart") as refused:
        open_postgres(url, clock=ManualClock())
    assert refused.value.code == "clocks-apart"


def test_a_database_in_another_encoding_is_refused(postgres: PostgresServer) -> None:
    with suppress(psycopg.errors.DuplicateDatabase):
        postgres.execute("create database latin encoding 'LATIN1' template template0")
    url = postgres.url("lake").replace("/metastore?", "/latin?")
    with pytest.raises(Refused, match="LATIN1") as refused:
        open_postgres(url, clock=ManualClock())
    assert refused.value.code == "postgres-encoding"


# -- rights


def test_a_user_without_rights_is_told_what_to_ask_for(
    postgres: PostgresServer, store: Metastore, url: str, tmp_path: Path
) -> None:
    with suppress(psycopg.errors.DuplicateObject):
        postgres.execute("create role guest login password 'guest-password'")
    schema = address_of(url).schema
    guest = postgres.url(schema, user="guest", password="guest-password")
    with pytest.raises(Refused, match="permission denied") as refused:
        open_postgres(guest, clock=ManualClock())
    assert refused.value.code == "metastore-forbidden"
    assert schema in (refused.value.hint or "")

    postgres.execute(f"grant usage on schema {schema} to guest")
    postgres.execute(f"grant select on all tables in schema {schema} to guest")
    with closing(open_postgres(guest, clock=ManualClock())) as reader:  # reading needs no more
        assert reader.branches() == store.branches()
        with pytest.raises(Refused) as refused:
            reader.create_tag(tag(reader, "v1"))
        assert refused.value.code == "metastore-forbidden"
    postgres.execute("drop owned by guest")

    with pytest.raises(Refused, match="permission denied") as refused:
        made(postgres.url(user="guest", password="guest-password"), tmp_path / "other")
    assert refused.value.code == "metastore-forbidden"


def test_a_server_that_only_reads_is_said_to(
    postgres: PostgresServer, store: Metastore, url: str
) -> None:
    assert not store.tags()
    with (
        pytest.raises(Refused, match="read-only") as refused,
        _patched(postgres_lanes.Lanes, "_dial", _read_only),
        closing(open_postgres(url, clock=ManualClock())) as standby,
    ):
        assert standby.branches() == store.branches()
        standby.create_tag(tag(standby, "v1"))
    assert refused.value.code == "metastore-read-only"


# -- several lakes


def test_several_lakes_live_in_one_database(postgres: PostgresServer, tmp_path: Path) -> None:
    stores = [made(postgres.url(), tmp_path / name) for name in "ab"]
    stores[0].create_tag(tag(stores[0], "v1"))
    assert [len(store.tags()) for store in stores] == [1, 0]
    assert stores[0].identity() != stores[1].identity()
    for store in stores:
        assert list(store.check()) == []
        store.close()


def test_of_many_creators_of_one_lake_one_succeeds(url: str, tmp_path: Path) -> None:
    ended: list[object] = []

    def create(number: int) -> None:
        try:
            ended.append(made(url, tmp_path / str(number)))
        except HeadgateError as error:
            ended.append(error)

    together([lambda n=n: create(n) for n in range(4)])
    errors = [end for end in ended if isinstance(end, HeadgateError)]
    assert [type(error) for error in errors] == [AlreadyExists] * 3, errors
    with closing(open_postgres(url, clock=ManualClock())) as opened:
        assert len(opened.branches()) == 1
    for end in ended:
        if not isinstance(end, HeadgateError):
            end.close()  # type: ignore[attr-defined]


def test_a_location_with_a_metastore_of_its_own_takes_no_second(url: str, tmp_path: Path) -> None:
    Lake.create(tmp_path, clock=ManualClock(), ids=CountingIds()).close()
    with pytest.raises(Refused, match=r"metastore\.sqlite") as refused:
        made(url, tmp_path)
    assert refused.value.code == "another-metastore"


def test_files_whose_metastore_is_elsewhere_make_no_new_lake(url: str, tmp_path: Path) -> None:
    (tmp_path / "data" / "x").mkdir(parents=True)
    with pytest.raises(Corrupt, match="the metastore that is named holds no lake") as refused:
        made(url, tmp_path)
    assert refused.value.code == "metastore-missing"


def test_a_location_of_another_lake_is_refused(postgres: PostgresServer, tmp_path: Path) -> None:
    urls = [postgres.url() for _ in range(2)]
    for number, url in enumerate(urls):
        ids = CountingIds()
        for _ in range(number):
            ids.unique()
        Lake.create(tmp_path / str(number), clock=ManualClock(), ids=ids, metastore=url).close()
    with pytest.raises(Refused) as refused:
        Lake.open(tmp_path / "0", clock=ManualClock(), ids=CountingIds(), metastore=urls[1])
    assert refused.value.code == "another-lake"


# -- locks


def test_a_lock_that_a_stranger_keeps_is_waited_for_then_named(
    postgres: PostgresServer, store: Metastore, url: str
) -> None:
    schema = address_of(url).schema
    impatient = open_postgres(url, clock=ManualClock(), patience=timedelta(milliseconds=50))
    with closing(impatient), postgres.connect() as stranger:
        stranger.execute("set application_name = 'a-dashboard'")
        stranger.execute("begin")
        stranger.execute(f"select * from {schema}.branches for update".encode())
        with pytest.raises(Unavailable, match=r"a-dashboard.*idle in transaction") as refused:
            impatient.protect("main", protected=False)
        assert refused.value.code == "metastore-locked"
        stranger.execute("rollback")
        assert impatient.protect("main", protected=False)


def test_the_loser_of_a_deadlock_does_it_again(
    postgres: PostgresServer, store: Metastore, url: str
) -> None:
    schema = address_of(url).schema
    for name in ("t1", "t2"):
        store.create_tag(tag(store, name))
    with postgres.connect() as stranger:
        stranger.execute("set deadlock_timeout = '10s'")  # ours notices first, and loses
        stranger.execute("begin")
        stranger.execute(f"select * from {schema}.tags where name = 't2' for update".encode())
        ours = threading.Thread(target=_both, args=(store,))
        ours.start()
        blocked = "select 1 from pg_stat_activity where wait_event_type = 'Lock'"
        while not postgres.execute(blocked):
            pass
        stranger.execute(f"select * from {schema}.tags where name = 't1' for update".encode())
        stranger.execute("commit")
        ours.join(timeout=30)
    assert not store.tags()


def _both(store: Metastore) -> None:
    from headgate.lake import statements
    from headgate.lake.database import retried

    @retried
    def both(database: object) -> None:
        with database.writing(durable=False) as session:  # type: ignore[attr-defined]
            for name in ("t1", "t2"):
                session.change(statements.DELETE_TAG, (name,))

    both(store._database)  # type: ignore[attr-defined]


# -- lost connections


def test_connections_that_were_ended_while_idle_are_made_anew(
    postgres: PostgresServer, store: Metastore
) -> None:
    for number in range(3):
        assert postgres.end_sessions() > 0
        assert store.create_tag(tag(store, f"v{number}"))
    assert len(store.tags()) == 3


@pytest.mark.parametrize("sent", range(1, 4))
def test_a_transaction_that_is_cut_off_is_done_once(
    postgres: PostgresServer, store: Metastore, sent: int
) -> None:
    """The session is ended before the n-th exchange of a transaction, COMMIT's among them."""
    with _cut(postgres, before=sent):
        assert store.create_tag(tag(store, "v1"))
    assert [each.name for each in store.tags()] == ["v1"]


def test_a_commit_whose_answer_is_lost_is_not_done_again(
    postgres: PostgresServer, store: Metastore
) -> None:
    """The server has committed, and the connection breaks before it says so."""
    with _cut(postgres, after="commit") as cut:
        store.create_tag(tag(store, "v1"))
    assert cut
    assert [each.name for each in store.tags()] == ["v1"]


def test_a_server_that_restarts_is_waited_for(postgres: PostgresServer, store: Metastore) -> None:
    assert store.create_tag(tag(store, "before"))
    postgres.stop()
    waiting = threading.Event()
    with _patched(postgres_lanes.SystemClock, "sleep", lambda *_: waiting.set()):
        readers = [threading.Thread(target=store.branches) for _ in range(2)]
        writer = threading.Thread(target=lambda: store.create_tag(tag(store, "after")))
        for thread in (*readers, writer):
            thread.start()
        assert waiting.wait(timeout=30)
    postgres.start()
    for thread in (*readers, writer):
        thread.join(timeout=30)
    assert {each.name for each in store.tags()} == {"before", "after"}


def test_a_connection_in_use_is_closed_when_it_is_given_back_after_the_end(url: str) -> None:
    """A heartbeat is on its way while the lake is closed."""
    lanes = postgres_lanes.Lanes(address_of(url))
    with lanes.lane() as lane:
        connection = lane.connection()
        lanes.close()
        assert connection.execute("select 1").fetchall() == [(1,)]
    assert connection.closed


def test_a_server_that_stays_away_is_waited_for_once(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    url = postgres.url(patience=1)
    with closing(made(url, tmp_path / "lake")) as store:
        postgres.stop()
        try:
            with pytest.raises(Unavailable, match="waited 1 s") as first:
                store.branches()
            with pytest.raises(Unavailable, match="does not answer: Connection refused"):
                store.branches()
        finally:
            postgres.start()
        assert first.value.code == "metastore-unreachable"
        assert store.branches()


def test_a_commit_that_nobody_can_tell_of_is_said_to_be_unknown(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    url = postgres.url(patience=1)
    with closing(made(url, tmp_path / "lake")) as store:
        wanted = tag(store, "v1")
        try:
            with (
                pytest.raises(Unavailable, match="not known") as unknown,
                _cut(postgres, after="commit", by=postgres.stop),
            ):
                store.create_tag(wanted)
        finally:
            postgres.start()
        assert unknown.value.code == "commit-unknown"
        assert [each.name for each in store.tags()] == ["v1"]


def test_receipts_are_torn_up_in_the_end(
    postgres: PostgresServer, url: str, tmp_path: Path
) -> None:
    store = made(url, tmp_path / "lake")
    store.create_tag(tag(store, "v1"))
    rows = f"select lane from {address_of(url).schema}.receipts"
    assert postgres.execute(rows)
    store.close()
    assert not postgres.execute(rows)


# -- forks


def test_a_child_of_a_fork_has_connections_of_its_own(
    postgres: PostgresServer, store: Metastore, url: str
) -> None:
    store.create_tag(tag(store, "parent"))
    schema = address_of(url).schema
    pids = (
        "select pid from pg_stat_activity "
        f"where query like '%{schema}.%' and pid <> pg_backend_pid()"
    )
    before = postgres.execute(pids)
    child = os.fork()
    if child == 0:
        try:
            ok = store.create_tag(tag(store, "child")) and len(store.tags()) == 2
            store.close()
        except BaseException:  # noqa: BLE001 - told by the exit code
            ok = False
        os._exit(0 if ok else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert store.create_tag(tag(store, "again"))
    assert postgres.execute(pids) == before  # the parent's session is the one it was
    assert len(store.tags()) == 3


# -- poolers


def test_nothing_of_ours_stays_in_a_session(
    postgres: PostgresServer, poolers: type[Pooler], store: Metastore, url: str
) -> None:
    """One session behind the pooler, many clients: what one left, the next would meet."""
    with poolers(postgres, connections=1) as pooler:
        schema = address_of(url).schema
        pooled = postgres.url(schema, port=pooler.port)
        stores = [open_postgres(pooled, clock=ManualClock()) for _ in range(3)]
        for number, each in enumerate(stores):
            each.create_tag(tag(each, f"v{number}"))
            each.protect("main", protected=True)
        plain = pooled.partition("?")[0]
        with psycopg.connect(plain, prepare_threshold=None, autocommit=True) as session:
            left = session.execute(
                "select current_setting('synchronous_commit'), current_setting('lock_timeout'),"
                " (select count(*) from pg_prepared_statements),"
                " (select count(*) from pg_locks where locktype = 'advisory')"
            ).fetchall()
        assert left == [("on", "0", 0, 0)]
        for each in stores:
            each.close()


# -- copies


def test_a_copy_is_an_sqlite_metastore(store: Metastore, tmp_path: Path) -> None:
    store.create_tag(tag(store, "v1"))
    copy = tmp_path / "copy" / "metastore.sqlite"
    copy.parent.mkdir()
    store.copy(copy)
    with Lake.open(copy.parent, clock=ManualClock(), ids=CountingIds()) as opened:
        assert opened.metastore.tags() == store.tags()
        assert opened.metastore.branches() == store.branches()
        assert opened.id == store.lake_id()
        assert list(opened.verify(every_tree=True)) == []
        assert list(opened.metastore.check()) == []


# -- parts


def together(actions: list[object]) -> None:
    threads = [threading.Thread(target=action) for action in actions]  # type: ignore[arg-type]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)


@contextmanager
def _patched(owner: object, name: str, value: object) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, value)
        yield


_DIAL = postgres_lanes.Lanes._dial


def _read_only(lanes: postgres_lanes.Lanes) -> postgres_lanes.Connection:
    """Connect to what refuses to write, as a standby does."""
    connection = _DIAL(lanes)
    execute = connection.execute

    def refusing(text: str, *given: object, **more: object) -> object:
        return execute(text.replace("read write", "read only"), *given, **more)  # type: ignore[arg-type]

    connection.execute = refusing  # type: ignore[method-assign,assignment]
    return connection


@contextmanager
def _cut(
    postgres: PostgresServer,
    *,
    before: int = 0,
    after: str = "",
    by: object = None,
) -> Iterator[list[int]]:
    """End all sessions before the n-th exchange, or after the one that holds a text; once."""
    travel = postgres_sessions._travel
    done: list[int] = []
    count = 0

    def cutting(connection: postgres_lanes.Connection, asked: list[tuple[str, object]]) -> object:
        nonlocal count
        count += 1
        last = asked[-1][0]
        if not done and count == before:
            done.append(count)
            postgres.end_sessions()
        answers = travel(connection, asked)  # type: ignore[arg-type]
        if not done and after and last == after:
            done.append(count)
            (by or postgres.end_sessions)()  # type: ignore[operator]
            connection.execute("select 1")  # the answer does not arrive
        return answers

    with _patched(postgres_sessions, "_travel", cutting):
        yield done
