"""Files in buckets: what is meant, what is new, and what is said when it is not given."""

import gzip
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import HeadgateError
from headgate.sources import FileSource, Setting
from headgate.sources.places.patterns import literal_start, matches
from headgate.stores import Bucket
from headgate.testing.object_places import REGION
from headgate.testing.object_servers import ObjectServer
from headgate.testing.source_suite import Row, Situation, SourceSuite, rows_of


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectServer]:
    with ObjectServer() as server:
        yield server


@pytest.fixture
def bucket(store: ObjectServer, tmp_path: Path) -> Bucket:
    return store.bucket(tmp_path.name)


def opened(store: ObjectServer, root: Path, *urls: str, **options: object) -> FileSource:
    setting = Setting(root=root, cache=root / ".cache")
    there = {
        "endpoint": store.endpoint,
        "region": REGION,
        "allow_http": True,
        "access_key_id": "test",
        "secret_access_key": "test",
    }
    return FileSource({"paths": urls, **there, **options}, setting)


def failing(source: FileSource) -> HeadgateError:
    with closing(source), pytest.raises(HeadgateError) as caught:
        list(source.read(None))
    return caught.value


def lines(*numbers: int) -> bytes:
    return "".join(f'{{"id": {number}}}\n' for number in numbers).encode()


class TestBucketPlace(SourceSuite):
    @pytest.fixture(autouse=True)
    def in_a_store(self, store: ObjectServer, bucket: Bucket) -> None:
        self.store, self.bucket = store, bucket

    def situation(self, directory: Path) -> Situation:
        store, bucket = self.store, self.bucket
        bucket.put("d/a.jsonl", lines(1, 2))
        bucket.put("d/x/b.jsonl.gz", gzip.compress(lines(3)))
        bucket.put("e/c.jsonl", lines(100))

        def grow() -> list[Row]:
            bucket.put("d/y/c.jsonl", lines(4))
            return [{"id": 4}]

        return Situation(
            open=lambda: opened(store, directory, f"{bucket.url}/d/"),
            rows=[{"id": number} for number in (1, 2, 3)],
            grow=grow,
            unreachable=lambda: opened(store, directory, f"{bucket.url}/d/none.jsonl"),
        )


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("d/*.jsonl", [1, 2]),
        ("d/**/*.jsonl*", [9, 1, 2, 3]),
        ("d/?.jsonl", [1, 2]),
        ("**/[bc].jsonl*", [3, 100]),
        ("d/", [1, 2, 3]),
        ("d/x/b.jsonl.gz", [3]),
        ("*/c.jsonl", [100]),
    ],
)
def test_patterns_mean_what_they_mean_in_a_shell(store, bucket, tmp_path, pattern, found):
    bucket.put("d/a.jsonl", lines(1, 2))
    bucket.put("d/x/b.jsonl.gz", gzip.compress(lines(3)))
    bucket.put("d/_SUCCESS", b"")
    bucket.put("d/_temporary/z.jsonl", lines(9))
    bucket.put("e/c.jsonl", lines(100))
    with closing(opened(store, tmp_path, f"{bucket.url}/{pattern}")) as source:
        assert [row["id"] for row in rows_of(source.read(None))] == found


def test_new_changed_and_vanished_objects_are_told_from_the_cursor(store, bucket, tmp_path):
    url = f"{bucket.url}/*.jsonl"
    bucket.put("a.jsonl", lines(1))
    bucket.put("b.jsonl", lines(2))
    with closing(opened(store, tmp_path, url)) as source:
        cursor = list(source.read(None))[-1].cursor
    bucket.put("a.jsonl", lines(10))
    bucket.delete(["b.jsonl"])
    bucket.put("c.jsonl", lines(3))
    with closing(opened(store, tmp_path, url)) as source:
        found = list(source.read(cursor))
        assert [row["id"] for row in rows_of(found)] == [10, 3]
        cursor = found[-1].cursor
    bucket.put("b.jsonl", lines(2))  # as it was
    with closing(opened(store, tmp_path, url)) as source:
        assert list(source.read(cursor)) == []


def test_one_object_lies_on_this_disk_at_a_time(store, bucket, tmp_path):
    for number in range(4):
        bucket.put(f"{number}.jsonl", lines(number))
    with closing(opened(store, tmp_path, f"{bucket.url}/*.jsonl")) as source:
        for _ in source.read(None):
            assert len(list((tmp_path / ".cache").rglob("*.jsonl"))) <= 2
    assert not list((tmp_path / ".cache").rglob("*.jsonl"))


