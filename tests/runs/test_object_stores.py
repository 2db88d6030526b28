"""Runs on an object store that fails: tried again, then told; nothing is lost or half seen."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("obstore")

from workplaces import Workplace

from headgate.engines import Sql
from headgate.errors import HeadgateError
from headgate.lake import RunState
from headgate.testing.object_faults import Fault, FaultyStore

PIPELINE = """
import headgate as hg
import polars as pl

@hg.step
def numbers() -> pl.LazyFrame:
    return pl.LazyFrame({"n": range(VALUE), "part": [i % 3 for i in range(VALUE)]})

@hg.step
def doubled(numbers: pl.LazyFrame) -> pl.LazyFrame:
    return numbers.select(pl.col("n") * 2)

total = hg.sql_step("select count(*) as rows, sum(n) as n from doubled")
"""


@pytest.fixture
def faulty(object_server, monkeypatch):
    """The session's store, behind a proxy that this test's lakes talk to."""
    with FaultyStore(object_server.endpoint) as proxy:
        monkeypatch.setenv("TEST_OBJECT_ENDPOINT", proxy.endpoint)
        yield proxy


@pytest.fixture
def place(faulty, tmp_path):
    workplace = Workplace(tmp_path)
    yield workplace
    workplace.close()


def pipeline(place, rows):
    return place.pipeline(PIPELINE.replace("VALUE", str(rows)), name="p")


def total(place, ref="main"):
    return place.rows("total", ref)


def test_a_run_gets_over_what_passes(place, faulty):
    for after in (3, 9, 14, 15, 21, 22, 30):
        kind = {"cut": "after"} if after % 2 else {"status": 503, "code": "SlowDown"}
        faulty.add(Fault(after=after, **kind))
    place.hall.run(pipeline(place, 10), target="main")
    assert total(place) == [{"rows": 10, "n": 90}]


LASTING = [
    ({"status": 500}, "object-store-unavailable"),
    ({"status": 503, "code": "SlowDown"}, "object-store-unavailable"),
    ({"status": 400, "code": "ExpiredToken"}, "credentials-expired"),
    ({"status": 403, "code": "AccessDenied"}, "access-denied"),
]
WRITES = ["data/", "metadata/.*avro", "metadata/.*metadata.json", "metadata/.*files.json"]


@pytest.mark.parametrize("path", WRITES)
@pytest.mark.parametrize(("fault", "code"), LASTING)
def test_a_run_that_cannot_write_fails_clearly_and_is_resumed(place, faulty, fault, code, path):
    place.hall.run(pipeline(place, 10), target="main")
    head, before = place.head(), total(place)
    faulty.add(Fault(method="PUT", path=path, after=1, times=None, **fault))
    with pytest.raises(HeadgateError) as raised:
        place.hall.run(pipeline(place, 20), target="main")
    text = str(raised.value)
    assert raised.value.code == code, text
    assert "s3://lake/lakes/" in text
    assert "writing" in text
    assert (place.head(), total(place)) == (head, before)
    (run,) = place.lake.metastore.runs(states=(RunState.FAILED, RunState.PARKED))
    faulty.mend()
    place.hall.resume(run.id, pipeline(place, 20))
    assert total(place) == [{"rows": 20, "n": 380}]


@pytest.mark.parametrize(("fault", "code"), LASTING)
def test_a_step_that_cannot_read_fails_clearly_and_is_resumed(place, faulty, fault, code):
    place.hall.run(pipeline(place, 10), target="main")
    head = place.head()
    faulty.add(Fault(method="GET", path="data/", times=None, **fault))
    with pytest.raises(HeadgateError) as raised:
        place.hall.run(pipeline(place, 20), target="main")
    text = str(raised.value)
    assert raised.value.code == code, text
    assert "reading s3://lake/lakes/" in text
    assert "<Error>" not in text
    assert place.head() == head
    (run,) = place.lake.metastore.runs(states=(RunState.FAILED, RunState.PARKED))
    assert "<Error>" not in str(run.reason)
    faulty.mend()
    place.hall.resume(run.id, pipeline(place, 20))
    assert total(place) == [{"rows": 20, "n": 380}]


def test_a_query_that_cannot_read_says_which_object(place, faulty):
    place.hall.run(pipeline(place, 10), target="main")
    other = Workplace(place.root)  # which remembers nothing of what was written
    faulty.add(Fault(method="GET", path="data/", times=None, status=503, code="SlowDown"))
    with pytest.raises(HeadgateError) as raised:
        total(other)
    assert raised.value.code == "object-store-unavailable"
    assert "data/" in raised.value.message
    faulty.mend()
    assert total(other) == [{"rows": 10, "n": 90}]
    other.close()


@pytest.mark.parametrize("damage", ["gone", "cut", "changed"])
def test_a_damaged_object_is_found(place, faulty, damage):
    place.hall.run(pipeline(place, 10), target="main")
    lake = Workplace(place.root).lake
    entry = lake.tree(lake.resolve("main")).get("table/doubled")
    (file,) = lake.tables.files(entry)
    content = lake.storage.find(file.path)
    if damage == "gone":
        lake.storage.delete([file.path])
    else:
        changed = content[:20] + bytes([content[20] ^ 255]) + content[21:]
        lake.storage.put(file.path, content[:-9] if damage == "cut" else changed)
    (problem,) = place.lake.tables.verify(entry)
    wanted = "data-file-missing" if damage == "gone" else "data-file-damaged"
    assert (problem.what, problem.path) == (wanted, lake.storage.absolute(file.path))
    if damage == "gone":
        session = place.engine.session()
        session.bind({"doubled": lake.tables.scan(entry)})
        with pytest.raises(HeadgateError) as raised:
            session.reader(Sql(text="select sum(n) from doubled")).read_all()
        session.close()
        assert raised.value.code == "data-file-missing"
        assert file.path in raised.value.message
    lake.close()


UPLOADER = """
import sys
from pathlib import Path
from workplaces import Workplace

