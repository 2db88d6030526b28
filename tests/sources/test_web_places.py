"""Files on web servers: their state, their failures, and whom they are asked for."""

import gzip
import socket
import ssl
from contextlib import closing
from pathlib import Path

import pytest
import trustme

from headgate.clock import ManualClock
from headgate.errors import HeadgateError, Refused
from headgate.secrets import Secret
from headgate.sources import FileSource, Setting
from headgate.testing.file_servers import FileServer, ServedFile
from headgate.testing.source_suite import Row, Situation, SourceSuite, rows_of

LINES = b'{"id": 1}\n{"id": 2}\n'


@pytest.fixture
def server():
    with FileServer() as server:
        server.files["/d/a.jsonl"] = ServedFile(LINES)
        yield server


def opened(root: Path, *urls: str, appends: bool = False, **options: object) -> FileSource:
    setting = Setting(
        root=root,
        cache=root / ".cache",
        appends=appends,
        clock=ManualClock(),
        reveal=lambda v: f"revealed {v.name}" if isinstance(v, Secret) else v,
    )
    return FileSource({"paths": urls, **options}, setting)


def failing(root: Path, *urls: str, **options: object) -> HeadgateError:
    with closing(opened(root, *urls, **options)) as source, pytest.raises(HeadgateError) as caught:
        list(source.read(None))
    return caught.value


class TestWebPlace(SourceSuite):
    @pytest.fixture(autouse=True)
    def on_a_server(self, server: FileServer) -> None:
        self.server = server

    def situation(self, directory: Path) -> Situation:
        server = self.server
        urls = [server.url(f"/d/{name}.jsonl") for name in "ab"]
        server.files["/d/b.jsonl"] = ServedFile(b'{"id": 3}\n')
        paths = list(urls)

        def grow() -> list[Row]:
            server.files["/d/c.jsonl"] = ServedFile(b'{"id": 4}\n')
            paths.append(server.url("/d/c.jsonl"))
            return [{"id": 4}]

        return Situation(
            open=lambda: opened(directory, *paths),
            rows=[{"id": number} for number in (1, 2, 3)],
            grow=grow,
            unreachable=lambda: opened(directory, server.url("/no.jsonl")),
        )


@pytest.mark.parametrize("tells", [("ETag",), ("Last-Modified",), ()])
def test_a_file_is_read_again_only_when_its_state_is_another(tmp_path, server, tells):
    file = server.files["/d/a.jsonl"]
    file.tells = tells
    url = server.url("/d/a.jsonl")
    with closing(opened(tmp_path, url)) as source:
        cursor = list(source.read(None))[-1].cursor
    with closing(opened(tmp_path, url)) as source:
        assert list(source.read(cursor)) == []
        assert source.native(cursor).files is None
    file.content = b'{"id": 9}\n'
    file.modified = "Fri, 20 Nov 2026 11:00:00 GMT"
    with closing(opened(tmp_path, url)) as source:
        assert rows_of(source.read(cursor)) == [{"id": 9}]
    with closing(opened(tmp_path, url, appends=True)) as source, pytest.raises(Refused) as caught:
        list(source.read(cursor))
    assert caught.value.code == "file-changed"


def test_a_query_is_sent_but_neither_shown_nor_kept(tmp_path, server):
    server.files["/d/b.csv?token=hidden"] = ServedFile(b"id\n1\n")
    with closing(opened(tmp_path, server.url("/d/b.csv?token=hidden"))) as source:
        assert "hidden" not in repr(source.describe())
        native = source.native(None)
        assert "hidden" not in native.cursor.text()
        assert "hidden" not in repr(native)
        assert rows_of(source.read(None)) == [{"id": 1}]
    error = failing(tmp_path, server.url("/d/none.csv?token=hidden"))
    assert error.code == "file-missing"
    assert "hidden" not in str(error)


def test_headers_may_be_secrets(tmp_path, server):
    headers = {"Authorization": Secret("key"), "X-Plain": "p"}
    with closing(opened(tmp_path, server.url("/d/a.jsonl"), headers=headers)) as source:
        assert len(rows_of(source.read(None))) == 2
    assert {asked.headers["Authorization"] for asked in server.asked} == {"revealed key"}
    assert {asked.headers["X-Plain"] for asked in server.asked} == {"p"}


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_another_server_is_not_told_what_was_said_for_this_one(tmp_path, server, status):
    headers = {"Authorization": Secret("key"), "X-Api-Key": "mine"}
    with FileServer() as other:
        other.files["/moved.jsonl"] = ServedFile(LINES)
        to = {"Location": other.url("/moved.jsonl")}
        server.files["/d/a.jsonl"] = ServedFile(b"", headers=to, status=status)
        with closing(opened(tmp_path, server.url("/d/a.jsonl"), headers=headers)) as source:
            assert rows_of(source.read(None)) == [{"id": 1}, {"id": 2}]
        assert other.asked
        for asked in other.asked:
            assert not {"authorization", "x-api-key"} & {name.lower() for name in asked.headers}


def test_an_answer_packed_unasked_is_unpacked(tmp_path, server):
    packed = {"Content-Encoding": "gzip"}
    server.files["/d/a.jsonl"] = ServedFile(gzip.compress(LINES), headers=packed)
    with closing(opened(tmp_path, server.url("/d/a.jsonl"))) as source:
        assert rows_of(source.read(None)) == [{"id": 1}, {"id": 2}]
    server.files["/d/a.jsonl"] = ServedFile(gzip.compress(LINES)[:-9], headers=packed)
    assert failing(tmp_path, server.url("/d/a.jsonl")).code == "server-unavailable"
    server.files["/d/a.jsonl"] = ServedFile(LINES, headers={"Content-Encoding": "br"})
    assert failing(tmp_path, server.url("/d/a.jsonl")).code == "compression-unknown"


