"""`make` on a bare machine: it finds a Python, names the line that mends a lack, is quick."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tools" / "environment.sh"
NEEDED = ("sh", "cat", "cmp", "dirname", "id", "mv", "rm")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Give a machine whose PATH holds the commands every system has, and no Python."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in NEEDED:
        (programs / name).symlink_to(shutil.which(name) or name)
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "pyproject.toml").write_text("[project]\n")
    return tmp_path


def program(machine: Path, name: str, body: str) -> None:
    path = machine / "programs" / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def python(machine: Path, name: str, *, version: str, ensurepip: bool = True) -> None:
    """Put a Python there that answers what the script asks and whose venv needs no network."""
    minor = version.split(".")[1]
    program(
        machine,
        name,
        f"""
case "$*" in
  *ensurepip*) exit {0 if ensurepip else 1} ;;
  *"sys.exit(sys.version_info"*) exit {0 if int(minor) >= 11 else 1} ;;
  *"print("*) echo {version} ;;
  --version) echo "Python {version}.9" ;;
  "-m venv "*) {shutil.which("mkdir")} -p "$3/bin"; {shutil.which("cp")} "$0" "$3/bin/python" ;;
  "-m pip "*) echo "$*" >>"$PIP_LOG"; exit "${{PIP_STATUS:-0}}" ;;
esac""",
    )


def make(machine: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {
        "PATH": str(machine / "programs"),
        "HOME": str(machine),
        "PIP_LOG": str(machine / "pip.log"),
        **environment,
    }
    return subprocess.run(
        [SCRIPT, *(arguments or (".venv", "-e", ".[dev]"))],
        cwd=machine / "checkout",
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )


def installs(machine: Path) -> int:
    log = machine / "pip.log"
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_without_python_it_names_the_packages_of_a_debian(machine: Path) -> None:
    program(machine, "apt-get", "exit 99")
    done = make(machine)
    assert done.returncode == 1
    sudo = "" if os.getuid() == 0 else "sudo "
    assert f"    {sudo}apt-get install -y python3 python3-venv\n" in done.stderr


def test_a_python_that_is_too_old_is_passed_over(machine: Path) -> None:
    python(machine, "python3", version="3.10")
    done = make(machine)
    assert done.returncode == 1
    assert "needs Python 3.11 or newer" in done.stderr


def test_without_ensurepip_it_stops_with_the_line_for_the_found_version(machine: Path) -> None:
    python(machine, "python3.12", version="3.12", ensurepip=False)
    program(machine, "apt-get", "exit 99")
    done = make(machine)
    assert done.returncode == 1
    assert "apt-get install -y python3.12-venv\n" in done.stderr
    assert not (machine / "checkout" / ".venv").exists()


def test_ci_asks_for_exactly_what_is_missing(machine: Path) -> None:
    assert make(machine, "--missing").stdout == "python3 python3-venv\n"
    python(machine, "python3.11", version="3.11", ensurepip=False)
    assert make(machine, "--missing").stdout == "python3.11-venv\n"
    python(machine, "python3.11", version="3.11")
    assert make(machine, "--missing").stdout == ""


def test_the_second_time_installs_nothing(machine: Path) -> None:
    python(machine, "python3.11", version="3.11")
    assert make(machine).returncode == 0
    second = make(machine)
    assert (second.returncode, second.stderr, installs(machine)) == (0, "", 1)


def test_a_changed_pyproject_is_installed_again(machine: Path) -> None:
    python(machine, "python3", version="3.13")
    make(machine)
    (machine / "checkout" / "pyproject.toml").write_text("[project]\ndependencies = []\n")
    make(machine)
    assert installs(machine) == 2


def test_a_failed_installation_is_not_taken_for_made(machine: Path) -> None:
    python(machine, "python3.11", version="3.11")
    failed = make(machine, PIP_STATUS="1")
    assert failed.returncode == 1
    assert "could not be installed" in failed.stderr
    assert make(machine).returncode == 0
    assert installs(machine) == 2


def test_a_chosen_python_that_will_not_do_is_named(machine: Path) -> None:
    python(machine, "python3.11", version="3.11")
    python(machine, "mine", version="3.9")
    done = make(machine, PYTHON="mine")
    assert done.returncode == 1
    assert "PYTHON=mine" in done.stderr
