"""Connections are settings, laid under what a step declares, and under profile and variable."""

import datetime as dt

import pytest

from headgate.errors import HeadgateError
from headgate.project import read_settings
from headgate.project.connections import connected
from headgate.secrets import Secret

FILE = """
[connections.shop]
host = "localhost"
port = 5432
tls = false
password = { secret = "shop-db" }
headers = { Accept = "text/csv", Authorization = { secret = "token" } }

[connections.file-store]
url = "https://me:planted@store.example/x"

[profile.prod.connections.shop]
host = "db.example"
headers = { Accept = "application/json" }
"""


@pytest.fixture
def read(tmp_path):
    def read(source=FILE, environment=None, profile=None):
        (tmp_path / "headgate.toml").write_text(source)
        return read_settings(tmp_path, environment=environment or {}, profile=profile)

    return read


def refused(call, *arguments, **named):
    with pytest.raises(HeadgateError) as caught:
        call(*arguments, **named)
    return caught.value


def test_a_connection_holds_options_with_secrets_by_name(read):
    assert read().connections["shop"] == {
        "host": "localhost",
        "port": 5432,
        "tls": False,
        "password": Secret("shop-db"),
        "headers": {"Accept": "text/csv", "Authorization": Secret("token")},
    }


def test_a_profile_changes_only_what_it_names(read):
    shop = read(profile="prod").connections["shop"]
    assert (shop["host"], shop["port"]) == ("db.example", 5432)
    assert shop["headers"] == {"Accept": "application/json", "Authorization": Secret("token")}


def test_a_profile_can_add_a_connection(read):
    settings = read('[profile.prod.connections.new]\nurl = "x"\n', profile="prod")
    assert settings.connections == {"new": {"url": "x"}}


def test_a_variable_lies_over_all_of_them_with_the_types_of_the_file(read):
    settings = read(
        environment={
            "HEADGATE_CONNECTION_SHOP__HOST": "over.example",
            "HEADGATE_CONNECTION_SHOP__PORT": "15432",
            "HEADGATE_CONNECTION_SHOP__TLS": "true",
            "HEADGATE_CONNECTION_SHOP__USER": "007",
            "HEADGATE_CONNECTION_FILE_STORE__URL": "https://other.example",
            "HEADGATE_CONNECTION_FRESH__URL": "y",
        },
        profile="prod",
    )
    shop = settings.connections["shop"]
    assert (shop["host"], shop["port"], shop["tls"]) == ("over.example", 15432, True)
    assert shop["user"] == "007"
    assert settings.connections["file-store"] == {"url": "https://other.example"}
    assert settings.connections["fresh"] == {"url": "y"}


def test_what_is_written_in_plain_is_known_and_not_shown(read):
    settings = read(
        environment={"HEADGATE_CONNECTION_SHOP__PASSWORD": "canary-1"},
        source=FILE + '[lake]\nmetastore = "postgresql://me:canary-2@host/db"\n',
    )
    assert {"planted", "canary-1", "canary-2"} <= set(settings.credentials)
    assert not any(each in repr(settings) for each in settings.credentials)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"HEADGATE_CONNECTION_SHOP_HOST": "x"}, "names no option of a connection"),
        ({"HEADGATE_CONNECTION_SHOP__PORT": "many"}, "takes a value like 5432"),
        ({"HEADGATE_CONNECTION_SHOP__TLS": "perhaps"}, "takes a value like False"),
    ],
)
def test_a_variable_that_does_not_fit_is_named(read, environment, words):
    error = refused(read, environment=environment)
    assert words in error.message
    assert next(iter(environment)) in error.message


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ('connections.shop = "url"\n', "line 1: connections.shop is a table of options"),
        ('[connections]\n\nshop = "url"\n', "line 3: connections.shop is a table of options"),
        ("[connections.'a b']\n", "'a b' cannot name a connection"),
        ('[connections.a]\nconnection = "b"\n', "has 'connection' among its options"),
        ('[connections.a]\npassword = { secret = "not a name" }\n', "this is no name"),
        ("connections = 4\n", "connections is a table of settings"),
    ],
)
def test_what_is_no_connection_is_refused_with_its_place(read, source, words):
    assert words in refused(read, source).message


def test_declared_options_lie_over_the_connections():
    when = dt.date(2026, 1, 1)
    shop = {"shop": {"host": "a", "since": when, "headers": {"A": "1", "B": "2"}}}
    options = {"connection": "shop", "table": "orders", "host": "b", "headers": {"B": "3"}}
    assert connected(shop, options) == {
        "host": "b",
        "since": when,
        "table": "orders",
        "headers": {"A": "1", "B": "3"},
    }
    assert connected(shop, {"table": "orders"}) == {"table": "orders"}


def test_a_declared_secret_takes_the_place_of_a_value():
    found = connected({"shop": {"password": {"secret": "a"}}}, {
        "connection": "shop", "password": {"secret": "b"},
    })  # fmt: skip
    assert found == {"password": {"secret": "b"}}


def test_an_unknown_connection_is_refused_with_what_was_meant():
    error = refused(connected, {"shop": {}, "store": {}}, {"connection": "shpo"})
    assert error.code == "unknown-connection"
    assert error.hint == "Did you mean shop?"
    assert refused(connected, {}, {"connection": "shop"}).hint == (
        "Add a table [connections.shop]."
    )
    assert refused(connected, {}, {"connection": 4}).code == "bad-option"


def test_providers_are_those_of_the_settings(read):
    assert read("").secret_providers == ("environment", "directory")
    settings = read(
        '[secrets.env-file]\npath = "~/x.env"\n[profile.p.secrets.env-file]\npath="y"\n'
    )
    assert settings.secret_providers == ("environment", "directory", "env-file")
    assert settings.secret_options == {"env-file": {"path": "~/x.env"}}
    settings = read('[secrets]\nproviders = ["keyring"]\nkeyring = { service = "shop" }\n')
    assert settings.secret_providers == ("keyring",)
    assert settings.secret_options == {"keyring": {"service": "shop"}}
    assert read("", {"HEADGATE_SECRETS_PROVIDERS": "a, b"}).secret_providers == ("a", "b")


def test_variables_of_secrets_are_no_settings(read):
    read("", {"HEADGATE_SECRET_SHOP": "x", "HEADGATE_SECRET_PROVIDERS": "y"})
    assert refused(read, "", {"HEADGATE_SECRETS_PROVIDER": "x"}).code == "unknown-setting"
