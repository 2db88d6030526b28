import pytest

from headgate.clock import ManualClock
from headgate.errors import Invalid, NotFound
from headgate.project import discover, read_settings
from headgate.project.discovery import files_of

STEP = 'import headgate as hg\n{name} = hg.sql_step("select 1 as n")\n'


@pytest.fixture
def settings(tmp_path, write):
    def settings(source='[project]\nname = "p"\n'):
        write("headgate.toml", source)
        return read_settings(tmp_path, environment={})

    return settings


def names(files):
    return [file.name for file in files]


def test_files_that_import_headgate_are_found_tests_and_others_are_not(settings, write):
    write("a.py", STEP.format(name="a"))
    write("b.py", "from headgate import sql_step\n")
    write("c.py", "import json  # headgate\n")
    write("d.py", "import json, headgate as hg\n")
    write("e.py", "import json  # , headgate\n")
    for other in ("test_a.py", "a_test.py", "conftest.py", "setup.py", "_scratch.py"):
        write(other, STEP.format(name="x"))
    write("below/d.py", STEP.format(name="d"))
    assert names(files_of(settings())) == ["a.py", "b.py", "d.py"]


def test_files_and_directories_can_be_listed(settings, write):
    write("later.py", STEP.format(name="later"))
    write("flows/b.py", STEP.format(name="b"))
    write("flows/a.py", STEP.format(name="a"))
    write("flows/test_a.py", "")
    write("unlisted.py", STEP.format(name="unlisted"))
    found = settings('[project]\nname = "p"\npipelines = ["later", "flows", "later.py"]\n')
    assert names(files_of(found)) == ["later.py", "a.py", "b.py"]
    declared = discover(found, clock=ManualClock()).declared
    assert {step.name for step in declared.steps} == {"later", "a", "b"}


@pytest.mark.parametrize("entry", ["flihgts.py", "data.csv", "../outside.py", "/etc"])
def test_what_is_no_file_of_the_project_is_refused(settings, write, entry):
    write("flights.py", STEP.format(name="a"))
    write("data.csv", "")
    write("../outside.py", "")
    with pytest.raises(Invalid) as caught:
        files_of(settings(f'[project]\npipelines = ["{entry}"]\n'))
    assert caught.value.code == "no-such-pipeline-file"
    if entry == "flihgts.py":
        assert caught.value.hint == "Did you mean flights.py?"


def test_steps_of_several_files_know_each_other(settings, write):
    write("shared.py", "LEAST = 3\n")
    write("a.py", "import headgate as hg\nfrom shared import LEAST\n" + STEP.format(name="raw"))
    write("b.py", 'import headgate as hg\nfrom a import raw\nout = hg.sql_step("from raw")\n')
    declared = discover(settings(), clock=ManualClock()).declared
    assert {step.name: step.place.file for step in declared.steps} == {
        "raw": "a.py",
        "out": "b.py",
    }
    assert [pipeline.name for pipeline in declared.pipelines] == ["p"]


def test_two_steps_of_one_name_are_shown_with_both_places(settings, write):
    write("a.py", STEP.format(name="same"))
    write("b.py", STEP.format(name="same"))
    with pytest.raises(Invalid, match=r"same: at a\.py:2 and at b\.py:2"):
        discover(settings(), clock=ManualClock())


def test_a_discovery_is_current_until_a_file_comes_goes_or_changes(settings, write, tmp_path):
    write("a.py", "import headgate\nimport shared\n" + STEP.format(name="a"))
    write("shared.py", "X = 1\n")
    found = settings()
    discovery = discover(found, clock=ManualClock())
    assert discovery.is_current(found)
    write("shared.py", "X = 10\n")
    assert not discovery.is_current(found)
    discovery = discover(found, clock=ManualClock())
    write("b.py", STEP.format(name="b"))
    assert not discovery.is_current(found)
    discovery = discover(found, clock=ManualClock())
    (tmp_path / "b.py").unlink()
    assert not discovery.is_current(found)


def test_an_edited_query_in_a_file_of_its_own_is_seen(settings, write):
    write("a.py", 'import headgate as hg\nq = hg.sql_step(file="q.sql")\n')
    write("q.sql", "select 1 as n")
    found = settings()
    discovery = discover(found, clock=ManualClock())
    assert discovery.is_current(found)
    write("q.sql", "select 12 as n")
    assert not discovery.is_current(found)


def test_isolation_of_settings_holds_where_no_pipeline_says_its_own(settings, write):
    write("a.py", STEP.format(name="a"))
    implied = discover(settings(), clock=ManualClock())
    assert implied.is_implied(implied.pipeline(None))
    write("a.py", STEP.format(name="a") + "p = hg.pipeline(a)\n")
    said = discover(settings(), clock=ManualClock())
    assert not said.is_implied(said.pipeline(None))


def test_without_steps_there_is_no_pipeline_to_run(settings, write):
    write("a.py", "import headgate\n")
    with pytest.raises(NotFound, match=r"looked into: a\.py"):
        discover(settings(), clock=ManualClock()).pipeline(None)
