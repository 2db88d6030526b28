"""Erasing one person's rows: no trace in any file, every ref still means its commit."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from workplaces import Workplace

from headgate.errors import Conflict, Invalid, NotFound, Refused
from headgate.lake.commits import encode_erased
from headgate.lake.pins import Pin
from headgate.lake.statements import SET_COMMIT_BODY
from headgate.runs import Erased, Request

NAME = "Zebulon Q. Quackenbush"
MAIL = "zq@quack.example"

SHOP = """
from typing import Annotated
import headgate as hg

class Customer(hg.Contract):
    id: int
    name: str
    mail: Annotated[str, hg.pattern("[^ ]+@[^ ]+", severity="quarantine")]
    age: Annotated[int, hg.between(0, 150, severity="warn")]

customers = hg.files("customers/*.csv", mode="append", contract=Customer)
by_age = hg.sql_step("select age, count(*) as n from customers group by age")
"""


def put(place: Workplace, number: int, *rows: tuple[object, ...]) -> None:
    directory = place.root / "customers"
    directory.mkdir(exist_ok=True)
    lines = "".join(",".join(map(str, row)) + "\n" for row in rows)
    (directory / f"{number}.csv").write_text(f"id,name,mail,age\n{lines}")


def lived(place: Workplace) -> None:
    """Live some days in which the person comes, changes, is rejected, and is branched."""
    pipeline = place.pipeline(SHOP, "shop")
    put(place, 1, (1, "Ann", "ann@x", 30), (42, NAME, MAIL, 200))
    place.hall.run(pipeline, target="main")
    place.lake.create_tag("v1", "main")
    put(place, 2, (2, "Bob", "bob@x", 40), (42, NAME, f"no mail of {NAME}", 41))
    place.hall.run(pipeline, target="main")
    place.lake.create_branch("dev", "main")
    with place.hall.transaction("dev", name="fix") as fix:
        fix.write("customers", [row(42, NAME, "z@q", 42), row(3, "Eve", "e@x", 5)], mode="append")
    with place.hall.transaction("main", name="keyed") as keyed:
        keyed.write("people", [{"id": 42, "name": NAME}, {"id": 7, "name": "Kim"}], mode="replace")
    with place.hall.transaction("main", name="keyed") as keyed:
        keyed.write("people", [{"id": 42, "name": f"{NAME} II"}], mode="upsert", key="id")
    with place.hall.transaction("main", name="delete") as delete:
        delete.delete("people", "id = 42")


def row(id: int, name: str, mail: str, age: int) -> dict[str, object]:
    return {"id": id, "name": name, "mail": mail, "age": age}


def erase(place: Workplace, *tables: str, **more: object) -> Erased:
    asked = {"where": "id = 42", "reason": "ticket 7", "target": "main", **more}
    request = Request(tables=tables or ("customers", "people"), **asked)  # type: ignore[arg-type]
    return place.hall.erase(request, drop_caches=lambda: None)


def traces(place: Workplace, *words: str) -> list[str]:
    """Give the files of the lake that hold one of the words: its storage, its metastore's file."""
    storage = place.lake.storage
    contents = {}
    for stored in storage.list():
        with storage.open(stored.path) as file:
            contents[stored.path] = file.read()
    for path in (place.root / "lake").glob("metastore*"):
        contents[path.name] = path.read_bytes()
    return [f"{p}: {w}" for p, content in contents.items() for w in words if w.encode() in content]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workplace]:
    place = Workplace(tmp_path)
    lived(place)
    yield place
    place.close()


def test_no_file_of_the_lake_holds_a_trace(shop: Workplace) -> None:
    assert len(traces(shop, NAME, MAIL)) > 5
    done = erase(shop)
    assert done.commit is not None
    assert traces(shop, NAME, MAIL, "Quack", "quack") == []
    counts = {each.table: (each.rows, each.copies) for each in done.tables}
    assert counts["customers"][0] == 1
    assert counts["customers"][1] >= 2
    assert counts["people"][0] == 0
    assert counts["_quarantine.customers"][0] == 1


