"""Each provider gives what is there, says nothing of what is not, and names what is wrong."""

import os
import sys

import pytest

from headgate.access import (
    DirectorySecrets,
    EnvironmentFileSecrets,
    EnvironmentSecrets,
    KeyringSecrets,
    Place,
    Revealer,
    SecretProvider,
)
from headgate.errors import Invalid, NotFound, Refused, Unavailable
from headgate.redaction import Redaction
from headgate.secrets import (
    Secret,
    is_sensitive,
    named_secrets,
    no_secrets,
    plain_credentials,
    secret,
    with_secrets,
)


@pytest.fixture
def project(tmp_path):
    root = tmp_path / "repository" / "shop"
    root.mkdir(parents=True)
    (root.parent / ".git").mkdir()
    return root


def place(root, **environment):
    return Place(root=root, environment=environment)


# -- names


@pytest.mark.parametrize("name", ["shop", "team/shop", "SHOP_TOKEN", "shop.v2", "1password", "a-b"])
def test_a_name_is_taken(name):
    assert repr(secret(name)) == f"secret({name!r})"


@pytest.mark.parametrize("value", ["", "hunter2!", "a b", "../shop", "a//b", "/etc/passwd", "a\n"])
def test_what_is_no_name_is_refused_and_not_repeated(value):
    with pytest.raises(Invalid) as caught:
        secret(value)
    assert caught.value.code == "bad-secret-name"
    assert not value or value not in str(caught.value)


def test_a_secret_cannot_be_put_into_a_text():
    with pytest.raises(Invalid, match="secret\\('shop'\\) was put into a text"):
        f"Bearer {secret('shop')}"
    with pytest.raises(Invalid):
        "Bearer {}".format(secret("shop"))


def test_options_are_json_able_with_names_and_come_back():
    options = {"a": secret("x"), "b": [secret("y"), 1], "c": {"d": (secret("z"),)}, "e": "text"}
    named = named_secrets(options)
    assert named == {
        "a": {"secret": "x"},
        "b": [{"secret": "y"}, 1],
        "c": {"d": ({"secret": "z"},)},
        "e": "text",
    }
    assert with_secrets(named) == options


def test_where_nothing_reveals_a_plain_text_passes():
    assert no_secrets("text") == "text"
    with pytest.raises(Refused):
        no_secrets(Secret("shop"))


@pytest.mark.parametrize(
    "option",
    ["password", "db_password", "PASSWORD", "apiKey", "api-key", "x-api-key", "access_token",
     "clientSecret", "Authorization", "private_key", "passphrase", "sas_token"],
)  # fmt: skip
def test_an_option_to_keep_is_known_by_its_name(option):
    assert is_sensitive(option)


@pytest.mark.parametrize(
    "option",
    ["key", "primary_key", "sort_key", "token_url", "next_token", "page_token", "password_file",
     "secretary", "bypass", "compass", "keys", "cursor"],
)  # fmt: skip
def test_other_options_are_not(option):
    assert not is_sensitive(option)


def test_plain_credentials_are_found_also_in_urls():
    options = {
        "password": "one",
        "url": "postgresql://me:tw%40o@host/db?x=1",
        "headers": {"Authorization": "Bearer three"},
        "address": "https://host/path?page=4&api_key=f%20our",
        "user": "me",
        "port": 5432,
        "urls": ["mysql://a:five@b"],
    }
    assert set(plain_credentials(options)) == {
        "one", "tw%40o", "tw@o", "Bearer three", "f%20our", "f our", "five",
    }  # fmt: skip


# -- the environment


def test_a_variable_for_it_comes_before_one_of_its_name(project):
    found = EnvironmentSecrets(
        {}, place(project, HEADGATE_SECRET_TEAM_SHOP="a", SHOP="b", EMPTY="")
    )
    assert found.get("team/shop") == "a"
    assert found.get("SHOP") == "b"
    assert found.get("EMPTY") is None
    assert found.get("other") is None
    assert list(found.names()) == ["team_shop"]


# -- a directory


