"""Secrets go where they are meant for; what is wrong is an error of its own, with its place."""

import base64
import logging
import socket
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs

import httpx2
import pytest
import trustme
from rest_readers import START, Upper, read, record, records_of, setting

from headgate.clock import ManualClock
from headgate.errors import Corrupt, HeadgateError, Invalid, NotFound, Refused, Unavailable
from headgate.secrets import Secret, secret
from headgate.sources import RestSource
from headgate.testing.api_server import ApiServer, Asked, Listing, Told, told_json

CANARY = "canary-9f2b71"
RECORDS = [record(number) for number in range(1, 26)]
ONCE = {"retry": {"attempts": 1}}


def reveal(value: str | Secret) -> str:
    return (
        {"token": CANARY, "user": "anna", "refresh": "refresh-canary"}[value.name]
        if isinstance(value, Secret)
        else value
    )


def texts_of(error: BaseException) -> str:
    said = []
    each: BaseException | None = error
    while each is not None:
        said.append(f"{each!r} {each} {getattr(each, 'facts', '')}")
        each = each.__cause__ or each.__context__
    return "\n".join(said)


# -- who asks


AUTHS: Mapping[str, tuple[Mapping[str, object], str, str]] = {
    "bearer": ({"bearer": secret("token")}, "authorization", f"Bearer {CANARY}"),
    "basic": (
        {"basic": {"user": secret("user"), "password": secret("token")}},
        "authorization",
        "Basic " + base64.b64encode(f"anna:{CANARY}".encode()).decode(),
    ),
    "header": ({"api_key": secret("token")}, "x-api-key", CANARY),
    "named header": ({"api_key": {"secret": "token"}, "header": "X-Shop"}, "x-shop", CANARY),
}


@pytest.mark.parametrize("name", AUTHS)
def test_credentials_are_sent_with_every_request(name: str) -> None:
    auth, header, value = AUTHS[name]
    with ApiServer(Listing(RECORDS)) as server:
        options = {"url": server.url, "path": "page", "pages": {"by": "page"}, "auth": auth}
        assert records_of(*read(options, reveal=reveal)) == RECORDS
    assert {asked.headers.get(header) for asked in server.asked} == {value}


@pytest.mark.parametrize("way", ["page", "link"])
def test_a_key_in_the_address_is_shown_nowhere(way: str) -> None:
    def fault(asked: Asked) -> Told | None:
        third = asked.query.get("page") == "3" or asked.query.get("cursor") == "20"
        return told_json({"error": f"no {asked.query['key']}"}, status=500) if third else None

    options = {
        "path": way,
        "pages": {"by": way},
        "records": "$" if way == "link" else "data",
        "auth": {"api_key": secret("token"), "parameter": "key"},
        "grows": True,
    }
    with ApiServer(Listing(RECORDS)) as server:
        batches = read({"url": server.url, "batch_rows": 1, **options}, reveal=reveal)
        assert records_of(*batches) == RECORDS
        assert {asked.query["key"] for asked in server.asked} == {CANARY}
        assert not [batch for batch in batches if CANARY in batch.cursor.text()]
        server.fault = fault
        with pytest.raises(Unavailable, match="500") as raised:
            read({"url": server.url, **options, **ONCE}, reveal=reveal)
    assert CANARY not in texts_of(raised.value)
    kept = RestSource({"url": f"http://x:{CANARY}@host/{way}?token={CANARY}", **options}, setting())
    assert CANARY not in str(kept.describe())


def test_kept_pages_hold_no_key() -> None:
    with ApiServer(Listing(RECORDS)) as server:
        options = {
            "url": server.url,
            "path": "page",
            "pages": {"by": "page"},
            "params": {"api": secret("token"), "all": True},
            "keep_pages": True,
        }
        [batch] = read(options, reveal=reveal)
    assert {asked.query["api"] for asked in server.asked} == {CANARY}
    assert batch.rows["url"].to_pylist()[0].endswith("/page?all=true&page=1")
    assert batch.rows["position"].to_pylist() == ["page 1", "page 2", "page 3"]
    assert CANARY not in str(batch.rows.to_pylist())