def test_every_ref_means_its_commit_without_the_rows(shop: Workplace) -> None:
    lake = shop.lake
    refs = ["main", "main~1", "main~2", "main~3", "main~4", "v1", "dev", "dev~1"]
    before = {ref: lake.resolve(ref) for ref in refs}
    rows = {ref: {t: _rows(shop, t, ref) for t in ("customers", "people")} for ref in refs}
    contents = {ref: {k: e.content for k, e in lake.tree(c).items()} for ref, c in before.items()}
    erase(shop)
    assert lake.resolve("main~1").id == before["main"].id
    for ref, commit in before.items():
        now = commit.id
        assert lake.commit(now).parent == commit.parent
        tree = lake.tree(lake.commit(now))
        assert {key: entry.content for key, entry in tree.items()} == contents[ref]
        for table, there in rows[ref].items():
            kept = [each for each in there if each["id"] != 42]
            assert _rows(shop, table, now) == kept, (ref, table)
    assert list(lake.verify(every_tree=True)) == []
    for _, entry in lake.tree(lake.resolve("main")).items("table/"):
        assert lake.tables.verify(entry) == []


def test_what_is_published_later_goes_on_from_there(shop: Workplace) -> None:
    erase(shop)
    put(shop, 3, (4, "Kit", "kit@x", 33))
    shop.hall.run(shop.pipeline(SHOP, "shop"), target="main")
    assert [each["id"] for each in shop.rows("customers")] == [1, 2, 4]
    shop.hall.merge("dev", "main")
    assert [each["id"] for each in shop.rows("customers")] == [1, 2, 3, 4]


def test_another_process_sees_commits_as_they_are_now(shop: Workplace, tmp_path: Path) -> None:
    other = Workplace(tmp_path)
    assert len(other.rows("customers", "v1")) == 2
    erase(shop)
    assert len(other.rows("customers", "v1")) == 1
    other.close()


def test_the_certificate_vouches_for_what_was_changed(shop: Workplace) -> None:
    done = erase(shop)
    assert done.commit is not None
    entry = shop.lake.tree(done.commit).get(f"blob/erasures/{done.id}")
    assert entry is not None
    assert entry.data is not None
    certificate = json.loads(entry.data)
    assert certificate["digest"] == done.certificate == entry.content
    assert len(certificate["commits"]) == done.commits
    assert "42" not in str(certificate["condition"])[:3]
    assert certificate["reason"] == "ticket 7"
    assert set(done.derived) == {"by_age"}
    assert any("source of shop/customers" in each for each in done.not_reached)


def test_a_plan_changes_nothing(shop: Workplace) -> None:
    head, files = shop.head(), {each.path for each in shop.lake.storage.list("data")}
    planned = erase(shop, only_plan=True)
    assert shop.head() == head
    assert {each.path for each in shop.lake.storage.list("data")} == files
    done = erase(shop)
    assert planned.commit is None
    copies = {each.table: each.copies for each in planned.tables}
    assert copies == {each.table: each.copies for each in done.tables}


def test_erasing_again_finds_nothing(shop: Workplace) -> None:
    erase(shop)
    head = shop.head()
    assert erase(shop).found_nothing
    assert shop.head() == head


def test_a_reason_must_not_tell_who(shop: Workplace) -> None:
    with pytest.raises(Invalid) as refused:
        erase(shop, reason="customer 42 asked")
    assert refused.value.code == "reason-names-value"


def test_an_unknown_table_is_named(shop: Workplace) -> None:
    with pytest.raises(NotFound, match="Did you mean people"):
        erase(shop, "peple")


def _rows(place: Workplace, table: str, ref: str) -> list[dict[str, object]]:
    try:
        return place.rows(table, ref)
    except LookupError:
        return []


# -- beside others, and killed

SLOW = """
import headgate as hg
import polars as pl

@hg.step(after=[])
def names(people: pl.DataFrame) -> pl.DataFrame:
    WAIT()
    return people

@hg.step
def longest(names: pl.DataFrame) -> pl.DataFrame:
    return names.select(pl.col("name").str.len_chars().max().alias("n"))
"""


def test_a_run_that_began_before_does_not_bring_the_rows_back(
    shop: Workplace, tmp_path: Path
) -> None:
    with shop.hall.transaction("main", name="back") as back:
        back.write("people", [{"id": 42, "name": NAME}], mode="append")
    other = Workplace(tmp_path)
    pipeline = other.pipeline(SLOW, "slow")
    waits: list[Erased] = []

    def wait() -> None:
        if not waits:
            waits.append(erase(shop))

    for step in pipeline.steps:
        step.function.__globals__["WAIT"] = wait  # type: ignore[union-attr]
    result = other.hall.run(pipeline, target="main")
    assert len(waits) == 1
    assert result.state == "published"
    assert [each["id"] for each in shop.rows("names")] == [7]
    assert shop.rows("longest") == [{"n": 3}]
    other.close()


