"""Commits are posted as signed parts that a receiver can put together, and tell when repeated."""

import base64
import datetime as dt
import decimal
import json
import logging
import socket
import ssl
from random import Random
from urllib.parse import urlsplit

import pyarrow as pa
import pytest
from hooks import receiver
from hypothesis import given
from hypothesis import strategies as st

from headgate.clock import ManualClock
from headgate.errors import HeadgateError, Invalid, Refused, Unavailable
from headgate.http import asked_wait
from headgate.secrets import Secret
from headgate.sinks import Delivery, Position, Setting, Sink, TableDelivery
from headgate.sinks.posting import plainly_shown
from headgate.sinks.webhook import WebhookSink
from headgate.sinks.webhook_parts import parts
from headgate.sinks.webhook_signing import signed_headers, signing_key

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_KEY = "whsec_" + base64.b64encode(b"another key of 32 bytes, at least"[:32]).decode()
NOW = dt.datetime(2026, 11, 20, 12, 0, tzinfo=dt.UTC)


@pytest.fixture
def hook():
    with receiver() as hook:
        yield hook


@pytest.fixture
def clock():
    return ManualClock(dt.datetime.now(dt.UTC).replace(microsecond=0))


def setting(clock, tmp_path, **secrets):
    def reveal(value):
        return secrets[value.name] if isinstance(value, Secret) else value

    return Setting(
        name="hook", lake="lake-1", root=tmp_path, cache=tmp_path, clock=clock, reveal=reveal
    )


@pytest.fixture
def sink(hook, clock, tmp_path):
    made = []

    def sink(**options):
        given = {"url": hook.url, "secret": Secret("key"), **options}
        made.append(
            WebhookSink(
                given,
                setting(clock, tmp_path, key=KEY, other=OTHER_KEY, url=hook.url, token="t0ken"),
                random=Random(1),
            )
        )
        return made[-1]

    yield sink
    for each in made:
        each.close()


def table(rows, *, name="orders", effect="insert", key=(), deleted=None, **more):
    def reader(table):
        def read():
            return pa.RecordBatchReader.from_batches(
                table.schema, table.to_batches(max_chunksize=3)
            )

        return read

    rows = rows if isinstance(rows, pa.Table) else pa.table(rows)
    return TableDelivery(
        table=name,
        to=f"public.{name}",
        effect=effect,
        schema=rows.schema,
        rows=reader(rows),
        key=key,
        deleted=reader(pa.table(deleted)) if deleted else None,
        **more,
    )


def delivery(*tables, commit="c2", number=2, after="c1"):
    return Delivery(
        position=Position(commit=commit, number=number),
        after=Position(commit=after, number=number - 1) if after else None,
        published=NOW,
        branch="main",
        run="7f3a",
        tables=tables,
    )


def put_together(data):
    """Do what a receiver does: rows and keys by table, over all parts of a commit."""
    found = {}
    for part in data:
        for each in part["tables"]:
            rows, deleted = found.setdefault(each["table"], ([], []))
            rows += each.get("rows", [])
            deleted += each.get("deleted", [])
    return found


# -- what is sent


def test_a_webhook_is_a_sink(sink):
    assert isinstance(sink(), Sink)
    assert not sink().remembers
    assert sink().position() is None


def test_a_small_commit_is_one_message_that_says_all(sink, hook):
    changed = table(
        {"id": [1, 2], "name": ["a", None]}, effect="upsert", key=("id",), deleted={"id": [3]}
    )
    assert sink().deliver(delivery(changed)) == {"orders": 3}
    (body,) = hook.bodies
    assert body == {
        "type": "headgate.commit",
        "timestamp": "2026-11-20T12:00:00Z",
        "data": {
            "lake": "lake-1",
            "sink": "hook",
            "branch": "main",
            "run": "7f3a",
            "commit": "c2",
            "number": 2,
            "after": "c1",
            "part": 1,
            "last": True,
            "tables": [
                {
                    "table": "orders",
                    "to": "public.orders",
                    "effect": "upsert",
                    "begins": True,
                    "key": ["id"],
                    "columns": [
                        {"name": "id", "type": "int64"},
                        {"name": "name", "type": "string"},
                    ],
                    "rows": [{"id": 1, "name": "a"}, {"id": 2, "name": None}],
                    "deleted": [{"id": 3}],
                }
            ],
        },
    }


