"""A table on a PostgreSQL server that a pipeline follows, and random changes of it."""

import random
from itertools import count
from typing import Any

from workplaces import Workplace

from headgate.sources.postgres_changes.source import PostgresChanges
from headgate.testing.postgres_servers import PostgresServer

_NUMBERS = count(1)
COLUMNS = "id int primary key, note text, amount numeric(9,2), large text"


class Orders:
    """A new table that ``place`` follows; ``{}`` in statements stands for its name."""

    def __init__(self, server: PostgresServer, place: Workplace, columns: str = COLUMNS) -> None:
        self.server = server
        self.place = place
        self.name = f"orders_{next(_NUMBERS)}"
        place.sources["postgres_changes"] = PostgresChanges
        self.do(f"create table {{}} ({columns})")
        if "large" in columns:
            self.do("alter table {} alter large set storage external")

    @property
    def url(self) -> str:
        return f"postgresql://owner:{self.server.password}@127.0.0.1:{self.server.port}/metastore"

    def do(self, *statements: str) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = []
        for statement in statements:
            found = self.server.execute(statement.replace("{}", self.name))
        return found

    def pipeline(self, options: str = 'key="id"', more: str = "", name: str = "p") -> Any:
        text = f"import headgate as hg\n{more}\n"
        text += f'orders = hg.changes({self.url!r}, "public.{self.name}", {options})\n'
        return self.place.pipeline(text, name=name)

    def run(self, pipeline: Any, target: str = "main") -> Any:
        self.place.events.clear()
        return self.place.hall.run(pipeline, target=target)

    def notes(self) -> list[str]:
        return [getattr(event, "note", "") for event in self.place.events if
                type(event).__name__ == "SourceNoted"]  # fmt: skip

    def there(self) -> list[tuple[Any, ...]]:
        """Give the table's rows on the server."""
        return sorted(self.do("select * from {}"), key=str)

    def here(self, ref: str = "main") -> list[tuple[Any, ...]]:
        """Give the table's rows in the lake."""
        return sorted((tuple(row.values()) for row in self.place.rows("orders", ref)), key=str)

    def slots(self) -> list[tuple[Any, ...]]:
        return self.do("select slot_name, confirmed_flush_lsn - '0/0' from pg_replication_slots")


def random_statement(dice: random.Random, keys: int = 12) -> str:
    """Give one statement that may change rows, or none."""
    key, other = dice.randrange(keys), dice.randrange(keys)
    large = f"repeat('{dice.randrange(10)}', {dice.choice([3, 5000])})"
    new = f"{key}, 'n{dice.randrange(99)}', {dice.randrange(99)}.5, {large}"
    nulls = f"{key}, null, null, {large}"
    free = f"not exists (select from {{}} where id = {other})"
    return dice.choice(
        [
            f"insert into {{}} values ({new}) on conflict do nothing",
            f"insert into {{}} values ({nulls}) on conflict (id) do update set large = {large}",
            f"update {{}} set note = 'u{dice.randrange(99)}' where id = {key}",
            f"update {{}} set amount = amount + 1 where id in ({key}, {other})",
            f"update {{}} set id = {other} where id = {key} and {free}",
            f"delete from {{}} where id = {key}",
            f"delete from {{}} where id % 4 = {key % 4}" if dice.random() < 0.3 else "select 1",
            "truncate {}" if dice.random() < 0.1 else "select 1",
        ]
    )


def random_transaction(dice: random.Random) -> str:
    """Give some statements that are done together, or not at all."""
    body = "; ".join(random_statement(dice) for _ in range(dice.randint(1, 6)))
    return f"begin; {body}; {'rollback' if dice.random() < 0.15 else 'commit'}"
