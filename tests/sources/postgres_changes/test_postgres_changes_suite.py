"""Changes of a PostgreSQL table do what every source must do."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from followed import Followed, OwnColumns, url_of

from headgate.sources import Setting
from headgate.testing.postgres_servers import PostgresServer
from headgate.testing.source_suite import Row, Situation, SourceSuite


class TestPostgresChanges(SourceSuite):
    server: PostgresServer

    @pytest.fixture(autouse=True)
    def _on_a_server(self, logical_postgres: PostgresServer) -> None:
        self.server = logical_postgres

    def situation(self, directory: Path) -> Situation:
        table = Followed(self.server, "id int primary key, note text", directory)
        empty = Followed(self.server, "id int primary key, note text", directory)
        table.do("insert into {} select i, 'note ' || i from generate_series(1, 5) i")
        setting = Setting(
            root=directory, cache=directory / "cache", owner=("p", table.name, "main")
        )
        options = {"url": url_of(self.server), "relation": table.name, "batch_rows": 2}

        def grow() -> Sequence[Row]:
            table.do("begin; insert into {} values (6, 'six'), (7, null); commit")
            return [{"id": 6, "note": "six"}, {"id": 7, "note": None}]

        def widen() -> Sequence[Row]:
            table.do("alter table {} add more int", "insert into {} values (8, 'eight', 1)")
            return [{"id": 8, "note": "eight", "more": 1}]

        return Situation(
            open=lambda: OwnColumns(options, setting),
            rows=[{"id": i, "note": f"note {i}"} for i in range(1, 6)],
            grow=grow,
            widen=widen,
            empty=lambda: OwnColumns(
                {**options, "relation": empty.name},
                replace(setting, owner=("p", empty.name, "main")),
            ),
            unreachable=lambda: OwnColumns(
                {**options, "url": "postgresql://owner@127.0.0.1:1/metastore"}, setting
            ),
        )
