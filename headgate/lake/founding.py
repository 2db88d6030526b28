"""How a lake begins: one commit without entries, and one protected branch."""

from collections.abc import Mapping

from headgate.clock import Clock
from headgate.lake import migrations, sql_branches, statements
from headgate.lake.database import Database
from headgate.lake.metastore import Branch
from headgate.lake.records import Commit
from headgate.lake.sql_commits import SqlCommits
from headgate.lake.sql_metastore import ID_FACT, MAIN_FACT


def found_lake(
    database: Database,
    *,
    clock: Clock,
    lake_id: str,
    main: str,
    genesis: Commit,
    nodes: Mapping[bytes, bytes],
) -> None:
    """Lay out an empty database as a lake of one commit and one protected branch, ``main``."""
    created = clock.now()
    branch = Branch(name=main, head=genesis.id, number=0, protected=True, created=created)
    with database.writing(durable=True) as session:
        migrations.lay_out(session, {ID_FACT: lake_id, MAIN_FACT: main})
        session.change_many(statements.PUT_NODE, sorted(nodes.items()))
        SqlCommits(database).put(session, genesis)
        held, put = session.together(*sql_branches.making(branch))
        sql_branches.made(session, branch, held, put)