def test_an_object_that_changes_after_it_was_listed_is_not_read(store, bucket, tmp_path):
    bucket.put("a.jsonl", lines(1))
    with closing(opened(store, tmp_path, f"{bucket.url}/a.jsonl")) as source:
        source.fingerprint()
        bucket.put("a.jsonl", lines(2))
        with pytest.raises(HeadgateError) as caught:
            list(source.read(None))
    assert caught.value.code == "file-changed-meanwhile"


@pytest.mark.parametrize("name", ["a b%20c#d.jsonl", "ümlaut+plus&.jsonl", "q?x=1.jsonl"])
def test_keys_of_every_kind_are_read(store, bucket, tmp_path, name):
    bucket.put(f"odd/{name}", lines(7))
    with closing(opened(store, tmp_path, f"{bucket.url}/odd/")) as source:
        found = list(source.read(None))
    assert rows_of(found) == [{"id": 7}]
    assert found[0].rows["_hg_position"].to_pylist() == [f"{bucket.url}/odd/{name}:1"]


def test_csv_and_parquet_of_a_bucket_are_the_same_as_those_of_a_disk(store, bucket, tmp_path):
    duckdb.sql("select i as id, 'x' || i as x from range(3000) t(i)").write_parquet(
        str(tmp_path / "a.parquet")
    )
    csv = "id,x\n" + "".join(f"{i},x{i}\n" for i in range(3000))
    bucket.put("a.parquet", (tmp_path / "a.parquet").read_bytes())
    bucket.put("a.csv", csv.encode())
    expected = [{"id": i, "x": f"x{i}"} for i in range(3000)]
    for name in ("a.parquet", "a.csv"):
        with closing(opened(store, tmp_path, f"{bucket.url}/{name}")) as source:
            assert rows_of(source.read(None)) == expected
    with closing(opened(store, tmp_path, f"{bucket.url}/a.csv")) as source:
        assert source.native(None).files is not None
    with closing(opened(store, tmp_path, f"{bucket.url}/a.parquet")) as source:
        assert source.native(None) is None


def test_what_is_not_there_is_named(store, bucket, tmp_path):
    bucket.put("d/orders.jsonl", lines(1))
    error = failing(opened(store, tmp_path, f"{bucket.url}/d/odrers.jsonl"))
    assert error.code == "file-missing"
    assert "orders.jsonl" in error.hint
    assert failing(opened(store, tmp_path, f"{bucket.url}/e/*.csv")).code == "no-files-match"
    assert failing(opened(store, tmp_path, "s3://no-such-bucket/*.csv")).code == "bucket-missing"


@pytest.mark.parametrize("url", ["s3://", "s3:///a.csv", "gs://*/a", "az://u:hidden@x/a"])
def test_a_url_that_names_no_bucket_is_refused(tmp_path, url):
    with pytest.raises(HeadgateError) as caught:
        FileSource({"paths": (url,)}, Setting(root=tmp_path, cache=tmp_path))
    assert caught.value.code == "bad-location"
    assert "hidden" not in str(caught.value)


def test_a_store_that_is_away_is_named_and_its_keys_are_not(tmp_path, store):
    setting = Setting(root=tmp_path, cache=tmp_path / ".cache")
    options = {
        "paths": ("s3://lake/a.jsonl",),
        "region": REGION,
        "allow_http": True,
        "access_key_id": "AKIAHIDDEN",
        "secret_access_key": "hidden",
        "endpoint": "http://127.0.0.1:9",
    }
    error = failing(FileSource(options, setting))
    assert error.code == "object-store-unavailable"
    assert "HIDDEN" not in str(error)
    assert "hidden" not in str(error)
    unencrypted = failing(FileSource({**options, "allow_http": False}, setting))
    assert unencrypted.code == "bad-endpoint"


# -- Google and Azure