@pytest.mark.parametrize("how", ["redirect", "next"])
def test_credentials_do_not_leave_the_host(how: str) -> None:
    auth = {"auth": {"bearer": secret("token")}, "headers": {"X-Team": secret("user")}}
    with ApiServer(Listing(RECORDS)) as other:

        def answer(asked: Asked) -> Told:
            if how == "redirect":
                return Told(status=302, headers={"Location": f"{other.url}/link"})
            link = {"Link": f'<{other.url}/link?cursor=10>; rel="next"'}
            return Told(body=b"[]", headers=link)

        with ApiServer(answer) as server:
            options = {"url": server.url, "records": "$", **auth}
            if how == "redirect":
                assert len(records_of(*read(options, reveal=reveal))) == 10
            else:
                with pytest.raises(Refused, match="host that is not declared") as raised:
                    read({**options, "pages": {"by": "link"}}, reveal=reveal)
                assert raised.value.code == "next-elsewhere"
                assert not other.asked
    names = {name for asked in other.asked for name in asked.headers}
    assert not names & {"authorization", "x-team"}


def test_a_declared_host_gets_them() -> None:
    with ApiServer(Listing(RECORDS)) as other:
        link = {"Link": f'<{other.url}/link>; rel="next"'}
        with ApiServer(lambda _: Told(body=b"[]", headers=link)) as server:
            options = {
                "url": server.url,
                "hosts": [other.url],
                "pages": {"by": "link"},
                "records": "$",
                "auth": {"bearer": secret("token")},
            }
            assert records_of(*read(options, reveal=reveal)) == RECORDS
    assert {asked.headers["authorization"] for asked in other.asked} == {f"Bearer {CANARY}"}


# -- OAuth2


class Tokens:
    """A server of tokens and of records, which accepts only its last token."""

    def __init__(self, lives_s: float | None = 3600) -> None:
        self.lives_s = lives_s
        self.given = 0
        self.forms: list[Mapping[str, list[str]]] = []
        self.listing = Listing(RECORDS)

    def __call__(self, asked: Asked) -> Told:
        if asked.path == "/token":
            self.given += 1
            self.forms.append(parse_qs(asked.body.decode()))
            lives = {} if self.lives_s is None else {"expires_in": self.lives_s}
            return told_json({"access_token": f"t{self.given}", "refresh_token": "r2", **lives})
        if asked.headers.get("authorization") != f"Bearer t{self.given}":
            return told_json({"message": "expired"}, status=401)
        return self.listing(asked)


def oauth2(server: ApiServer, **more: object) -> dict[str, object]:
    given = {
        "token_url": f"{server.url}/token",
        "client_id": "me",
        "client_secret": secret("token"),
        **more,
    }
    paging = {"by": "cursor", "next": "next"}
    return {"url": server.url, "path": "cursor", "pages": paging, "auth": {"oauth2": given}}


def test_a_token_is_fetched_once_and_used_until_it_ends() -> None:
    tokens = Tokens()
    with ApiServer(tokens) as server:
        assert records_of(*read(oauth2(server, scope=["a", "b"]), reveal=reveal)) == RECORDS
    assert tokens.given == 1
    assert tokens.forms == [{"grant_type": ["client_credentials"], "scope": ["a b"]}]
    signed = "Basic " + base64.b64encode(f"me:{CANARY}".encode()).decode()
    assert server.asked[0].headers["authorization"] == signed


def test_a_token_is_renewed_before_it_ends() -> None:
    clock = ManualClock(START)
    tokens = Tokens(lives_s=100)
    slow = lambda _: clock.move(timedelta(seconds=40))  # noqa: E731
    with ApiServer(tokens, fault=slow) as server:
        assert records_of(*read(oauth2(server), clock=clock, reveal=reveal)) == RECORDS
    assert tokens.given == 3
    assert not [asked for asked in server.asked if asked.times > 1 and asked.path == "/cursor"]


@pytest.mark.parametrize("parallel", [1, 4])
def test_a_token_that_is_refused_is_renewed_and_nothing_is_lost(parallel: int) -> None:
    tokens = Tokens(lives_s=None)

    def fault(asked: Asked) -> Told | None:
        if asked.query.get("page") == "2" and asked.times == 1:
            tokens.given += 1  # all tokens end
        return None

    with ApiServer(tokens, fault=fault) as server:
        options = oauth2(server, client_auth="body") | {"path": "page", "pages": {"by": "page"}}
        options["parallel"] = parallel
        assert records_of(*read(options, reveal=reveal)) == RECORDS
    assert tokens.forms[0]["client_secret"] == [CANARY]


