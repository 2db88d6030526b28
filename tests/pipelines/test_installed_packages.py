from pathlib import Path

from headgate.pipelines import installed


def test_versions_come_from_the_names_of_directories(tmp_path: Path) -> None:
    for name in ("polars-2.1.0.dist-info", "scikit_learn-1.7.dist-info", "PyYAML-6.0.2.dist-info"):
        (tmp_path / name).mkdir()
    (tmp_path / "scikit_learn-1.7.dist-info/RECORD").write_text("sklearn/__init__.py,,\n")
    (tmp_path / "PyYAML-6.0.2.dist-info/RECORD").write_text("a,,\nyaml/x.py,,\n_yaml.so,,\n")
    found = installed(
        ["polars", "sklearn", "yaml", "_yaml", "nothing"], search=[str(tmp_path), "/nowhere"]
    )
    assert found == {
        "polars": "2.1.0",
        "sklearn": "scikit_learn 1.7",
        "yaml": "PyYAML 6.0.2",
        "_yaml": "PyYAML 6.0.2",
        "nothing": "absent",
    }


def test_the_first_on_the_path_counts(tmp_path: Path) -> None:
    for folder, version in (("one", "1.0"), ("two", "2.0")):
        (tmp_path / folder / f"polars-{version}.dist-info").mkdir(parents=True)
    search = [str(tmp_path / folder) for folder in ("one", "two")]
    assert installed(["polars"], search=search) == {"polars": "1.0"}


def test_what_is_installed_here_is_found() -> None:
    import polars as pl

    assert installed(["polars"]) == {"polars": pl.__version__}