@pytest.fixture
def others() -> Iterator[tuple[str, dict[str, bytes]]]:
    """A server of a container ``c`` that lists and gives objects as Google and as Azure do."""
    blobs: dict[str, bytes] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: value[0] for name, value in parse_qs(parts.query).items()}
            if query.get("comp") == "list":
                found = [n for n in sorted(blobs) if n.startswith(query.get("prefix", ""))]
                items = "".join(
                    f"<Blob><Name>{escape(name)}</Name><Properties>"
                    "<Last-Modified>Fri, 20 Nov 2026 10:00:00 GMT</Last-Modified>"
                    f"<Etag>0x{abs(hash(blobs[name])):X}</Etag>"
                    f"<Content-Length>{len(blobs[name])}</Content-Length>"
                    "<Content-Type>x/y</Content-Type><BlobType>BlockBlob</BlobType></Properties></Blob>"
                    for name in found
                )
                body = (
                    '<?xml version="1.0" encoding="utf-8"?><EnumerationResults '
                    f'ContainerName="c"><Blobs>{items}</Blobs><NextMarker/></EnumerationResults>'
                ).encode()
                self._send(200, body, "list")
                return
            if "list-type" in query:
                found = [n for n in sorted(blobs) if n.startswith(query.get("prefix", ""))]
                items = "".join(
                    f"<Contents><Key>{escape(name)}</Key><Size>{len(blobs[name])}</Size>"
                    f"<ETag>&quot;{abs(hash(blobs[name])):X}&quot;</ETag>"
                    "<LastModified>2026-11-20T10:00:00.000Z</LastModified></Contents>"
                    for name in found
                )
                listing = f"<ListBucketResult><Name>c</Name>{items}</ListBucketResult>"
                self._send(200, listing.encode(), "list")
                return
            name = unquote(parts.path).partition("/c/")[2]
            if name in blobs:
                self._send(200, blobs[name], f"0x{abs(hash(blobs[name])):X}")
            else:
                self._send(404, b"<Error><Code>BlobNotFound</Code></Error>", "")

        def _send(self, status: int, body: bytes, etag: str) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", etag)
            self.send_header("Last-Modified", "Fri, 20 Nov 2026 10:00:00 GMT")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", blobs
    server.shutdown()
    server.server_close()


def test_objects_of_google_are_listed_and_read(others, tmp_path):
    endpoint, blobs = others
    blobs |= {"g/a.jsonl": lines(1, 2), "g/b.csv": b"id\n3\n", "h/c": b""}
    setting = Setting(root=tmp_path, cache=tmp_path / ".cache")
    options = {"endpoint": endpoint, "allow_http": True, "anonymous": True}
    for url, numbers in (("gs://c/g/*.jsonl", [1, 2]), ("gs://c/g/b.csv", [3])):
        with closing(FileSource({"paths": (url,), **options}, setting)) as source:
            assert [row["id"] for row in rows_of(source.read(None))] == numbers
    assert failing(FileSource({"paths": ("gs://c/no",), **options}, setting)).code == "file-missing"


def test_blobs_of_azure_are_listed_and_read(others, tmp_path):
    server, blobs = others
    endpoint = f"{server}/account"
    blobs |= {"d/a.jsonl": lines(1), "d/b.json": json.dumps([{"id": 2}]).encode(), "e/c": b""}
    setting = Setting(root=tmp_path, cache=tmp_path / ".cache")
    options = {
        "endpoint": endpoint,
        "allow_http": True,
        "account_name": "account",
        "account_key": "aGlkZGVu",
        "format": "json",
    }
    with closing(FileSource({"paths": ("az://c/d/*.json*",), **options}, setting)) as source:
        assert rows_of(source.read(None)) == [{"id": 1}, {"id": 2}]
    with closing(FileSource({"paths": ("az://c/d/a.jsonl",), **options}, setting)) as source:
        found = list(source.read(None))
    assert rows_of(found) == [{"id": 1}]
    assert failing(FileSource({"paths": ("az://c/no",), **options}, setting)).code == "file-missing"


# -- patterns

NAMES = st.text(alphabet="ab./_[]*?-", max_size=8)


@given(key=NAMES)
def test_a_name_without_a_pattern_means_itself(key):
    plain = key.replace("*", "").replace("?", "").replace("[", "").strip("/")
    if plain:
        assert matches(plain, plain)
        assert literal_start(plain) == plain


@given(parts=st.lists(st.text(alphabet="ab-", min_size=1, max_size=4), min_size=1, max_size=4))
def test_two_stars_reach_every_depth_and_one_does_not(parts):
    key = "/".join(parts)
    assert matches(key, "**/*")
    assert matches(key, "**")
    assert matches(key, "*") == (len(parts) == 1)
    assert matches(key, f"{parts[0]}/**/{parts[-1]}") == (len(parts) > 1)
    for hidden in (f".{key}", f"{key}/.x", f".x/{key}"):
        assert not matches(hidden, "**/*")
        assert not matches(hidden, "**")
