"""Mistakes in headgate.toml, in the environment and in the project's own files."""

import pytest

ENVIRONMENT = {
    "HEADGATE_LAKE_LOCATOIN": ("x", "unknown-setting", "Did you mean HEADGATE_LAKE_LOCATION?"),
    "HEADGATE_TARGET": ("dev", "unknown-setting", "Did you mean HEADGATE_LAKE_TARGET?"),
    "HEADGATE_PROFIL": ("prod", "unknown-setting", "Did you mean HEADGATE_PROFILE?"),
    "HEADGATE_PROFILE": ("prod", "unknown-profile", "Add a table [profile.prod]"),
    "HEADGATE_ENGINE_THREADS": ("many", "bad-setting", 'a whole number, 1 or more, not "many"'),
    "HEADGATE_LAKE_LOCATION": ("", "bad-setting", "a text that is not empty"),
    "HEADGATE_RUN_ISOLATION": ("serialisable", "bad-setting", "one of serializable"),
    "HEADGATE_ENGINE_MEMORY_LIMIT": ("lots", "bad-setting", 'a size like "4GB"'),
    "HEADGATE_LAKE_TARGET": ("dev", "unknown-branch", "There is no branch 'dev'."),
    "HEADGATE_PARAM_X": ("1", "unknown-parameter", "'x', given by the environment"),
}
FILES = {
    '[project]\nnmae = "x"\n': ("unknown-setting", "headgate.toml, line 2: project.nmae"),
    '[projct]\nname = "x"\n': ("unknown-setting", "Did you mean [project]?"),
    'name = "x"\n': ("unknown-setting", "Write it under [project]."),
    'nonsense = "x"\n': ("unknown-setting", "nonsense stands in no table"),
    "[project\n": ("bad-settings-file", "at line 1"),
    '[project]\nname = "a b"\n': ("bad-setting", "line 2"),
    "[lake]\nlocation = 3\n": ("bad-setting", "lake.location takes a text"),
    '[engine]\nthreads = "4"\n': ("bad-setting", "engine.threads takes a whole number"),
    "project = 3\n": ("bad-setting", "project is a table of settings"),
    '[project]\npipelines = ["shpo.py"]\n': ("no-such-pipeline-file", "Did you mean shop.py?"),
    "[parameters]\nx = 1\n": ("unknown-parameter", "'x', given by headgate.toml"),
    '[project]\nname = "x"\nname = "y"\n': ("bad-settings-file", "at line 3"),
    b'[project]\nname = "\xff"\n': ("bad-settings-file", "utf-8"),
}
PIPELINES = {
    "import headgate as hg\ndef f(:\n": ("import-failed", "SyntaxError", "shop.py:2"),
    "import headgate as hg\nimport nosuch\n": ("import-failed", "'nosuch'", "shop.py:2"),
    "import headgate as hg\n1 / 0\n": ("import-failed", "ZeroDivisionError", "shop.py:2"),
    "import headgate as hg\nraise SystemExit(0)\n": ("import-failed", "SystemExit", "shop.py:2"),
    "import headgate as hg\nimport beside\n": ("import-failed", "SyntaxError", "beside.py:1"),
    "import headgate as hg\nhg.nothing\n": ("import-failed", "nothing", "shop.py:2"),
    'import headgate as hg\nx = hg.sql_step("selec 1")\n': (
        "sql-unreadable",
        "step x",
        "shop.py:2",
    ),
    'import headgate as hg\nx = hg.sql_step(file="x.sql")\n': (
        "sql-file-unreadable",
        "x.sql",
        "shop.py:2",
    ),
    "import headgate as hg\n@hg.step\ndef f(a): return a\n": ("form-missing", "argument a", "f"),
    'import headgate as hg\nx = hg.step(mode="apend")(len)\n': ("unknown-step-mode", "apend", ""),
    "import headgate as hg\nclass C(hg.Contract):\n    a: complex\n": (
        "contract-annotation",
        "complex",
        "shop.py:2",
    ),
    "import headgate as hg\n": ("no-pipelines", "shop.py", ""),
}


@pytest.mark.parametrize("variable", ENVIRONMENT)
def test_a_wrong_variable_is_named(published, variable):
    value, code, said = ENVIRONMENT[variable]
    exits = 6 if code in {"unknown-profile", "unknown-branch"} else 2
    head = published.head()
    words = published("run", exits=exits, **{variable: value})
    assert said in words.err
    assert published.head() == head


def test_variables_that_resemble_none_of_ours_are_left_alone(published):
    assert "Nothing to do" in published("run", HEADGATE_CI_TOKEN="x").err


@pytest.mark.parametrize("text", FILES)
def test_a_wrong_settings_file_is_named_with_the_line(published, text):
    code, said = FILES[text]
    head = published.head()
    right = (published.root / "headgate.toml").read_bytes()
    published.write("headgate.toml", text)
    error = published.error("run", exits=2)
    assert error["code"] == code
    assert said in f"{error['message']} {error['hint']}"
    published.write("headgate.toml", b"\xef\xbb\xbf" + right)  # as some editors write it
    assert "Nothing to do" in published("run").err
    assert published.head() == head


@pytest.mark.parametrize("text", PIPELINES)
def test_a_broken_pipeline_file_is_named_with_the_line_and_nothing_runs(published, text):
    code, said, place = PIPELINES[text]
    head, runs = published.head(), len(published.document("status")["runs"])
    published.write("beside.py", "x = 1 +\n")
    published.write("shop.py", text)
    error = published.error("run", exits=6 if code == "no-pipelines" else 2)
    assert error["code"] == code
    assert said in error["message"]
    assert place in error["message"]
    assert error["hint"]
    (published.root / "beside.py").unlink()
    published.steps()
    assert len(published.document("status")["runs"]) == runs
    assert published.head() == head


def test_a_module_that_hides_pythons_own_is_named(published):
    published.write("json.py", "x = 1\n")
    error = published.error("run", exits=2)
    assert error["code"] == "module-shadows"
    assert "json" in error["message"]


def test_files_that_may_not_be_read_are_named(published, denied):
    for name in ("shop.py", "headgate.toml"):
        path = published.root / name
        path.chmod(0)
        try:
            said = published.apart("run", exits=8, **denied)
        finally:
            path.chmod(0o644)
        assert name in said.err
        assert "Permission denied" in said.err


def test_a_place_without_a_project_is_named(tmp_path_factory, place):
    place.root = tmp_path_factory.mktemp("nothing")
    error = place.error("run", exits=6)
    assert error["code"] == "no-project"
    assert "headgate init" in error["hint"]