SOURCE = '''
import headgate as hg
large = hg.sql_step("select range as n, md5(range::varchar) as text from range(600000)")
'''
place = Workplace(Path(sys.argv[1]))
print("ready", flush=True)
made = place.pipeline(SOURCE, name="large")
unfinished = place.hall.open_runs()
if unfinished:
    place.hall.resume(unfinished[0].id, made)
else:
    place.hall.run(made, target="main")
print("done", flush=True)
"""


def test_killed_in_the_middle_of_an_upload_it_leaves_no_visible_trace(place, faulty):
    place.hall.run(pipeline(place, 10), target="main")
    head = place.head()
    known = {file.path for file in place.lake.storage.list()}
    stalled = faulty.add(Fault(method="PUT", path="partNumber=2", stall=True))
    command = [sys.executable, "-c", UPLOADER, str(place.root)]
    environment = {**os.environ, "PYTHONPATH": ":".join([str(Path(__file__).parent), *sys.path])}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as child:
        while not stalled.seen:
            assert child.poll() is None
            faulty.ended.wait(0.02)
        child.kill()
    assert place.head() == head
    assert {file.path for file in place.lake.storage.list()} == known
    faulty.mend()
    done = subprocess.run(
        command, env=environment, capture_output=True, check=False, text=True, timeout=60
    )
    assert "done" in done.stdout, done.stderr
    other = Workplace(place.root)
    assert len(other.rows("large")) == 600_000
    reachable = {
        path
        for entry in (e for _, e in other.lake.tree(other.lake.resolve("main")).items("table/"))
        for path in other.lake.tables.new_paths(entry, None)
    }
    orphans = {f.path for f in other.lake.storage.list("data")} - reachable
    assert all("large" not in path or path in reachable for path in orphans)
    other.close()
