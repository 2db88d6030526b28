"""Whatever records hold, under whatever rules: each is a row, in quarantine, or the run fails."""

import json
import random
from itertools import count

import pytest
from records_text import load, payload
from workplaces import Workplace

from headgate.errors import HeadgateError

VALUES: list[object] = [
    *(None, True, 0, -1, 2**53 + 1, 2**63, 10**37, 10**40, 0.5, 1e22, 1e300, "", "x", "1", "1.5"),
    *("2026-01-31", "2026-01-31T10:00:00Z", "2026-10-25 02:30:00", "\x00", "\x01", "\x01\x01"),
    *("true", "{}", "N/A", "1,5", "e\u0301", {}, [], [None], [[]]),
]
KEYS = [
    *(
        "a",
        "b",
        "A",
        "",
        "a.b",
        'q"x',
        "a/b",
        "~",
        "$",
        "*",
        "_index",
        "_parent",
        "value",
        "é",
        "É",
    ),
    *("\x00", "x'y", "[]", "ß", "ss", "_mask", "_raw.a", "_hg_row", "_record_id"),
]
EXPECTED = {"records-conflict", "records-drifted", "source-empty"}


def value(chance: random.Random, depth: int) -> object:
    kind = chance.random()
    if depth == 0 or kind < 0.6:
        return chance.choice(VALUES)
    if kind < 0.8:
        return [value(chance, depth - 1) for _ in range(chance.randint(0, 3))]
    return {chance.choice(KEYS): value(chance, depth - 1) for _ in range(chance.randint(0, 4))}


def rules(chance: random.Random, table: str, mode: str) -> str:
    policy = chance.choice(["evolve", "variant", "quarantine", "freeze"])
    found = f', table="{table}", mode="{mode}", key="id", on_conflict="{policy}"'
    if chance.random() < 0.5:
        found += f', nested={{"a": "{table}_a", "b": "{table}_b"}}'
    others = ['null_tokens=("", "N/A")', 'decimal_mark=","', 'time_zone="Europe/Berlin"']
    return found + "".join(f", {each}" for each in others if chance.random() < 0.3)


def told_of(place: Workplace, table: str) -> list[int]:
    """Give the ids of all rows, and of all records that were set aside."""
    ids: list[int] = []
    for name in (table, f"_quarantine.{table}"):
        try:
            rows = place.rows(name)
        except LookupError:
            continue
        aside = name != table
        ids += [int(str(json.loads(payload(r))["id"] if aside else r["id"])) for r in rows]
    return sorted(ids)


def loads(place: Workplace, chance: random.Random, table: str) -> None:
    mode = chance.choice(["append", "upsert", "replace"])
    options, ids = rules(chance, table, mode), count(1)
    keys = [chance.choice(KEYS) for _ in range(3)]
    pool = {key: [value(chance, 2) for _ in range(2)] for key in keys}
    sent: list[int] = []
    for _ in range(3):
        records: list[dict[str, object]] = []
        for _ in range(chance.randint(0, 4)):
            record: dict[str, object] = {"id": next(ids)}
            for key in keys:
                if chance.random() < 0.8:
                    usual = chance.random() < 0.85
                    record[key] = chance.choice(pool[key]) if usual else value(chance, 2)
            records.append(record)
        try:
            load(place, *records, options=options)
        except HeadgateError as error:
            assert error.code in EXPECTED, (options, records)  # noqa: PT017 - else it is the point
            continue
        new = [int(str(record["id"])) for record in records]
        sent = new if mode == "replace" else sent + new
        assert told_of(place, table) == sent, (options, records)


@pytest.mark.parametrize(
    "seed", [0, 1, pytest.param(2, marks=pytest.mark.soak), pytest.param(3, marks=pytest.mark.soak)]
)
def test_no_record_is_lost_whatever_it_holds(place: Workplace, seed: int) -> None:
    chance = random.Random(seed)
    for number in range(4 if seed < 2 else 150):
        loads(place, chance, f"t{number}")
