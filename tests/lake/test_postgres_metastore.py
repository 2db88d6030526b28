"""The metastore's conformance suite, over PostgreSQL, and once more through a pooler."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

pytest.importorskip("psycopg")

from headgate.clock import Clock
from headgate.lake.metastore import Metastore
from headgate.lake.postgres import create_postgres, open_postgres
from headgate.lake.records import Commit
from headgate.testing.metastore_suite import MetastoreSuite
from headgate.testing.metastore_under_test import MAIN
from headgate.testing.postgres_servers import Pooler, PostgresServer
from headgate.testing.retention_suite import RetentionTests


class TestPostgres(RetentionTests, MetastoreSuite):
    @pytest.fixture(autouse=True)
    def _url(self, postgres: PostgresServer) -> None:
        self.url = postgres.url()

    def make(
        self, directory: Path, *, clock: Clock, genesis: Commit, nodes: Mapping[bytes, bytes]
    ) -> Metastore:
        create_postgres(
            self.url, clock=clock, lake_id="lake", main=MAIN, genesis=genesis, nodes=nodes
        )
        return open_postgres(self.url, clock=clock)


@pytest.fixture(scope="module")
def pooler(postgres: PostgresServer, poolers: type[Pooler]) -> Iterator[Pooler]:
    with poolers(postgres, connections=4) as started:
        yield started


class TestPostgresThroughAPooler(TestPostgres):
    @pytest.fixture(autouse=True)
    def _url(self, postgres: PostgresServer, pooler: Pooler) -> None:
        self.url = postgres.url(port=pooler.port)
