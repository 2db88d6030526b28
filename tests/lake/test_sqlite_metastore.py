"""The metastore's conformance suite, over SQLite."""

from collections.abc import Mapping
from pathlib import Path

from headgate.clock import Clock
from headgate.lake.metastore import Metastore
from headgate.lake.records import Commit
from headgate.lake.sqlite import create_sqlite, open_sqlite
from headgate.testing.metastore_suite import MetastoreSuite
from headgate.testing.metastore_under_test import MAIN
from headgate.testing.retention_suite import RetentionTests


class TestSqlite(RetentionTests, MetastoreSuite):
    def make(
        self, directory: Path, *, clock: Clock, genesis: Commit, nodes: Mapping[bytes, bytes]
    ) -> Metastore:
        path = directory / "metastore.sqlite"
        create_sqlite(
            path,
            clock=clock,
            lake_id="lake",
            main=MAIN,
            genesis=genesis,
            nodes=nodes,
            unique="new",
        )
        return open_sqlite(path, clock=clock)
