"""Connections are tried as those who use them would: what answers, and what does not and why."""

import json
import socket
import sqlite3
from contextlib import closing
from urllib.parse import urlsplit

import duckdb
import pytest

from headgate.cli.commands import answer
from headgate.testing.api_server import ApiServer, Asked, Told, told_json

CANARY = "canary-5e0d"


@pytest.fixture
def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield free.getsockname()[1]


@pytest.fixture
def tried(write, opened, tmp_path, capfd, monkeypatch):
    """Write settings and a pipeline; try the connections at the command line."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADGATE_SECRET_TOKEN", CANARY)

    def tried(connections, *arguments, pipeline=""):
        write("headgate.toml", f'[project]\npipelines = ["shop.py"]\n{connections}')
        write("shop.py", f"import headgate as hg\n{pipeline}")
        code = answer(["connections", "--test", *arguments])
        out, err = capfd.readouterr()
        assert CANARY not in out + err
        return code, out, err

    return tried


def guarded(asked: Asked) -> Told:
    """Answer as an API does that has nothing at its base, and lets in who knows the token."""
    if asked.headers.get("authorization") != f"Bearer {CANARY}":
        return told_json({"message": f"what is {asked.headers.get('authorization')}?"}, status=401)
    return told_json({"message": "nothing here"}, status=404)


API = '[connections.api]\nurl = "{url}/v1"\nauth = {{ bearer = {{ secret = "{name}" }} }}\n'


def test_a_web_server_is_asked_once_with_the_credentials(tried):
    with ApiServer(guarded) as server:
        code, out, _ = tried(API.format(url=server.url, name="token"))
        assert (code, out) == (0, f"✓ api: {server.url}/v1 answers 404 Not Found\n")
        assert [each.method for each in server.asked] == ["GET"]


def test_credentials_that_are_refused_are_said_with_what_to_do(tried, monkeypatch):
    monkeypatch.setenv("HEADGATE_SECRET_OTHER", CANARY + "-old")
    with ApiServer(guarded) as server:
        code, out, _ = tried(API.format(url=server.url, name="other"))
    assert code == 7
    assert out.startswith(f"✗ api: {server.url}/v1 answered 401 Unauthorized")
    assert "    Check auth= and the secret it names." in out


def test_each_is_tried_and_the_first_failure_is_what_it_ends_with(tried, free_port):
    url = f"http://127.0.0.1:{free_port}"
    unknown = API.format(url=url, name="nobody").replace(".api", ".second")
    code, out, _ = tried(f'[connections.first]\nurl = "{url}"\n{unknown}')
    first, hint, second, *_ = out.splitlines()
    assert code == 8
    assert first == f"✗ first: Nobody listens at {url}."
    assert hint.startswith("    Check the address")
    assert second.startswith("✗ second:")
    assert "nobody" in second


def test_only_those_that_are_named_are_tried(tried, free_port):
    two = f'[connections.a]\nurl="http://127.0.0.1:{free_port}"\n[connections.b]\nregion="x"\n'
    code, out, _ = tried(two, "b")
    assert (code, out) == (0, "! b: names no address, so that there is none to reach\n")
    code, _, err = tried(two, "bb")
    assert code == 6
    assert "no connection 'bb'" in err
    assert "Did you mean b?" in err


def test_a_database_is_connected_to(tried, tmp_path):
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database:
        database.execute("create table t (x)")
    code, out, _ = tried('[connections.shop]\nurl = "sqlite:///shop.db"\n')
    assert (code, out) == (0, "✓ shop: shop.db answers 1 row\n")
    code, out, _ = tried('[connections.shop]\nurl = "sqlite:///shp.db"\n')
    assert code == 6
    assert "shp.db" in out


def test_a_server_is_connected_to_by_the_words_of_its_sink(tried, postgres, monkeypatch):
    there = urlsplit(postgres.url())
    monkeypatch.setenv("HEADGATE_SECRET_DWH", there.password or "")
    parts = f'host = "127.0.0.1"\nport = {postgres.port}\ndatabase = "metastore"\n'
    user = f'user = "{there.username}"\npassword = {{ secret = "dwh" }}\n'
    sink = 'warehouse = hg.sink("postgresql", tables=["t"], connection="dwh")\n'
    code, out, _ = tried(f"[connections.dwh]\n{parts}{user}", pipeline=sink)
    assert code == 0, out
    assert out.endswith("answers 1 row\n")
    code, out, _ = tried(f"[connections.dwh]\n{parts}")
    assert code == 2
    assert "what kind of server" in out
    elsewhere = f'{user}url = "postgresql://127.0.0.1:{postgres.port}/no_such"\n'
    code, out, _ = tried(f"[connections.dwh]\n{elsewhere}")
    assert code == 6
    assert "no_such" in out


def test_a_file_that_is_filled_here_need_not_be_there_yet(tried, tmp_path):
    sink = 'copy = hg.sink("duckdb", tables=["t"], connection="copy")\n'
    code, out, _ = tried('[connections.copy]\npath = "copy.duckdb"\n', pipeline=sink)
    assert (code, out) == (0, "✓ copy: copy.duckdb is not there yet; the first delivery makes it\n")
    duckdb.connect(str(tmp_path / "copy.duckdb")).close()
    code, out, _ = tried('[connections.copy]\npath = "copy.duckdb"\n', pipeline=sink)
    assert (code, out) == (0, "✓ copy: copy.duckdb answers 1 row\n")
    code, out, _ = tried('[connections.copy]\npath = "nowhere/copy.duckdb"\n', pipeline=sink)
    assert code == 6
    assert "no directory" in out


def test_an_address_may_be_said_by_who_uses_the_connection(tried):
    with ApiServer(guarded) as server:
        step = f'orders = hg.rest("{server.url}", path="orders", connection="api")\n'
        auth = '[connections.api]\nauth = { bearer = { secret = "token" } }\n'
        code, out, _ = tried(auth, pipeline=step)
        assert (code, out) == (0, f"✓ api: {server.url} answers 404 Not Found\n")


def test_a_receiver_of_webhooks_is_asked_without_what_is_for_its_messages(tried):
    with ApiServer(lambda _: told_json({}, status=405)) as server:
        sink = 'hook = hg.sink("webhook", tables=["t"], connection="hook")\n'
        secret = f'url = "{server.url}"\nheaders = {{ X = {{ secret = "token" }} }}\n'
        code, out, _ = tried(f"[connections.hook]\n{secret}", pipeline=sink)
        assert (code, out) == (0, f"✓ hook: {server.url} answers 405 Method Not Allowed\n")
        assert "x" not in server.asked[0].headers


def test_a_bucket_is_listed(tried):
    servers = pytest.importorskip("headgate.testing.object_servers")
    with servers.ObjectServer() as server:
        servers.make_bucket(server.endpoint, "orders")
        there = (
            f'endpoint = "{server.endpoint}"\nregion = "us-east-1"\nallow_http = true\n'
            'access_key_id = "test"\nsecret_access_key = { secret = "token" }\n'
        )
        step = 'orders = hg.files("s3://{}/*.csv", connection="store")\n'
        settings = f"[connections.store]\n{there}"
        code, out, _ = tried(settings, pipeline=step.format("orders"))
        assert (code, out) == (0, "✓ store: s3://orders/*.csv is there, without objects\n")
        code, out, _ = tried(settings, pipeline=step.format("oders"))
        assert code != 0
        assert out.startswith("✗ store: ")
        assert "oders" in out


def test_programs_get_one_document(tried, free_port):
    url = f"http://127.0.0.1:{free_port}"
    code, out, _ = tried(f'[connections.api]\nurl = "{url}"\n', "--json")
    [api] = json.loads(out)["connections"]
    assert code == 8
    assert (api["name"], api["answer"]) == ("api", None)
    assert api["error"]["code"] == "connection-refused"
