"""A lake of every released format is opened, read and run after an upgrade."""

import json
import tarfile
from pathlib import Path

import pytest

import headgate as hg
from headgate.errors import NotFound, Refused
from headgate.lake.migrations import FORMAT

FIXTURES = Path(__file__).parents[1] / "lake" / "fixtures"
RELEASED = sorted(FIXTURES.glob("format-*.tar.xz"))


@pytest.fixture(params=RELEASED, ids=lambda path: path.name.partition(".")[0])
def shop(request, tmp_path):
    """The project of a fixture, and what its lake showed when it was made."""
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path)
    with hg.open(tmp_path) as project:
        yield project, json.loads((tmp_path / "expected.json").read_text())


def rows(project, ref):
    found = {name: project.table(name, ref=ref) for name in project.at(ref).tables}
    for name in list(found):
        try:
            found[f"_quarantine.{name}"] = project.quarantine(name, ref=ref)
        except NotFound:
            continue
    return {
        name: sorted(
            json.dumps(row, default=str, sort_keys=True) for row in table.to_arrow().to_pylist()
        )
        for name, table in found.items()
    }


def test_there_is_a_fixture_of_every_format_but_todays():
    assert [path.name.partition(".")[0] for path in RELEASED][: FORMAT - 1] == [
        f"format-{number}" for number in range(1, FORMAT)
    ]


def test_it_shows_what_it_showed(shop):
    project, expected = shop
    with pytest.raises(Refused) as caught:
        project.lake.branches()
    assert caught.value.code == "lake-too-old"
    assert project.upgrade().after == FORMAT
    assert {ref: project.lake.resolve(ref).id for ref in expected["refs"]} == expected["refs"]
    for ref, tables in expected["rows"].items():
        assert rows(project, ref) == tables, ref
    assert len(project.runs()) == expected["runs"]
    assert [f for f in project.doctor(files=True) if f.level == "bad"] == []


def test_it_runs_and_resumes_as_before(shop):
    project, expected = shop
    project.upgrade()
    (project.root / "orders-4.csv").write_text("id,customer,amount\n300,f,10\n")
    done = project.run()
    assert done.commit is not None
    assert (300,) in [
        tuple(row.values())[:1] for row in project.table("orders").to_arrow().to_pylist()
    ]
    assert project.find_run(expected["failed"]).state == "failed"
    assert project.resume(expected["failed"]).state in ("published", "nothing-to-do")
    with project.transaction("main") as tx:
        tx.write("prices", project.table("prices").to_arrow(), mode="replace")
    assert project.backup(project.root.parent / f"{project.root.name}-backup").manifest.commits > 6