def test_what_fails_for_a_while_is_tried_again(tmp_path, server):
    server.failing = [503, 429, 0, 500, 502]
    with closing(opened(tmp_path, server.url("/d/a.jsonl"))) as source:
        assert rows_of(source.read(None)) == [{"id": 1}, {"id": 2}]
    assert len(server.asked) == 6


def test_a_server_that_says_when_is_not_asked_before(tmp_path, server):
    server.failing = [429, 503]
    server.retry_after = "100"
    clock = ManualClock()
    setting = Setting(root=tmp_path, cache=tmp_path / ".cache", clock=clock)
    source = FileSource({"paths": (server.url("/d/a.jsonl"),)}, setting)
    with closing(source):
        assert len(rows_of(source.read(None))) == 2
    assert clock.monotonic_s() >= 200


def test_a_server_that_stays_away_is_named(tmp_path, server):
    server.failing = [503] * 100
    assert failing(tmp_path, server.url("/d/a.jsonl")).code == "server-unavailable"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/a.jsonl"
        error = failing(tmp_path, url)
    assert error.code == "server-unavailable"
    assert "127.0.0.1" in error.message


def test_an_answer_that_breaks_off_is_asked_for_again_and_never_taken_for_whole(tmp_path, server):
    server.files["/d/a.jsonl"].breaks_after = 10
    error = failing(tmp_path, server.url("/d/a.jsonl"))
    assert error.code == "server-unavailable"
    tries = [0]

    def mend(asked):
        tries[0] += asked.method == "GET"
        server.files["/d/a.jsonl"].breaks_after = None if tries[0] > 2 else 10

    server.before = mend
    with closing(opened(tmp_path, server.url("/d/a.jsonl"))) as source:
        assert rows_of(source.read(None)) == [{"id": 1}, {"id": 2}]


@pytest.mark.parametrize("tells", [("ETag",), ("Last-Modified",)])
def test_a_file_that_changes_after_it_was_listed_is_not_read(tmp_path, server, tells):
    file = server.files["/d/a.jsonl"]
    file.tells = tells

    def change(asked):
        if asked.method == "GET":
            file.content = b'{"id": 9}\n'

    server.before = change
    assert failing(tmp_path, server.url("/d/a.jsonl")).code == "file-changed-meanwhile"


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_is_named(tmp_path, server, status):
    server.failing = [status] * 100
    assert failing(tmp_path, server.url("/d/a.jsonl")).code == "access-denied"


def test_a_server_that_answers_no_head_is_asked_with_get(tmp_path, server):
    server.failing = [405]
    with closing(opened(tmp_path, server.url("/d/a.jsonl"))) as source:
        assert len(rows_of(source.read(None))) == 2


def test_a_certificate_nobody_trusts_is_refused_unless_its_signer_is_named(tmp_path):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with FileServer(trust=context) as server:
        server.files["/a.jsonl"] = ServedFile(LINES)
        error = failing(tmp_path, server.url("/a.jsonl"))
        assert error.code == "certificate-not-trusted"
        assert "127.0.0.1" in error.message
        with closing(opened(tmp_path, server.url("/a.jsonl"), ca_file="ca.pem")) as source:
            assert len(rows_of(source.read(None))) == 2
        error = failing(tmp_path, server.url("/a.jsonl"), ca_file="none.pem")
        assert error.code == "bad-option"


def test_a_host_nobody_knows_is_named(tmp_path):
    error = failing(tmp_path, "http://no-such-host.invalid/a.jsonl")
    assert error.code == "host-unknown"
    assert "no-such-host.invalid" in error.message


@pytest.mark.parametrize("url", ["http://", "https://u:hidden@h/a.csv", "http://h/*.csv"])
def test_an_address_that_is_none_is_refused_without_its_password(tmp_path, url):
    with pytest.raises(HeadgateError) as caught:
        opened(tmp_path, url)
    assert caught.value.code == "bad-location"
    assert "hidden" not in str(caught.value)


def test_files_of_every_format_come_from_the_web(tmp_path, server):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"id": [1, 2]}), tmp_path / "a.parquet")
    server.files["/a.parquet"] = ServedFile((tmp_path / "a.parquet").read_bytes())
    server.files["/a.csv"] = ServedFile(b"id\n1\n2\n")
    for name in ("a.parquet", "a.csv"):
        with closing(opened(tmp_path, server.url(f"/{name}"))) as source:
            assert rows_of(source.read(None)) == [{"id": 1}, {"id": 2}]
    with closing(opened(tmp_path, server.url("/a.csv"))) as source:
        [path] = source.native(None).files.paths
        assert Path(path).read_bytes() == b"id\n1\n2\n"
    assert not Path(path).exists()


def test_addresses_that_only_their_queries_tell_apart_are_refused(server, tmp_path):
    urls = [server.url(f"/d/a.jsonl?day={day}") for day in (1, 2)]
    for day in (1, 2):
        server.files[f"/d/a.jsonl?day={day}"] = ServedFile(LINES)
    error = failing(tmp_path, *urls)
    assert error.code == "files-alike"
    assert "day=" not in str(error)
    assert len(rows_of(opened(tmp_path, urls[0], urls[0]).read(None))) == 2
