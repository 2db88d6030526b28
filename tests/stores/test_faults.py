"""What fails for a while is tried again; what fails for good is told apart, and leaves nothing."""

import hashlib
import os

import pytest

from headgate.errors import HeadgateError, Refused, Unavailable
from headgate.stores import Credentials
from headgate.testing.object_faults import Fault
from headgate.testing.object_places import bucket_at

LARGE = os.urandom(20 * 1024 * 1024)


def everything(bucket):
    return {file.path: file.size_bytes for file in bucket.list()}


PASSING = [
    {"status": 500},
    {"status": 503, "code": "SlowDown"},
    {"status": 429, "code": "TooManyRequests"},
    {"cut": "before"},
    {"cut": "after"},
    {"cut": "middle"},
]


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: "-".join(map(str, fault.values())))
@pytest.mark.parametrize("work", ["create", "upload", "read", "range", "size", "list", "delete"])
def test_what_fails_twice_and_then_goes_well_is_not_noticed(bucket, straight, faulty, work, fault):
    if (work, fault) == ("upload", {"cut": "middle"}):
        pytest.skip("the client does not repeat the beginning of an upload in parts")
    straight.create("there", b"content" * 1000)
    met = faulty.add(Fault(path="", times=2, **fault))
    match work:
        case "create":
            bucket.create("new", b"x")
            assert straight.read("new") == b"x"
        case "upload":
            with bucket.upload("new") as upload:
                for at in range(0, len(LARGE), 3_000_000):
                    upload.write(LARGE[at : at + 3_000_000])
            assert straight.read("new") == LARGE
            assert bucket.checksum("new") == f"sha256:{hashlib.sha256(LARGE).hexdigest()}"
        case "read":
            assert bucket.read("there") == b"content" * 1000
        case "range":
            assert bucket.read_range("there", 7, 7) == b"content"
        case "size":
            assert bucket.size("there") == 7000
        case "list":
            assert everything(bucket) == {"there": 7000}
        case "delete":
            bucket.delete(["there"])
            assert everything(straight) == {}
    assert met.seen


LASTING = [
    ({"status": 500}, Unavailable, "object-store-unavailable"),
    ({"status": 503, "code": "SlowDown"}, Unavailable, "object-store-unavailable"),
    ({"cut": "before"}, Unavailable, "object-store-unavailable"),
    ({"status": 400, "code": "ExpiredToken"}, Unavailable, "credentials-expired"),
    ({"status": 403, "code": "InvalidAccessKeyId"}, Refused, "credentials-unknown"),
    ({"status": 403, "code": "SignatureDoesNotMatch"}, Refused, "credentials-unknown"),
    ({"status": 403, "code": "AccessDenied"}, Refused, "access-denied"),
    ({"status": 404, "code": "NoSuchBucket"}, Refused, "bucket-missing"),
    ({"status": 301, "code": "PermanentRedirect"}, Refused, "wrong-region"),
    ({"status": 400, "code": "AuthorizationHeaderMalformed"}, Refused, "wrong-region"),
]


@pytest.mark.parametrize(("fault", "kind", "code"), LASTING)
@pytest.mark.parametrize("work", ["create", "upload", "read", "list", "delete"])
def test_what_fails_for_good_names_the_object_and_the_operation(
    bucket, straight, faulty, work, fault, kind, code
):
    straight.create("there", b"content")
    faulty.add(Fault(times=None, **fault))
    doing = {
        "create": ("writing", "there2", lambda: bucket.create("there2", b"x")),
        "upload": ("writing", "large", lambda: uploaded(bucket, "large")),
        "read": ("reading", "there", lambda: bucket.read("there")),
        "list": ("listing", "", lambda: list(bucket.list())),
        "delete": ("deleting", "there", lambda: bucket.delete(["there"])),
    }
    verb, key, act = doing[work]
    with pytest.raises(HeadgateError) as raised:
        act()
    error = raised.value
    assert (type(error), error.code) == (kind, code), str(error)
    assert bucket.url_of(key).rstrip("/") in str(error)
    assert verb in str(error) or work == "upload"
    assert error.readers == "Readers see what they saw before."
    assert error.hint
    faulty.mend()
    assert everything(straight) == {"there": 7}


