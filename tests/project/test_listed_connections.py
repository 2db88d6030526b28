"""``headgate connections`` and the doctor name what is secret and what should be, and show none."""

import json

import pytest

from headgate.cli.commands import answer
from headgate.project.plain_credentials import lines_with_credentials

SETTINGS = """
[project]
name = "shop"
pipelines = ["pipe.py"]
[connections.shop]
url = "postgresql://me:canary-1@localhost/shop"
api_key = "canary-2"
password = { secret = "shop-db" }
headers = { Authorization = { secret = "nobody-knows" }, Accept = "text/csv" }
[connections.spare]
host = "localhost"
"""
PIPELINE = """
import headgate as hg

orders = hg.source("files", paths=("*.csv",), connection="shop")
"""


@pytest.fixture
def shop(write, tmp_path, monkeypatch):
    write("headgate.toml", SETTINGS)
    write("pipe.py", PIPELINE)
    monkeypatch.setenv("HEADGATE_SECRET_SHOP_DB", "canary-3")
    monkeypatch.chdir(tmp_path)


def test_connections_are_listed_without_secrets(shop, capfd):
    assert answer(["connections"]) == 6
    out, err = capfd.readouterr()
    assert [line.split() for line in out.splitlines()] == [
        ["connection", "option", "value", "secret"],
        ["shop", "url", "postgresql://me:***@localhost/shop"],
        ["shop", "api_key", "***"],
        ["shop", "password", "secret('shop-db')", "known"],
        ["shop", "headers.Authorization", "secret('nobody-knows')", "nobody", "knows", "it"],
        ["shop", "headers.Accept", "text/csv"],
        ["spare", "host", "localhost"],
    ]
    assert err == "Used by no step and no sink: spare.\n"
    assert "canary" not in out + err


def test_connections_as_json_say_who_uses_them(shop, capfd):
    answer(["connections", "--json"])
    out, _ = capfd.readouterr()
    shop, spare = json.loads(out)["connections"]
    assert shop["used_by"] == ["orders"]
    assert shop["secrets"] == [
        {"option": "password", "name": "shop-db", "trouble": None},
        {
            "option": "headers.Authorization",
            "name": "nobody-knows",
            "trouble": "nobody knows it",
        },
    ]
    assert spare["used_by"] == []
    assert "canary" not in out


def test_no_connections_are_said_to_be_none(write, tmp_path, monkeypatch, capfd):
    write("headgate.toml", "")
    monkeypatch.chdir(tmp_path)
    assert answer(["connections"]) == 0
    assert "no connections" in capfd.readouterr().err


def test_the_doctor_says_where_passwords_are_written_in_plain(shop, capfd):
    answer(["doctor"])
    out, err = capfd.readouterr()
    assert "written in plain: headgate.toml:6, headgate.toml:7" in out
    assert "canary" not in out + err


PLAIN = '''
url = "postgresql://me:canary@host/db"
again = hg.source("x", password="canary")
OPTIONS = {"api_key": "canary"}
API_TOKEN = "canary"
page = f"https://host/?api_key=canary&x={1}"
text = """
several lines with mysql://a:canary@b
"""
'''
NOT_PLAIN = """
url = "postgresql://me@host/db"
doc = "postgresql://USER:<password>@HOST/DATABASE and mysql://me:$PASSWORD@host, https://x/?token=..."
template = "https://me:{password}@host"
ok = hg.source("x", password=hg.secret("shop"), token=os.environ["TOKEN"], key="id")
other = hg.source("x", password={"secret": "shop"}, token="", next_token="next_page_token")
"""


def found(write, tmp_path, name, text):
    write(name, text)
    return [line for file, line in lines_with_credentials(tmp_path) if file == name]


def test_lines_of_python_are_found(write, tmp_path):
    assert found(write, tmp_path, "a.py", PLAIN) == [2, 3, 4, 5, 6, 7]


def test_names_and_places_for_passwords_are_none(write, tmp_path):
    assert found(write, tmp_path, "a.py", NOT_PLAIN) == []


def test_lines_of_settings_and_yaml_are_found(write, tmp_path):
    settings = (
        '[a]\npassword = "canary"\n# password = "x"\nkey = "id"\npassword = { secret = "a" }\n'
        'connections.b.token = "canary"\n[secrets.env-file]\npath = "x"\n'
    )
    assert found(write, tmp_path, "other.toml", settings) == [2, 6]
    yaml = (
        "source:\n  password: canary\n  token: {secret: shop}\n  secret: shop\n  url: a://b:c@d\n"
    )
    assert found(write, tmp_path, "pipe.yaml", yaml) == [2, 5]


def test_hidden_directories_environments_and_the_lake_are_left_out(write, tmp_path):
    for name in (".venv/a.py", "env/lib/a.py", "lake/a.py"):
        write(name, 'password = "canary"')
    write("env/pyvenv.cfg", "")
    write("bad.py", "password = (")
    write("sub/a.py", 'password = "canary"')
    assert list(lines_with_credentials(tmp_path, besides=[tmp_path / "lake"])) == [("sub/a.py", 1)]