def test_a_refresh_token_is_exchanged_and_its_successor_used() -> None:
    tokens = Tokens(lives_s=1)
    clock = ManualClock(START)
    with ApiServer(tokens, fault=lambda _: clock.move(timedelta(seconds=1))) as server:
        options = oauth2(server, refresh_token=secret("refresh"))
        assert records_of(*read(options, clock=clock, reveal=reveal)) == RECORDS
    refreshed = [form["refresh_token"] for form in tokens.forms]
    assert refreshed == [["refresh-canary"], ["r2"], ["r2"]]


def test_a_refresh_token_that_is_replaced_is_told_once_and_without_it() -> None:
    with ApiServer(Tokens()) as server:
        told = [
            each.note
            for each in read(
                oauth2(server, refresh_token=secret("refresh")) | {"batch_rows": 1}, reveal=reveal
            )
        ]
    assert [note for note in told if note] == [told[0]]
    assert "replaced the refresh token" in (told[0] or "")
    assert "r2" not in (told[0] or "")


def test_a_refresh_token_that_stays_is_not_told() -> None:
    with ApiServer(Tokens()) as server:
        stays = oauth2(server, refresh_token="r2")
        assert {each.note for each in read(stays, reveal=reveal)} == {None}


def test_a_refresh_token_that_is_used_up_is_refused_with_the_way_out() -> None:
    used_up = lambda _: told_json({"error": "invalid_grant"}, status=400)  # noqa: E731
    with ApiServer(used_up) as server, pytest.raises(Refused) as raised:
        read(oauth2(server, refresh_token=secret("refresh")), reveal=reveal)
    assert raised.value.code == "token-refused"
    assert "nothing here stores its successor" in (raised.value.hint or "")


def test_lists_with_keys_of_their_own_get_tokens_of_their_own() -> None:
    tokens = {"/parents": Tokens(), "/children": Tokens()}

    def answer(asked: Asked) -> Told:
        mine = tokens["/" + asked.path.split("/")[1]]
        if asked.path.endswith("/token"):
            mine.given += 1
            return told_json({"access_token": f"{asked.path}{mine.given}"})
        if asked.headers.get("authorization") != f"Bearer {asked.path.rpartition('/')[0]}/token1":
            return told_json({"message": "another's token"}, status=403)
        return told_json({"data": [{"id": 1}]})

    with ApiServer(answer) as server:

        def auth(name: str) -> dict[str, object]:
            return {"oauth2": {"token_url": f"{server.url}/{name}/token", "client_id": "me"}}

        parent = {"path": "parents/list", "records": "data", "auth": auth("parents")}
        options = {"path": "children/list", "parent": parent, "auth": auth("children")}
        found = records_of(*read({"url": server.url, **options}, reveal=reveal))
    assert found == [{"id": 1}]


def test_a_token_that_is_not_given_is_an_error_without_the_secret() -> None:
    def answer(asked: Asked) -> Told:
        said = {"error": "invalid_client", "error_description": f"not {CANARY}"}
        return told_json(said, status=400)

    with ApiServer(answer) as server, pytest.raises(Refused, match="gave no token") as raised:
        read(oauth2(server, client_auth="body"), reveal=reveal)
    assert raised.value.code == "token-refused"


# -- bad input: each its own error


def answering(told: Told) -> Iterator[ApiServer]:
    with ApiServer(lambda _: told) as server:
        yield server


