"""Projects of a few files, and the command line as people meet it: its words and its exits."""

import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

from headgate.cli.commands import answer
from headgate.project import open_project

ROOT = Path(__file__).parents[2]
NUMBERS = """
from collections.abc import Iterator
from typing import Annotated
import headgate as hg

@hg.step
def numbers() -> Iterator[dict]:
    for n in range(5):
        yield {"n": n}
"""


@dataclass(frozen=True)
class Said:
    """What a command wrote."""

    code: int
    out: str
    err: str

    @property
    def resume(self) -> str:
        """The run that the words say how to go on with."""
        return re.search(r"headgate resume (\w+)", self.err)[1]


class Place:
    """A project's directory, used through the command line."""

    def __init__(self, root: Path, capture, environment) -> None:
        self.root = root
        self._capture = capture
        self._environment = environment

    def write(self, name: str, text: str | bytes) -> Path:
        """Write a file of the project."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def steps(self, *texts: str) -> None:
        """Write the pipeline: the numbers, and what else there is to be."""
        self.write("shop.py", NUMBERS + "".join(dedent(text) for text in texts))

    def __call__(self, *words: str, exits: int = 0, **variables: str) -> Said:
        """Run a command in this process; it ends as told, and shows nothing of ours."""
        with self._environment.context() as environment:
            for name, value in variables.items():
                environment.setenv(name, value)
            self._capture.readouterr()
            code = answer([*words, "-C", str(self.root)])
        written = self._capture.readouterr()
        said = Said(code, written.out, written.err)
        return self.checked(said, exits)

    def checked(self, said: Said, exits: int) -> Said:
        assert said.code == exits, said.out + said.err
        assert "a bug of its own" not in said.err
        assert "/headgate/" not in said.err.replace(str(self.root), ""), (
            said.err
        )  # no frame of ours
        return said

    def document(self, *words: str, exits: int = 0) -> dict:
        """Run a command and give its answer for programs."""
        return json.loads(self(*words, "--json", exits=exits).out)

    def error(self, *words: str, exits: int) -> dict:
        """Run a command that fails and give its error."""
        return self.document(*words, exits=exits)["error"]

    def rows(self, query: str, ref: str = "main") -> list[dict]:
        """Give the rows of a query, past the command line."""
        with open_project(self.root, environment={}) as project:
            return project.at(ref).sql(query).to_rows()

    def head(self, ref: str = "main") -> str:
        """Give a ref's commit id."""
        with open_project(self.root, environment={}) as project:
            return project.lake.resolve(ref).id

    def process(self, *words: str, **options) -> subprocess.Popen:
        """Start the command line in a process of its own."""
        own = {name: text for name, text in os.environ.items() if not name.startswith("HEADGATE_")}
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "headgate", *words],
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**own, "PYTHONPATH": str(ROOT), "TERM": "dumb"},
            **options,
        )

    def apart(self, *words: str, exits: int = 0, **options) -> Said:
        """Run a command in a process of its own, to its end."""
        process = self.process(*words, **options)
        out, err = process.communicate(timeout=60)
        return self.checked(Said(process.returncode, out, err), exits)

    def is_unchanged(self, head: str, said: Said) -> None:
        """Check that readers see the old commit, and that the words say so."""
        assert f"Not published. Readers of main still see {head[:6]}." in said.err
        assert self.head() == head


SETTINGS = '[project]\nname = "shop"\n[engine]\nthreads = 1\n'


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    """A project that was run once, to be copied."""
    root = tmp_path_factory.mktemp("shop")
    (root / "headgate.toml").write_text(SETTINGS)
    (root / "shop.py").write_text(NUMBERS)
    with open_project(root, environment={}) as project:
        project.run()
    return root


@pytest.fixture
def place(tmp_path, capfd, monkeypatch):
    """A project whose pipeline makes five numbers; never run."""
    for name in [name for name in os.environ if name.startswith("HEADGATE_")]:
        monkeypatch.delenv(name)
    place = Place(tmp_path, capfd, monkeypatch)
    place.write("headgate.toml", SETTINGS)
    place.steps()
    return place


@pytest.fixture
def published(place, shop):
    """The same, run once."""
    shutil.copytree(shop, place.root, dirs_exist_ok=True)
    return place


@pytest.fixture
def small_disk(place):
    """The project's directory on a disk of 8 MB."""
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(place.root)],
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a small disk takes root's rights")
    place.write("headgate.toml", SETTINGS)
    place.steps()
    yield place
    subprocess.run(["umount", "--lazy", str(place.root)], check=True)


@pytest.fixture(scope="session")
def denied():
    """Options of a process that obeys permissions, also where the tests run as root."""
    if os.geteuid() != 0:
        return {}
    bounds, override, search = 24, 1, 2  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    libc = ctypes.CDLL(None)

    def obey() -> None:
        for capability in (override, search):
            libc.prctl(bounds, capability, 0, 0, 0)

    probe = "print(open('/proc/self/status').read())"
    status = subprocess.run(
        [sys.executable, "-c", probe], preexec_fn=obey, capture_output=True, text=True, check=True
    ).stdout
    effective = int(re.search(r"CapEff:\s*(\w+)", status)[1], 16)
    if effective & (1 << override):
        pytest.skip("permissions cannot be taken from root here")
    return {"preexec_fn": obey}
