import ast
import tomllib

import pytest

from headgate.errors import AlreadyExists, Invalid
from headgate.project import read_settings
from headgate.project.scaffolding import scaffold


def test_a_new_project_has_its_files_and_no_placeholder_left(tmp_path):
    written = scaffold(tmp_path / "shop")
    assert {path.as_posix() for path in written} == {
        ".github/workflows/ci.yml",
        ".gitignore",
        "README.md",
        "conftest.py",
        "data/customers.csv",
        "data/orders.csv",
        "headgate.toml",
        "pytest.ini",
        "requirements.txt",
        "shop.py",
        "tests/test_shop.py",
    }
    for path in written:
        text = (tmp_path / "shop" / path).read_text()
        assert text
        assert "@@" not in text
        if path.suffix == ".py":
            ast.parse(text)


@pytest.mark.parametrize(
    ("directory", "name", "project", "module"),
    [
        ("shop", None, "shop", "shop.py"),
        ("My Shop", None, "my_shop", "my_shop.py"),
        ("2013", None, "project_2013", "project_2013.py"),
        ("x", "web-shop", "web-shop", "web_shop.py"),
        ("json", None, "json", "json_pipeline.py"),
        ("tests", None, "tests", "tests_pipeline.py"),
    ],
)
def test_names_are_made_of_the_directorys(tmp_path, directory, name, project, module):
    scaffold(tmp_path / directory, name=name)
    settings = read_settings(tmp_path / directory, environment={})
    assert settings.name == project
    assert settings.pipelines == (module,)
    assert (tmp_path / directory / module).is_file()


def test_nothing_that_exists_is_overwritten_and_nothing_is_written_beside_it(tmp_path):
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(AlreadyExists, match=r"README\.md"):
        scaffold(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    assert (tmp_path / "README.md").read_text() == "mine"


def test_a_name_that_cannot_be_one_is_refused(tmp_path):
    with pytest.raises(Invalid, match="cannot name"):
        scaffold(tmp_path / "x", name="2 words")
    assert not (tmp_path / "x").exists()


def test_the_settings_are_toml(tmp_path):
    scaffold(tmp_path / "shop")
    tomllib.loads((tmp_path / "shop" / "headgate.toml").read_text())
