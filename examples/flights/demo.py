"""The whole story on real data: publish, quarantine, nothing to do, a broken change held back.

Every command below is run as you would type it, in ``demo/`` beside the checkout's README; the lake
stays there afterwards, to look around in.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import fetch_data

EXAMPLE = Path(__file__).parent
CHECKOUT = EXAMPLE.parents[1]
DEMO = CHECKOUT / "demo"
PROGRAMS = Path(sys.executable).parent
CHECKS_FAILED = 4

RIGHT = 'delay.median().alias("median_delay")'
WRONG = '(delay.median() * 60).alias("median_delay")'
MENDED = 'delay.median().round(0).alias("median_delay")'


def main() -> int:
    """Tell the story; 1 where it does not go as told."""
    try:
        prepare()
    except fetch_data.FetchError as error:
        print(error, file=sys.stderr)
        return 1
    say("1. A first run: five files come in, four tables are computed, all published at once.")
    expect(0, "headgate run")
    show('headgate sql "select * from worst limit 5"')

    say("2. The data has defects. Rows that break a contract are set aside, each with its reason.")
    show("headgate quarantine list")
    show(
        "headgate sql \"select position, payload->>'carrier' as carrier,"
        " payload->>'flight' as flight, payload->>'tailnum' as tailnum, checks"
        ' from _quarantine.flights limit 3"'
    )

    say("3. Nothing has changed, so there is nothing to do.")
    published = head()
    expect(0, "headgate run")

    say("4. An unlucky edit: minutes become seconds. It does not reach main.")
    edit("flights.py", RIGHT, WRONG)
    expect(CHECKS_FAILED, "headgate run")
    if head() != published:
        return fail("main has moved")

    say("5. The failed run's tables are on a branch of their own: compare them, query them.")
    branch = failed_branch()
    show(f"headgate diff main {branch}")
    show(
        f'headgate sql --ref {branch} "select name, hour, flights, median_delay from delays'
        ' order by median_delay desc limit 3"'
    )

    say("6. Mended (whole minutes will do), the run goes on where it stopped, and is published.")
    edit("flights.py", WRONG, MENDED)
    expect(0, f"headgate resume {branch.removeprefix('run/')}")
    show("headgate log --limit 3")
    say(f"Look around:  cd {DEMO.name}; {os.path.relpath(PROGRAMS, DEMO)}/headgate --help")
    return 0


def prepare() -> None:
    """Make the project anew in ``demo/``, with the data beside it."""
    if not fetch_data.is_complete(fetch_data.DATA):
        print("Fetching 9 MB of departures from New York in 2013 ...", flush=True)
    fetch_data.fetch(fetch_data.DATA)
    shutil.rmtree(DEMO, ignore_errors=True)
    DEMO.mkdir()
    for name in ("headgate.toml", "flights.py"):
        shutil.copy(EXAMPLE / name, DEMO)
    shutil.copytree(fetch_data.DATA, DEMO / "data")


def say(words: str) -> None:
    """Print a paragraph of the story."""
    print(f"\n\033[1m{words}\033[0m" if sys.stdout.isatty() else f"\n{words}", flush=True)


def show(command: str) -> int:
    """Run a command in the demo, visibly, and give its exit code."""
    print(f"\n$ {command}", flush=True)
    together = None if sys.stderr.isatty() else subprocess.STDOUT
    return subprocess.run(_program(command), cwd=DEMO, check=False, stderr=together).returncode


def expect(code: int, command: str) -> None:
    """Run a command that must end with this exit code."""
    found = show(command)
    if found:
        print(f"[exit code {found}]", flush=True)
    if found != code:
        sys.exit(fail(f"{command} ended with {found}, not {code}"))


def edit(name: str, old: str, new: str) -> None:
    """Change a file of the demo, and show how."""
    path = DEMO / name
    path.write_text(path.read_text().replace(old, new))
    print(f"\n{name}:\n  - {old}\n  + {new}", flush=True)


def head() -> str:
    """Give the commit that readers of main see."""
    return str(next(each["head"] for each in status()["branches"] if each["name"] == "main"))


def failed_branch() -> str:
    """Give the branch of the last run, as short as people write it."""
    return str(status()["runs"][0]["branch"])[: len("run/") + 4]


def status() -> dict[str, list[dict[str, object]]]:
    """Ask how branches and runs stand."""
    command = _program("headgate status --json")
    done = subprocess.run(command, cwd=DEMO, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def fail(reason: str) -> int:
    """Say that the demo itself went wrong."""
    print(f"\nThe demo did not go as it should: {reason}.", file=sys.stderr)
    return 1


def _program(command: str) -> list[str]:
    """Give the command with this environment's headgate, whether installed or only importable."""
    _, *arguments = shlex.split(command)
    script = PROGRAMS / "headgate"
    return (
        [str(script), *arguments]
        if script.exists()
        else [sys.executable, "-m", "headgate", *arguments]
    )


if __name__ == "__main__":
    sys.exit(main())