def test_the_reference_library_verifies_every_message(sink, hook):
    standardwebhooks = pytest.importorskip("standardwebhooks")
    sink(most_rows=2).deliver(delivery(table({"id": list(range(7))})))
    assert len(hook.messages) == 4
    for headers, body in hook.messages:
        verified = standardwebhooks.Webhook(KEY).verify(body, headers)
        assert verified == json.loads(body)
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            standardwebhooks.Webhook(KEY).verify(body.replace(b'"id":1', b'"id":9') + b" ", headers)
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            standardwebhooks.Webhook(OTHER_KEY).verify(body, headers)


def test_the_signature_is_that_of_the_specification():
    headers = signed_headers(
        [signing_key(KEY, "hook")],
        id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        sent=dt.datetime.fromtimestamp(1614265330, dt.UTC),
        body=b'{"test": 2432232314}',
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_two_keys_sign_while_they_are_changed_over(sink, hook):
    standardwebhooks = pytest.importorskip("standardwebhooks")
    sink(secret=[Secret("key"), Secret("other")]).deliver(delivery(table({"id": [1]})))
    ((headers, body),) = hook.messages
    for key in (KEY, OTHER_KEY):
        standardwebhooks.Webhook(key).verify(body, headers)


def test_without_a_secret_nothing_is_signed(sink, hook):
    sink(secret=None).deliver(delivery(table({"id": [1]})))
    assert "webhook-signature" not in hook.messages[0][0]
    assert hook.messages[0][0]["webhook-id"]


def test_headers_of_the_user_go_with_it_and_secrets_are_revealed(sink, hook):
    sink(headers={"Authorization": Secret("token"), "x-shop": "1"}).deliver(
        delivery(table({"id": [1]}))
    )
    headers, _ = hook.messages[0]
    assert (headers["authorization"], headers["x-shop"]) == ("t0ken", "1")
    assert headers["content-type"] == "application/json"


def test_values_arrive_as_the_page_says(sink, hook):
    rows = pa.table(
        {
            "big": pa.array([2**63 - 1]),
            "price": pa.array([decimal.Decimal("1.10")]),
            "ratio": [float("nan")],
            "day": [dt.date(2026, 1, 2)],
            "at": pa.array([NOW], pa.timestamp("us", "UTC")),
            "local": pa.array([dt.datetime(2026, 1, 2, 3, 4)], pa.timestamp("us")),  # noqa: DTZ001
            "raw": [b"\x00\xff"],
            "tags": [["a", None]],
            "inner": [{"x": 1.5, "y": float("inf")}],
        }
    )
    sink().deliver(delivery(table(rows)))
    text = hook.messages[0][1].decode()
    (row,) = json.loads(text)["data"]["tables"][0]["rows"]
    assert '"price":1.10' in text
    assert row == {
        "big": 2**63 - 1,
        "price": 1.1,
        "ratio": "NaN",
        "day": "2026-01-02",
        "at": "2026-11-20T12:00:00Z",
        "local": "2026-01-02T03:04:00",
        "raw": "AP8=",
        "tags": ["a", None],
        "inner": {"x": 1.5, "y": "Infinity"},
    }


def test_a_commit_without_tables_is_no_message(sink, hook):
    assert sink().deliver(delivery()) == {}
    assert hook.messages == []


def test_a_table_without_rows_is_told_because_it_may_be_replaced_or_dropped(sink, hook):
    nothing = pa.table({"id": pa.array([], pa.int64())})
    emptied = table(nothing, effect="replace", whole=True)
    dropped = table(nothing, name="old", effect="drop")
    assert sink().deliver(delivery(emptied, dropped)) == {"orders": 0, "old": 0}
    (data,) = hook.data
    assert [(t["table"], t["effect"], t.get("whole", False)) for t in data["tables"]] == [
        ("orders", "replace", True),
        ("old", "drop", False),
    ]


# -- parts


tables = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 5), st.sampled_from(["upsert", "replace"])),
    min_size=1,
    max_size=4,
)


@given(tables, st.integers(1, 6), st.integers(1, 200))
def test_parts_put_together_are_the_commit_however_it_is_divided(
    tmp_path_factory, shape, rows, size
):
    tmp_path = tmp_path_factory.getbasetemp()
    given = [
        table({"n": list(range(count))}, name=f"t{number}", effect=effect, key=("n",),
              deleted={"n": list(range(100, 100 + gone))} if gone else None)
        for number, (count, gone, effect) in enumerate(shape)
    ]  # fmt: skip
    one = setting(ManualClock(), tmp_path)
    made = list(parts(delivery(*given), one, most_rows=rows, most_bytes=size))
    data = [json.loads(part.body)["data"] for part in made]
    assert [each["part"] for each in data] == list(range(1, len(data) + 1))
    assert [each["last"] for each in data] == [False] * (len(data) - 1) + [True]
    assert put_together(data) == {
        f"t{number}": (
            [{"n": n} for n in range(count)],
            [{"n": n} for n in range(100, 100 + gone)],
        )
        for number, (count, gone, _) in enumerate(shape)
    }
    for each in data:
        in_it = [row for t in each["tables"] for row in (*t.get("rows", ()), *t.get("deleted", ()))]
        assert len(in_it) <= rows
        assert len(in_it) <= 1 or sum(len(json.dumps(row)) - 1 for row in in_it) <= size
    begun = [t["table"] for each in data for t in each["tables"] if t.get("begins")]
    assert begun == [each.table for each in given]
    again = list(parts(delivery(*given), one, most_rows=rows, most_bytes=size))
    assert again == made