HTML = Told(body=b"<!doctype html><p>Sign in", headers={"Content-Type": "text/html; charset=utf-8"})
NASTY: Mapping[str, tuple[Told, str, type[HeadgateError], str]] = {
    "a page to sign in": (HTML, "not-json", Invalid, "text/html"),
    "no JSON": (Told(body=b"{data: 1}"), "not-json", Invalid, "no JSON"),
    "not UTF-8": (Told(body=b'{"data": ["\xff"]}'), "not-json", Invalid, "no JSON"),
    "another path": (
        told_json({"items": [], "total": 0}),
        "records-missing",
        NotFound,
        "it has items, total",
    ),
    "a list": (told_json([1]), "records-missing", NotFound, "'data'"),
    "401": (told_json({"message": "who?"}, status=401), "not-authenticated", Refused, "who?"),
    "403": (Told(status=403), "not-allowed", Refused, "403 Forbidden"),
    "404": (Told(status=404), "address-missing", NotFound, "404"),
    "400": (
        told_json({"errors": [{"detail": "limit is too big"}]}, status=400),
        "request-refused",
        Refused,
        "limit is too big",
    ),
    "500": (Told(status=500), "server-failed", Unavailable, "500"),
    "10 GB claimed": (
        Told(body=b"{}", claim=10 << 30),
        "answer-too-large",
        Refused,
        "10,737,418,240 bytes",
    ),
    "cut off": (Told(body=b'{"data"', claim=99), "answer-cut-off", Unavailable, "broke off"),
    "dropped": (Told(drop=True), "connection-broken", Unavailable, "broke"),
    "packed wrongly": (
        Told(body=b"nothing packed", headers={"Content-Encoding": "gzip"}),
        "answer-damaged",
        Corrupt,
        "unpacked",
    ),
    "a circle of redirects": (
        Told(status=302, headers={"Location": "/page"}),
        "too-many-redirects",
        Unavailable,
        "without end",
    ),
    "a redirect to nowhere": (
        Told(status=302, headers={"Location": "ftp://x/"}),
        "bad-address",
        Invalid,
        "ftp",
    ),
}


@pytest.mark.parametrize("name", NASTY)
def test_what_is_wrong_is_said_with_address_and_page(name: str) -> None:
    told, code, kind, said = NASTY[name]
    with ApiServer(lambda _: told) as server, pytest.raises(kind, match=said) as raised:
        read({"url": server.url, "path": "page", "pages": {"by": "page"}, **ONCE})
    assert raised.value.code == code
    assert raised.value.facts["page"] == "page 1"
    if name != "a redirect to nowhere":
        assert f"{server.url}/page" in raised.value.message
    assert len(server.asked) == (11 if "circle" in name else 1)


def test_an_answer_that_unpacks_without_end_is_stopped() -> None:
    import gzip

    bomb = Told(body=gzip.compress(b" " * (4 << 20)), headers={"Content-Encoding": "gzip"})
    with ApiServer(lambda _: bomb) as server, pytest.raises(Refused, match="1,000,000") as raised:
        read({"url": server.url, "largest_bytes": 1_000_000})
    assert raised.value.code == "answer-too-large"


def test_nobody_listening_is_an_error_of_its_own() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    clock = ManualClock(START)
    with pytest.raises(Unavailable, match="Nobody listens") as raised:
        read({"url": url}, clock=clock, random=Upper())
    assert raised.value.code == "connection-refused"
    assert clock.now() - START == timedelta(seconds=0.5 + 1 + 2 + 4)


def test_a_host_without_address_is_an_error_of_its_own() -> None:
    with pytest.raises(Unavailable, match=r"nowhere\.invalid") as raised:
        read({"url": "http://nowhere.invalid/", **ONCE})
    assert raised.value.code == "host-unknown"


def test_a_server_that_never_answers_is_an_error_of_its_own() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(Unavailable) as raised:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        read({"url": url, "read_timeout": 0.05, **ONCE})
    assert raised.value.code == "answer-too-late"


