import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def headgate(tmp_path):
    """Run headgate as people do, in a process of its own, in a directory of its own."""

    def run(*arguments, cwd=tmp_path, stdin="", check=None, **environment):
        own = {name: text for name, text in os.environ.items() if not name.startswith("HEADGATE_")}
        done = subprocess.run(
            [sys.executable, "-m", "headgate", *arguments],
            cwd=cwd,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**own, "PYTHONPATH": str(ROOT), "TERM": "dumb", **environment},
        )
        if check is not None:
            assert done.returncode == check, done.stdout + done.stderr
        return done

    return run