def test_a_transaction_that_began_before_is_refused(shop: Workplace, tmp_path: Path) -> None:
    other = Workplace(tmp_path)
    with (
        pytest.raises(Conflict) as refused,
        other.hall.transaction("main", name="slow") as slow,
    ):
        seen = slow.table("customers")
        erase(shop)
        slow.write("copied", seen, mode="replace")
    assert refused.value.code == "erased-meanwhile"
    with pytest.raises(LookupError):
        shop.rows("copied")
    other.close()


def test_readers_with_a_lease_are_named(shop: Workplace) -> None:
    pins = shop.lake.metastore.retention
    now = shop.lake.clock.now()
    head = shop.head()
    pin = Pin(
        id="lease",
        kind="reader",
        holder="host:1",
        commit=head,
        created=now,
        why="a long read",
        until=now + timedelta(hours=1),
    )
    assert pins.pin(pin)
    with pytest.raises(Refused, match="a long read") as refused:
        erase(shop)
    assert refused.value.code == "readers-at-work"
    pins.unpin("lease")
    assert erase(shop).commit is not None


def test_killed_it_is_completed_by_doing_it_again(tmp_path: Path) -> None:
    assert killed(tmp_path, kills=1, seed=20) <= 1


@pytest.mark.soak
def test_killed_at_thirty_points_it_is_completed(tmp_path: Path) -> None:
    assert killed(tmp_path, kills=30, seed=21) > 10


def killed(tmp_path: Path, *, kills: int, seed: int) -> int:
    """Kill erasures at random moments, do each again; give how many were killed unfinished."""
    rng = random.Random(seed)
    unfinished = 0
    for number in range(kills):
        root = tmp_path / str(number)
        root.mkdir()
        place = Workplace(root)
        lived(place)
        refs = ["main", "v1", "dev"]
        before = {ref: _rows(place, "customers", place.lake.resolve(ref).id) for ref in refs}
        ids = {ref: place.lake.resolve(ref).id for ref in refs}
        place.close()
        process = _start(root)
        time.sleep(rng.random() * LONGEST_S)
        process.send_signal(signal.SIGKILL)
        out, _ = process.communicate(timeout=60)
        unfinished += "done" not in out
        place = Workplace(root)
        for ref, id in ids.items():  # readers see before or after
            there = _rows(place, "customers", id)
            assert there in (before[ref], [each for each in before[ref] if each["id"] != 42])
        place.close()
        out, error = _start(root).communicate(timeout=60)
        assert "done" in out, error
        place = Workplace(root)
        assert traces(place, NAME, MAIL, "quack") == []
        for ref, id in ids.items():
            kept = [each for each in before[ref] if each["id"] != 42]
            assert _rows(place, "customers", id) == kept
        place.close()
    return unfinished


KILLED = Path(__file__).with_name("killed_erasure.py")
LONGEST_S = 0.8


def _start(root: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, str(KILLED), str(root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_commit_that_was_changed_by_other_hands_is_found(shop: Workplace) -> None:
    erase(shop)
    lake = shop.lake
    assert list(lake.verify()) == []
    commit = lake.commit(lake.resolve("main~2").id)
    forged = msgspec.structs.replace(
        commit, record=msgspec.structs.replace(commit.record, message="forged")
    )
    with lake.metastore._database.writing(durable=True) as session:  # type: ignore[attr-defined]
        session.change(SET_COMMIT_BODY, (encode_erased(forged), commit.id))
    [problem] = lake.verify()
    assert problem.code == "erased-without-certificate"
    assert commit.id in problem.message


def test_texts_lose_the_words_and_programs_keep_theirs(shop: Workplace) -> None:
    with shop.hall.transaction("main", name="odd") as odd:
        odd.write("people", [{"id": 42, "name": "serializable"}], mode="append")
    logs = shop.root / "logs"
    logs.mkdir()
    line = {"event": "run-failed", "state": "serializable", "message": f"no {NAME}, serializable"}
    (logs / "a.log").write_text(json.dumps(line) + "\n" + f"plain {NAME}\n")
    erase(shop, logs=(logs,))
    first, second = (logs / "a.log").read_text().splitlines()
    assert json.loads(first) == {
        "event": "run-failed",
        "state": "serializable",
        "message": "no [erased], [erased]",
    }
    assert second == "plain [erased]"
    put(shop, 3, (4, "Kit", "kit@x", 33))
    assert shop.hall.run(shop.pipeline(SHOP, "shop"), target="main").state == "published"
    for run in shop.lake.metastore.runs():
        assert run.settings["isolation"] == "serializable"