def test_a_certificate_is_trusted_only_where_its_authority_is(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    chain, key, ca_file = (tmp_path / name for name in ("chain.pem", "key.pem", "ca.pem"))
    chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    authority.cert_pem.write_to_path(str(ca_file))
    with ApiServer(Listing(RECORDS), certificate=(chain, key)) as server:
        options = {"url": server.url, "path": "page", "pages": {"by": "page"}}
        with pytest.raises(
            Refused, match=r"certificate of https://localhost.* not trusted"
        ) as raised:
            read(options)
        assert raised.value.code == "certificate-not-trusted"
        assert records_of(*read({**options, "ca_file": str(ca_file)})) == RECORDS
        with pytest.raises(Refused, match="not trusted"):
            read(
                {
                    **options,
                    "url": server.url.replace("localhost", "127.0.0.1"),
                    "ca_file": str(ca_file),
                }
            )
    key_as_ca = {"url": "https://localhost", "ca_file": str(key)}
    with pytest.raises(Invalid, match="no certificates"):
        read(key_as_ca)


def test_a_secure_address_leads_to_no_other() -> None:
    pytest.importorskip("trustme")
    # The client decides it alone: no server is needed to see where it would lead.
    from headgate.http import Answer, Bounds, Failed, HttpClient

    client = HttpClient(clock=ManualClock(START), bounds=Bounds())
    told = Answer(
        url="https://a/", status=302, headers={"location": "http://a/"}, body=b"", fetched_at=START
    )
    with pytest.raises(Failed) as raised:
        client._redirected("https://a/", "GET", None, told)
    assert raised.value.error.code == "redirect-refused"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"pages": {"by": "pages"}}, "pages.by is one of page, offset"),
        ({"pages": {"by": "offset"}}, "pages.size is needed"),
        ({"pages": {"by": "page", "sise": 3}}, "Did you mean size?"),
        ({"pages": {"by": "cursor"}}, "pages.next leads to"),
        ({"pages": {"by": "time", "start": "then"}}, "pages.parameters names the two"),
        ({"auth": {"bearer": "a", "basic": {}}}, "auth is one of"),
        ({"auth": {"bearer": 3}}, "auth.bearer is a text or a secret"),
        ({"rate": "often"}, "rate"),
        ({"retry": {"attempts": 0}}, "attempts is a whole number from 1"),
        ({"since": {"parameter": "x"}}, "since.field is missing"),
        ({"parallel": 0}, "parallel is a whole number from 1"),
        ({"url": "shop"}, "no address of a web server"),
        ({"path": "https://elsewhere.example/x"}, "another host"),
        ({"grows": True}, "lists in pages"),
        ({"include": {"a": "b"}}, "there is no parent="),
        ({"recrods": "data"}, "Did you mean records?"),
        ({"records": "a..b"}, "no path"),
        ({"method": "DELETE"}, "method is one of GET, POST"),
    ],
)
def test_a_wrong_declaration_is_refused_by_name(options: Mapping[str, object], said: str) -> None:
    with pytest.raises(Invalid) as raised:
        RestSource({"url": "https://api.example.org", **options}, setting())
    assert said in str(raised.value)


def test_what_an_answer_repeats_of_a_key_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    def answer(asked: Asked) -> Told:
        if asked.path == "/page":
            repeated = {"Location": f"/there?key={asked.query['key']}", "Set-Cookie": f"s={CANARY}"}
            return Told(status=302, headers=repeated)
        return told_json({"data": [{"id": 1}]})

    caplog.set_level(logging.DEBUG)
    with ApiServer(answer) as server:
        auth = {"api_key": secret("token"), "parameter": "key"}
        assert read({"url": server.url, "path": "page", "auth": auth}, reveal=reveal)
        assert CANARY not in caplog.text
        httpx2.get(f"{server.url}/page", params={"key": "another's"})
        assert "another" in caplog.text  # what others ask is logged as they wish


def test_nothing_is_logged_with_a_key_in_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with ApiServer(Listing(RECORDS)) as server:
        auth = {"api_key": secret("token"), "parameter": "key"}
        options = {"url": server.url, "path": "page", "pages": {"by": "page"}, "auth": auth}
        read(options, reveal=reveal)
        read({**options, "auth": {"bearer": secret("token")}}, reveal=reveal)
    assert CANARY not in caplog.text


def test_the_systems_proxy_is_used_but_for_the_hosts_it_leaves_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with ApiServer(Listing(RECORDS)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        read({"url": "http://nowhere.invalid/page"})
        assert proxy.asked[0].headers["host"] == "nowhere.invalid"
        monkeypatch.setenv("no_proxy", "nowhere.invalid")
        with pytest.raises(Unavailable) as raised:
            read({"url": "http://nowhere.invalid/page", **ONCE})
    assert raised.value.code == "host-unknown"


def test_a_cookie_of_one_answer_is_not_sent_with_the_next_request() -> None:
    link = {"Link": '</?page=2>; rel="next"', "Set-Cookie": "session=1; Path=/"}

    def answer(asked: Asked) -> Told:
        return Told(body=b"[]") if asked.query else Told(body=b"[]", headers=link)

    with ApiServer(answer) as server:
        read({"url": server.url, "pages": {"by": "link"}, "records": "$"})
    assert len(server.asked) == 2
    assert not [asked for asked in server.asked if "cookie" in asked.headers]


def test_an_answer_that_takes_too_long_in_all_is_stopped() -> None:
    clock = ManualClock(START)

    def slow(_: Asked) -> None:
        clock.move(timedelta(minutes=11))

    with ApiServer(Listing(RECORDS), fault=slow) as server, pytest.raises(Unavailable) as raised:
        read({"url": server.url, "path": "page", **ONCE}, clock=clock)
    assert raised.value.code == "answer-too-late"
