"""Where a store is and with which keys it is reached, read as AWS's own tools read it."""

import pickle

import pytest

from headgate.errors import Invalid
from headgate.stores import Credentials, StoreOptions, found_credentials, parse_address
from headgate.stores.options import checked_endpoint

ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "ours", "AWS_SECRET_ACCESS_KEY": "secret"}


@pytest.fixture
def home(tmp_path):
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text(
        "[default]\naws_access_key_id = default-id\naws_secret_access_key = a%b=c\n"
        "[work]\naws_access_key_id = work-id\naws_secret_access_key = work-key\n"
        "aws_session_token = work-token\n"
    )
    (tmp_path / ".aws/config").write_text(
        "[default]\nregion = eu-west-1\n[profile work]\nregion = us-west-2\n"
        "endpoint_url = https://work.example\n[profile signs-in]\nsso_session = x\n"
    )
    return {"HOME": str(tmp_path)}


def keys(options):
    found = options.credentials
    return (found.access_key_id, found.secret_access_key, found.session_token) if found else None


def test_the_environment_comes_first(home):
    found = found_credentials(StoreOptions(), {**home, **ENVIRONMENT, "AWS_REGION": "eu-north-1"})
    assert (keys(found), found.region) == (("ours", "secret", None), "eu-north-1")


def test_then_the_default_profile(home):
    found = found_credentials(StoreOptions(), home)
    assert (keys(found), found.region) == (("default-id", "a%b=c", None), "eu-west-1")


def test_or_the_profile_that_is_named(home):
    found = found_credentials(StoreOptions(), {**home, "AWS_PROFILE": "work"})
    assert keys(found) == ("work-id", "work-key", "work-token")
    assert (found.region, found.endpoint) == ("us-west-2", "https://work.example")


def test_what_is_set_stands(home):
    given = StoreOptions(endpoint="https://own.example", region="r-1")
    found = found_credentials(given, {**home, "AWS_PROFILE": "work"})
    assert (found.endpoint, found.region) == ("https://own.example", "r-1")


def test_nothing_found_leaves_it_to_the_machines_role(tmp_path):
    assert keys(found_credentials(StoreOptions(), {"HOME": str(tmp_path)})) is None


def test_a_containers_role_is_not_hidden_by_a_default_profile(home):
    role = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials"}
    assert keys(found_credentials(StoreOptions(), {**home, **role})) is None


@pytest.mark.parametrize("profile", ["nobody", "signs-in"])
def test_a_profile_that_is_named_and_cannot_be_used_is_refused(home, profile):
    with pytest.raises(Invalid) as raised:
        found_credentials(StoreOptions(), {**home, "AWS_PROFILE": profile})
    assert raised.value.code == "profile-unusable"


def test_a_broken_file_is_refused_only_where_somebody_named_a_profile(tmp_path):
    broken = tmp_path / "credentials"
    broken.write_text("no section\n")
    environment = {"HOME": str(tmp_path), "AWS_SHARED_CREDENTIALS_FILE": str(broken)}
    assert keys(found_credentials(StoreOptions(), environment)) is None
    with pytest.raises(Invalid):
        found_credentials(StoreOptions(), {**environment, "AWS_PROFILE": "x"})


@pytest.mark.parametrize("variable", ENVIRONMENT)
def test_half_of_the_credentials_is_an_error(variable):
    with pytest.raises(Invalid) as raised:
        found_credentials(StoreOptions(), {variable: "x"})
    assert raised.value.code == "credentials-incomplete"
    assert raised.value.facts["variable"] in ENVIRONMENT.keys() - {variable}


@pytest.mark.parametrize(
    ("url", "bucket", "prefix"),
    [
        ("s3://lake", "lake", ""),
        ("s3://lake/", "lake", ""),
        ("s3://my.lake-1/a/b/", "my.lake-1", "a/b"),
        ("s3://lake/ä ö/=&+", "lake", "ä ö/=&+"),
    ],
)
def test_addresses(url, bucket, prefix):
    address = parse_address(url)
    assert (address.bucket, address.prefix) == (bucket, prefix)
    assert parse_address(address.url) == address


BAD = ["s3://", "s3:///x", "s3://a", "s3://Lake/x", "s3://lake/..", "s3://lake/a//b", "lake/x",
       "s3://lake/a*b", "s3://lake/a%20b", "s3://lake/[x]", "s3://user:pw@lake/x"]  # fmt: skip


@pytest.mark.parametrize("url", BAD)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(Invalid) as raised:
        parse_address(url)
    assert raised.value.code == "bad-location"
    assert "pw" not in f"{raised.value} {raised.value.facts}"


@pytest.mark.parametrize("endpoint", ["", "x", "ftp://x", "http://", "https://u:p@x", "//x", "1:2",
                                      "https://x:99999", "https://x?y"])  # fmt: skip
def test_what_is_no_endpoint_is_refused(endpoint):
    with pytest.raises(Invalid) as raised:
        checked_endpoint(endpoint, allow_http=True)
    assert raised.value.code == "bad-endpoint"


def test_an_endpoint_is_encrypted_unless_the_opposite_is_allowed():
    assert checked_endpoint("https://x:9000/", allow_http=False) == "https://x:9000"
    assert checked_endpoint("http://127.0.0.1:9000", allow_http=True) == "http://127.0.0.1:9000"
    with pytest.raises(Invalid):
        checked_endpoint("http://127.0.0.1:9000", allow_http=False)


def test_keys_are_shown_by_no_repr_and_travel():
    options = StoreOptions(
        credentials=Credentials(access_key_id="ID", secret_access_key="KEY", session_token="TOK")
    )
    for secret in ("ID'", "KEY", "TOK"):
        assert secret not in repr(options)
    assert pickle.loads(pickle.dumps(options)) == options