def uploaded(bucket, key):
    with bucket.upload(key) as upload:
        upload.write(LARGE)


def test_an_upload_that_fails_in_the_middle_leaves_nothing(bucket, straight, faulty):
    faulty.add(Fault(method="PUT", path="partNumber=2", status=500, times=None))
    with pytest.raises(Unavailable):
        uploaded(bucket, "large")
    assert everything(straight) == {}


def test_an_upload_that_is_abandoned_leaves_nothing(bucket, straight, faulty):
    with pytest.raises(KeyError), bucket.upload("large") as upload:
        upload.write(LARGE)
        raise KeyError("the query failed")
    assert everything(straight) == {}
    assert any(request.startswith("DELETE") for request in faulty.requests)  # its parts, too
    with pytest.raises(KeyError), bucket.upload("small") as upload:
        upload.write(b"x")
        raise KeyError("the query failed")
    assert everything(straight) == {}


def test_an_object_appears_only_when_it_is_whole(bucket, straight):
    upload = bucket.upload("large")
    upload.write(LARGE)
    assert everything(straight) == {}
    upload.finish()
    upload.finish()
    assert everything(straight) == {"large": len(LARGE)}


@pytest.mark.parametrize("size", [0, 1, 8 * 1024 * 1024, 8 * 1024 * 1024 + 1, len(LARGE)])
def test_a_name_is_given_once_to_uploads_too(bucket, straight, size):
    straight.create("taken", b"mine")
    with pytest.raises(FileExistsError), bucket.upload("taken") as upload:
        upload.write(LARGE[:size])
    assert straight.read("taken") == b"mine"
    with bucket.upload("free") as upload:
        upload.write(LARGE[:size])
    assert straight.size("free") == size


def test_a_put_whose_answer_was_lost_is_known_as_ours(bucket, straight, faulty):
    lost = faulty.add(Fault(method="PUT", path="mine", cut="after"))
    bucket.create("mine", b"content")
    assert lost.seen
    assert len([each for each in faulty.requests if each.startswith("PUT")]) == 2
    assert straight.read("mine") == b"content"


def test_a_lost_answer_does_not_make_anothers_object_ours(bucket, straight, faulty):
    straight.create("theirs", b"other 7")
    faulty.add(Fault(method="PUT", path="theirs", cut="before"))
    with pytest.raises(FileExistsError):
        bucket.create("theirs", b"content")
    assert straight.read("theirs") == b"other 7"


def test_an_answer_that_never_comes_is_given_up(faulty, prefix):
    faulty.add(Fault(stall=True, times=None))
    bucket = bucket_at(faulty.endpoint, prefix, retries=1, patience_s=2.0, timeout_s=0.3)
    with pytest.raises(Unavailable) as raised:
        bucket.read("there")
    assert raised.value.code == "object-store-unavailable"
    assert "in time" in raised.value.message


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [("http://127.0.0.1:1", "nobody listens"), ("http://no.such.host.invalid", "not known")],
)
def test_a_server_that_is_not_there_is_said_to_be(endpoint, said):
    bucket = bucket_at(endpoint, "x", retries=1, patience_s=2.0)
    with pytest.raises(Unavailable) as raised:
        bucket.create("there", b"1")
    assert raised.value.code == "object-store-unavailable"
    assert said in raised.value.message


def test_no_error_shows_a_key(object_server, faulty, prefix):
    keys = Credentials(
        access_key_id="AKIASHOWNNOWHERE", secret_access_key="s3cr3t", session_token="t0k3n"
    )
    bucket = bucket_at(faulty.endpoint, prefix, credentials=keys, retries=0)
    shown = [repr(bucket), repr(bucket.options), repr(keys), str(bucket.options)]
    for code in ("InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "ExpiredToken"):
        faulty.mend()
        faulty.add(Fault(status=403, code=code, times=None))
        with pytest.raises(HeadgateError) as raised:
            bucket.create("x", b"1")
        shown += [str(raised.value), repr(raised.value), str(dict(raised.value.facts))]
    for text in shown:
        for secret in ("AKIASHOWNNOWHERE", "s3cr3t", "t0k3n"):
            assert secret not in text