@pytest.mark.parametrize(
    ("written", "given"),
    [(b"abc", "abc"), (b"abc\n", "abc"), (b"abc\r\n", "abc"), (b"abc\n\n", "abc\n"),
     (b" a b ", " a b "), (b"\xef\xbb\xbfabc", "abc"), ("pässwörd".encode(), "pässwörd")],
)  # fmt: skip
def test_a_file_is_the_secret_without_its_last_line_end(project, written, given):
    (project / "mounted").mkdir()
    (project / "mounted" / "shop").write_bytes(written)
    assert DirectorySecrets({"path": "mounted"}, place(project)).get("shop") == given


def test_kubernetes_links_are_followed(project):
    (project / "m" / "..2026").mkdir(parents=True)
    (project / "m" / "..2026" / "shop").write_text("abc")
    (project / "m" / "..data").symlink_to("..2026")
    (project / "m" / "shop").symlink_to("..data/shop")
    found = DirectorySecrets({"path": "m"}, place(project))
    assert found.get("shop") == "abc"
    assert found.names() == ["shop"]


def test_what_is_not_there_is_not_known(project):
    (project / "m" / "directory").mkdir(parents=True)
    (project / "m" / "file").touch()
    for name in ("shop", "directory", "file/below", "x" * 300):
        assert DirectorySecrets({"path": "m"}, place(project)).get(name) is None
    assert DirectorySecrets({"path": "nowhere"}, place(project)).names() == []


@pytest.mark.parametrize("written", [b"\xff\xfe", b"a\0b", b"x" * (1 << 20) + b"y"])
def test_a_file_that_is_no_text_is_named(project, written):
    (project / "shop").write_bytes(written)
    with pytest.raises(Invalid, match="shop holds no secret") as caught:
        DirectorySecrets({"path": "."}, place(project)).get("shop")
    assert caught.value.code == "secret-not-text"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_file_that_may_not_be_read_stops_the_search(project):
    (project / "shop").write_text("abc")
    (project / "shop").chmod(0)
    with pytest.raises(Unavailable):
        DirectorySecrets({"path": "."}, place(project)).get("shop")


# -- a file of lines

LINES = r"""
# comment
PLAIN=a b # comment
export EXPORTED=x#y
HEADGATE_SECRET_SHOP = "quoted # \"text\"\nwith $LINES"   # comment
SINGLE='as\n it "is"'
EMPTY=
KEY="-----BEGIN
abc
-----END"
TWICE=1
TWICE=2
"""


def test_lines_are_read_as_shells_do(project, tmp_path):
    (tmp_path / "shop.env").write_text(LINES)
    found = EnvironmentFileSecrets({"path": str(tmp_path / "shop.env")}, place(project))
    assert found.get("PLAIN") == "a b"
    assert found.get("EXPORTED") == "x#y"
    assert found.get("shop") == 'quoted # "text"\nwith $LINES'
    assert found.get("SINGLE") == r'as\n it "is"'
    assert found.get("EMPTY") == ""
    assert found.get("KEY") == "-----BEGIN\nabc\n-----END"
    assert found.get("TWICE") == "2"
    assert found.get("other") is None


def test_home_is_the_users(project, tmp_path):
    (tmp_path / "shop.env").write_text("A=1")
    found = EnvironmentFileSecrets({"path": "~/shop.env"}, place(project, HOME=str(tmp_path)))
    assert found.get("A") == "1"


def test_a_file_that_is_not_there_knows_nothing(project):
    assert EnvironmentFileSecrets({"path": "/nowhere/x.env"}, place(project)).get("A") is None


@pytest.mark.parametrize("path", [".env", "../.env", "link.env"])
def test_a_file_inside_of_the_repository_is_refused(project, path):
    (project / ".env").write_text("A=canary")
    (project.parent / ".env").write_text("A=canary")
    (project / "link.env").symlink_to(".env")
    with pytest.raises(Refused, match="would be committed") as caught:
        EnvironmentFileSecrets({"path": path}, place(project)).get("A")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("line", ["no equals sign", '="canary"', 'A="canary', "A='canary", "1A=x"])
def test_a_line_that_is_none_is_named_by_number_and_not_shown(project, tmp_path, line):
    (tmp_path / "x.env").write_text(f"\nB=1\n{line}\n")
    with pytest.raises(Invalid, match=r"x\.env, line 3") as caught:
        EnvironmentFileSecrets({"path": str(tmp_path / "x.env")}, place(project)).get("B")
    assert "canary" not in str(caught.value)