def test_ids_differ_by_part_commit_and_sink_and_are_the_same_when_repeated(sink, hook, clock):
    rows = table({"id": list(range(4))})
    first = sink(most_rows=2)
    first.deliver(delivery(rows))
    first.deliver(delivery(rows, commit="c3", number=3))
    clock.move(dt.timedelta(hours=1))
    first.deliver(delivery(rows))
    ids = [headers["webhook-id"] for headers, _ in hook.messages]
    assert len(set(ids[:4])) == 4
    assert ids[4:] == ids[:2]
    bodies = [body for _, body in hook.messages]
    assert bodies[4:] == bodies[:2]
    assert hook.messages[4][0]["webhook-timestamp"] != hook.messages[0][0]["webhook-timestamp"]
    assert not any("." in each for each in ids)


# -- what goes wrong


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_may_be_taken_later_is_sent_again_and_signed_anew(sink, hook, clock, status):
    hook.answers = [(status, {"retry-after": "7"}), None]
    began = clock.now()
    sink().deliver(delivery(table({"id": [1]})))
    assert len(hook.messages) == 3
    assert len({body for _, body in hook.messages}) == 1
    assert len({headers["webhook-id"] for headers, _ in hook.messages}) == 1
    assert clock.now() - began >= dt.timedelta(seconds=7)
    stamps = [int(headers["webhook-timestamp"]) for headers, _ in hook.messages]
    assert stamps[1] - stamps[0] >= 7


def test_a_receiver_that_is_down_is_left_behind_with_what_it_has(sink, hook):
    hook.usual = lambda count: (204, {}) if count == 1 else (503, {})
    with pytest.raises(Unavailable) as caught:
        sink(most_rows=1, attempts=3).deliver(delivery(table({"id": [1, 2, 3]})))
    assert caught.value.code == "webhook-unavailable"
    assert [each["part"] for each in hook.data] == [1, 2, 2, 2]
    hook.usual = lambda _: (200, {})
    hook.messages.clear()
    assert sink(most_rows=1).deliver(delivery(table({"id": [1, 2, 3]}))) == {"orders": 3}
    assert [each["part"] for each in hook.data] == [1, 2, 3]


@pytest.mark.parametrize(
    ("status", "code", "hint"),
    [
        (400, "webhook-refused", "log"),
        (401, "webhook-refused", "headers="),
        (403, "webhook-refused", "headers="),
        (404, "webhook-refused", "url="),
        (413, "webhook-refused", "most_bytes="),
        (501, "webhook-refused", "log"),
        (410, "webhook-gone", "url"),
    ],
)
def test_what_is_refused_is_not_sent_again(sink, hook, status, code, hint):
    hook.answers = [(status, {})]
    with pytest.raises(Refused) as caught:
        sink().deliver(delivery(table({"id": [1]})))
    assert caught.value.code == code
    assert hint in caught.value.hint
    assert str(status) in caught.value.message
    assert len(hook.messages) == 1


def test_a_redirect_is_not_followed_because_rows_would_go_elsewhere(sink, hook):
    hook.answers = [(307, {"location": "http://elsewhere.example/x?token=abc"})]
    with pytest.raises(Refused, match=r"leads to http://elsewhere\.example/x\.") as caught:
        sink().deliver(delivery(table({"id": [1]})))
    assert "abc" not in str(caught.value)
    assert len(hook.messages) == 1


