"""The walls between rooms stand: a contract breaks when somebody walks through."""

import itertools
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytest.importorskip("importlinter")

ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]
FLOORS, CYCLES = CONTRACTS[0], CONTRACTS[1]
PROTECTED = CONTRACTS[2:]


def lint(tree: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Give each contract's outcome, and what is said of the broken ones."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "COLUMNS": "1000"}
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [command, "--no-cache"],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    outcomes = dict(re.findall(r"^(.+?) (KEPT|BROKEN)(?: \(.*\))?$", done.stdout, re.MULTILINE))
    names = [contract["name"] for contract in CONTRACTS]
    assert set(outcomes) == set(names), done.stdout + done.stderr
    sections = re.split(r"^(.+)\n-+\n", done.stdout, flags=re.MULTILINE)
    said = dict(zip(sections[1::2], sections[2::2], strict=False))
    return outcomes, {name: said.get(name, "") for name in names}


def copy_of_the_house(into: Path) -> Path:
    shutil.copytree(
        ROOT / "headgate", into / "headgate", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(ROOT / "pyproject.toml", into)
    return into


def rooms_of(layer: str) -> list[str]:
    """Give the modules of one line of the floors that are built already."""
    words = [word.strip(" ()") for word in re.split(r"[|:]", layer)]
    package = ROOT / "headgate"
    return [
        w for w in words if (package / w / "__init__.py").exists() or (package / f"{w}.py").exists()
    ]


def plant(tree: Path, module: str, statement: str, number: int) -> str:
    """Add a statement to a room, in a file of its own, or to a single file; give the importer."""
    package = tree / "headgate" / module
    if package.is_dir():
        (package / f"planted_{number}.py").write_text(statement + "\n")
        return f"headgate.{module}.planted_{number}"
    path = package.with_suffix(".py")
    path.write_text(path.read_text() + f"\n{statement}\n")
    return f"headgate.{module}"


def a_file_behind(door: str) -> str:
    """Give a module that really is behind the door."""
    return next(
        path.stem
        for path in sorted((ROOT / "headgate" / door).glob("*.py"))
        if path.stem != "__init__"
    )


@pytest.fixture(scope="module")
def planted(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Plant every violation into one copy; give what is said, and (contract, expected words)."""
    tree = copy_of_the_house(tmp_path_factory.mktemp("house"))
    expected: list[tuple[str, str]] = []
    number = 0

    def violate(contract: str, module: str, statement: str, imported: str) -> None:
        nonlocal number
        number += 1
        importer = plant(tree, module, statement, number)
        expected.append((contract, f"{importer} -> {imported}"))

    floors = [rooms for layer in FLOORS["layers"] if (rooms := rooms_of(layer))]
    for upper, lower in itertools.pairwise(floors):
        for room in lower:
            violate(FLOORS["name"], room, f"import headgate.{upper[0]}", f"headgate.{upper[0]}")
    neighbours = next(floor for floor in floors if "lake" in floor)
    for room, other in zip(neighbours, [*neighbours[1:], neighbours[0]], strict=True):
        violate(FLOORS["name"], room, f"import headgate.{other}", f"headgate.{other}")
    (tree / "headgate" / "attic").mkdir()
    (tree / "headgate" / "attic" / "__init__.py").write_text("")
    expected.append((FLOORS["name"], "attic"))

    lake = tree / "headgate" / "lake"
    (lake / "planted_hen.py").write_text("import headgate.lake.planted_egg\n")
    (lake / "planted_egg.py").write_text("import headgate.lake.planted_hen\n")
    expected.append((CYCLES["name"], "planted_"))

    for contract in PROTECTED:
        for protected in contract["protected_modules"]:
            stranger = "runs" if "headgate.runs" not in contract["allowed_importers"] else "cli"
            if protected.startswith("headgate."):
                door = protected.removeprefix("headgate.").removesuffix(".*")
                target = f"headgate.{door}.{a_file_behind(door)}"
            else:
                target = protected
            violate(contract["name"], stranger, f"import {target}", target)
    _, said = lint(tree)
    return said, expected


def test_the_house_as_it_stands_breaks_no_contract(tmp_path: Path) -> None:
    outcomes, said = lint(copy_of_the_house(tmp_path))
    broken = [name for name, outcome in outcomes.items() if outcome == "BROKEN"]
    assert not broken, "\n".join(said[name] for name in broken)


@pytest.mark.parametrize("contract", [contract["name"] for contract in CONTRACTS])
def test_every_contract_names_the_planted_violation(
    contract: str, planted: tuple[dict[str, str], list[tuple[str, str]]]
) -> None:
    said, expected = planted
    mine = [words for name, words in expected if name == contract]
    assert mine, f"nothing is planted against {contract!r}"
    for words in mine:
        assert words in said[contract], f"{contract!r} does not notice {words}"


def test_every_room_with_files_has_a_door_contract() -> None:
    guarded = {
        name.removeprefix("headgate.").removesuffix(".*")
        for contract in PROTECTED
        for name in contract["protected_modules"]
        if name.startswith("headgate.")
    }
    rooms = {path.parent.name for path in (ROOT / "headgate").glob("*/__init__.py")}
    assert rooms - guarded <= {"testing"}
