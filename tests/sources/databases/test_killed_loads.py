"""SIGKILL at any moment of a load while the source keeps changing: every row once."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import psycopg
import pyarrow.compute as pc
import pytest

from headgate.lake import cursor_key
from headgate.project import open_project
from headgate.sources.databases.boundary import stored

LOADING = Path(__file__).with_name("loading.py")
LONGEST_S = 1.0
PIPELINE = """
import headgate as hg

events = hg.database({url!r}, "events", cursor="moment", batch_rows=7)
items = hg.database({url!r}, "items", cursor="changed", key="id", batch_rows=7)
"""
TABLES = (
    # Many events of one moment, and no key to tell them by.
    "create table events (moment timestamptz not null, kind text, amount numeric(10, 2))",
    "create table items (id int primary key, changed timestamp not null, tags text[])",
    "create index on items (changed)",
)
EVENT = (
    "insert into events select date_trunc('second', clock_timestamp()), "
    "'kind ' || mod(n, 3), n / 4.0 from generate_series(1, %s) n"
)
ITEM = (
    "insert into items values (%s, clock_timestamp(), array[%s]) "
    "on conflict (id) do update set changed = excluded.changed, tags = excluded.tags"
)


def keep_changing(url, seed, stopped):
    """Change the source in one transaction after another."""
    rng = random.Random(seed)
    with psycopg.connect(url, autocommit=True) as connection:
        while not stopped.is_set():
            connection.execute(EVENT, (rng.randrange(1, 12),))
            for _ in range(rng.randrange(1, 6)):
                connection.execute(ITEM, (rng.randrange(60), f"tag {rng.randrange(1000)}"))
            stopped.wait(rng.random() * 0.02)


def killed_after(root, seconds):
    process = subprocess.Popen(
        [sys.executable, str(LOADING), str(root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
    )
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    time.sleep(seconds)  # the moment is what is random
    process.send_signal(signal.SIGKILL)
    _, said = process.communicate(timeout=60)
    assert "Traceback" not in said, said


def counted(rows):
    return Counter(tuple(map(str, row)) for row in rows)


def compare_every_state(project):
    """Wherever main has been, the cursor says what the table holds."""
    states = 0
    for commit in project.log(limit=1_000):
        tree = project.lake.tree(project.lake.resolve(commit.id))
        for table, column in (("events", "moment"), ("items", "changed")):
            entry = tree.get(cursor_key(project.pipeline().name, table))
            if entry is None or tree.get(f"table/{table}") is None:
                continue
            value, rows = json.loads(entry.data)["sequence"][1:3]
            asked = f'select "{column}" from {table}'
            found = project.at(commit.id).sql(asked).to_arrow().column(0)
            greatest = pc.max(found)
            assert (value, rows) == (stored(greatest), pc.sum(pc.equal(found, greatest)).as_py())
            states += 1
    return states


def kill_loads(pg, root, kills, seed):
    pg.execute(*TABLES)
    (root / "headgate.toml").write_text('[project]\nname = "shop"\npipelines = ["shop.py"]\n')
    (root / "shop.py").write_text(PIPELINE.format(url=pg.url()))
    rng, stopped = random.Random(seed), threading.Event()
    changing = threading.Thread(target=keep_changing, args=(pg.url(), seed, stopped))
    changing.start()
    try:
        with open_project(root) as project:
            project.run()
        for _ in range(kills):
            killed_after(root, rng.random() * LONGEST_S)
    finally:
        stopped.set()
        changing.join()
    with open_project(root) as project:
        project.run()
        assert compare_every_state(project) >= 4
        for table, columns in (("events", "moment, kind, amount"), ("items", "id, changed, tags")):
            ours = project.at("main").sql(f"select {columns} from {table}").to_arrow().to_pylist()
            with psycopg.connect(pg.url()) as connection:
                connection.execute("set timezone = 'UTC'")
                theirs = connection.execute(f"select {columns} from {table}").fetchall()
            assert len(theirs) > kills
            assert counted(row.values() for row in ours) == counted(theirs)


def test_killed_loads_lose_no_row_and_double_none(pg, tmp_path):
    kill_loads(pg, tmp_path, kills=5, seed=7)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_a_hundred_killed_loads(pg, tmp_path, seed):
    kill_loads(pg, tmp_path, kills=10, seed=seed)
