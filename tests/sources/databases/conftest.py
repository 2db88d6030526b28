import itertools
from pathlib import Path
from urllib.parse import quote

import pytest

from headgate.sources.databases.database import DatabaseSource
from headgate.sources.source import Setting

_NUMBERS = itertools.count(1)


class Postgres:
    """A schema of the test's own on the session's server."""

    def __init__(self, server):
        self.server = server
        self.schema = f"source_{next(_NUMBERS)}"
        server.execute(f"create schema {self.schema}")

    def url(self, **options):
        options["options"] = f"-csearch_path={self.schema}"
        base = self.server.url("x").partition("?")[0]
        return f"{base}?{'&'.join(f'{n}={quote(v)}' for n, v in options.items())}"

    def execute(self, *statements):
        with self.server.connect() as connection:
            connection.execute(f"set search_path = {self.schema}")
            for statement in statements:
                cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


class Maria:
    """The session's server; tables of a test before are gone."""

    def __init__(self, server):
        self.server = server
        for (name,) in server.execute("show tables"):
            server.execute(f"drop table `{name}`")

    def url(self, **options):
        query = "&".join(f"{name}={value}" for name, value in options.items())
        return self.server.url() + (f"?{query}" if query else "")

    def execute(self, *statements):
        return self.server.execute(*statements)


@pytest.fixture
def pg(postgres):
    made = Postgres(postgres)
    yield made
    postgres.execute(f"drop schema {made.schema} cascade")


@pytest.fixture
def maria(mariadb):
    return Maria(mariadb)


@pytest.fixture
def opened(tmp_path):
    """Make a source; ``appends`` as a step that appends does."""

    def opened(url, relation=None, *, appends=False, root: Path = tmp_path, **options):
        named = {"relation": relation} if relation else {}
        setting = Setting(root=root, cache=tmp_path / ".cache", appends=appends)
        return DatabaseSource({"url": url, **named, **options}, setting)

    return opened