def test_the_file_must_be_named(project):
    with pytest.raises(Invalid, match="not told which file"):
        EnvironmentFileSecrets({}, place(project))


# -- the keyring


@pytest.fixture
def keyring():
    keyring = pytest.importorskip("keyring")
    from keyring.backend import KeyringBackend
    from keyring.errors import KeyringLocked

    class Memory(KeyringBackend):
        priority = 1
        held: dict[tuple[str, str], str] = {}  # noqa: RUF012

        def get_password(self, service, username):
            if username == "locked":
                raise KeyringLocked("it is locked")
            return self.held.get((service, username))

        def set_password(self, service, username, password):
            self.held[service, username] = password

        def delete_password(self, service, username):
            del self.held[service, username]

    before = keyring.get_keyring()
    keyring.set_keyring(Memory())
    yield keyring
    keyring.set_keyring(before)


def test_the_keyring_is_asked(project, keyring):
    keyring.set_password("headgate", "shop", "a")
    keyring.set_password("company", "shop", "b")
    assert KeyringSecrets({}, place(project)).get("shop") == "a"
    assert KeyringSecrets({"service": "company"}, place(project)).get("shop") == "b"
    assert KeyringSecrets({}, place(project)).get("other") is None


def test_a_keyring_that_is_locked_is_named(project, keyring):
    with pytest.raises(Unavailable, match="it is locked") as caught:
        KeyringSecrets({}, place(project)).get("locked")
    assert caught.value.code == "keyring-unavailable"


def test_without_the_library_it_is_named(project, monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(Unavailable) as caught:
        KeyringSecrets({}, place(project)).get("shop")
    assert caught.value.code == "library-missing"
    assert caught.value.hint == "pip install headgate[keyring]"


# -- all of them


@pytest.mark.parametrize(
    "make", [EnvironmentSecrets, DirectorySecrets, EnvironmentFileSecrets, KeyringSecrets]
)
def test_an_unknown_option_is_refused_with_what_was_meant(project, make):
    with pytest.raises(Invalid) as caught:
        make({"pth": "x"}, place(project))
    assert caught.value.code == "unknown-option"


class Fixed:
    def __init__(self, label, **values):
        self.label, self.values, self.asked = label, values, []

    def get(self, name):
        self.asked.append(name)
        found = self.values.get(name)
        if isinstance(found, Exception):
            raise found
        return found

    def where(self, name):
        return f"{name} in {self.label}"

    def names(self):
        return list(self.values)


def test_providers_are_asked_in_order_and_anew_each_time():
    first, second = (
        Fixed("first", shop="one-value"),
        Fixed("second", shop="two", other="other-value"),
    )
    assert isinstance(first, SecretProvider)
    redaction = Redaction()
    reveal = Revealer(lambda: [first, second], redaction)
    assert reveal(secret("shop")) == "one-value"
    assert reveal(secret("other")) == "other-value"
    assert second.asked == ["other"]
    first.values["shop"] = "rotated-value"
    assert reveal(secret("shop")) == "rotated-value"
    assert redaction.text("one-value rotated-value other-value") == (
        "secret('shop') secret('shop') secret('other')"
    )


def test_a_plain_text_asks_nobody():
    assert Revealer(lambda: pytest.fail("asked"), Redaction())("text") == "text"


def test_one_that_fails_stops_the_search():
    failing = Fixed("first", shop=Unavailable("down", "it is down"))
    with pytest.raises(Unavailable):
        Revealer(lambda: [failing, Fixed("second", shop="x")], Redaction())(secret("shop"))


def test_where_nobody_knows_it_all_places_are_named():
    reveal = Revealer(lambda: [Fixed("a", shop="x"), Fixed("b")], Redaction())
    with pytest.raises(NotFound, match="sohp in a, sohp in b") as caught:
        reveal(secret("sohp"))
    assert caught.value.hint == "Did you mean secret('shop')?"


@pytest.mark.parametrize("value", ["", " ", "\n"])
def test_an_empty_value_is_refused(value):
    with pytest.raises(Invalid, match="is empty: looked into shop in a"):
        Revealer(lambda: [Fixed("a", shop=value)], Redaction())(secret("shop"))