def test_nobody_listening_is_said(clock, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    sink = WebhookSink(
        {"url": f"http://me:pass@127.0.0.1:{port}/x?key=1", "attempts": 2},
        setting(clock, tmp_path),
    )
    with pytest.raises(Unavailable, match=rf"Nobody listens at http://127\.0\.0\.1:{port}/x\."):
        sink.deliver(delivery(table({"id": [1]})))


def test_a_host_that_is_not_known_is_said(clock, tmp_path):
    sink = WebhookSink(
        {"url": "http://no.such.host.invalid/", "attempts": 1}, setting(clock, tmp_path)
    )
    with pytest.raises(Unavailable, match=r"http://no\.such\.host\.invalid/ is not known"):
        sink.deliver(delivery(table({"id": [1]})))


def test_a_certificate_is_trusted_by_its_authority_alone(hook, clock, tmp_path):
    trustme = pytest.importorskip("trustme")
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    server = HTTPServer(("127.0.0.1", 0), Taking)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        url = f"https://127.0.0.1:{server.server_port}/"
        sink = WebhookSink({"url": url}, setting(clock, tmp_path))
        with pytest.raises(Refused) as caught:
            sink.deliver(delivery(table({"id": [1]})))
        assert caught.value.code == "certificate-not-trusted"
        trusting = WebhookSink({"url": url, "ca_file": "ca.pem"}, setting(clock, tmp_path))
        trusting.deliver(delivery(table({"id": [1]})))
        trusting.close()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_an_address_that_is_secret_is_said_by_its_host_only(sink, hook):
    hook.answers = [(400, {})]
    made = sink(url=Secret("url"))
    assert made.describe().title == "secret('url')"
    with pytest.raises(Refused) as caught:
        made.deliver(delivery(table({"id": [1]})))
    assert "/hook" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


CANARY = "canary-7d1f0c"


def test_nothing_is_logged_with_a_secret_in_it(sink, hook, clock, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    port = urlsplit(hook.url).port
    url = f"http://{CANARY}:{CANARY}@127.0.0.1:{port}/hook/{CANARY}?key={CANARY}"
    options = {"url": Secret("url"), "headers": {"X-Token": Secret("token")}, "secret": KEY}
    made = WebhookSink(options, setting(clock, tmp_path, url=url, token=CANARY))
    made.deliver(delivery(table({"id": [1]})))
    hook.answers = [(400, {})]
    with pytest.raises(Refused) as caught:
        made.deliver(delivery(table({"id": [1]})))
    made.close()
    assert CANARY not in caplog.text
    assert CANARY not in str(caught.value)
    assert CANARY not in repr(caught.value.facts)


def test_a_user_in_the_address_is_sent_as_basic_authorization(sink, hook):
    sink(url=hook.url.replace("://", "://me:p%40ss@")).deliver(delivery(table({"id": [1]})))
    sent = hook.messages[0][0]["authorization"]
    assert base64.b64decode(sent.removeprefix("Basic ")) == b"me:p@ss"


@pytest.mark.parametrize("secret", ["short", "whsec_c2hvcnQ=", "no base64 at all!!", "whsec_"])
def test_a_key_that_is_none_is_refused_and_not_repeated(sink, hook, secret):
    with pytest.raises(Invalid, match="signing secret of the sink hook") as caught:
        sink(secret=secret).deliver(delivery(table({"id": [1]})))
    assert secret == "whsec_" or secret not in str(caught.value)
    assert hook.messages == []


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"url": "hooks.example.org"},
        {"url": "ftp://x"},
        {"url": "http://x", "most_rows": 0},
        {"url": "http://x", "most_rows": "many"},
        {"url": "http://x", "headers": ["a"]},
        {"url": "http://x", "headers": {"Webhook-Id": "a"}},
        {"url": "http://x", "secret": 4},
        {"url": "http://x", "secrets": "a"},
    ],
)
def test_options_that_cannot_be_meant_are_refused(options, clock, tmp_path):
    with pytest.raises(HeadgateError) as caught:
        WebhookSink(options, setting(clock, tmp_path))
    assert caught.value.code == "bad-option"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "12"}, 12),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "Fri, 20 Nov 2026 12:01:00 GMT"}, 60),
        (
            {"retry-after": "Fri, 20 Nov 2026 13:01:00 GMT",
             "date": "Fri, 20 Nov 2026 13:00:30 GMT"},
            30,
        ),
        ({"retry-after": "Fri, 20 Nov 2026 11:00:00 GMT"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_a_wait_is_read_as_seconds_or_as_a_date(headers, seconds):
    found = asked_wait(headers, NOW)
    assert found == (None if seconds is None else dt.timedelta(seconds=seconds))


def test_an_address_is_shown_without_what_may_be_secret():
    assert plainly_shown("https://me:pw@host:8443/a/b?token=x#y") == "https://host:8443/a/b"
    assert plainly_shown("https://host/T00/B00/xyz", path=False) == "https://host"
    assert plainly_shown("http://host:port/") == "the address"
