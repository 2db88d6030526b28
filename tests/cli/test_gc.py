"""What ``headgate gc`` says, to people and to programs."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from headgate.cli.commands import answer
from headgate.cli.gc_commands import _lines, swept_document
from headgate.lake import LostRun, Pin, Swept

AT = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
ORPHAN = "data/00000000-0000-0000-0000-000000000001/0123456789ab-x-1-0.parquet"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A project that ran once, and a file that a killed run left behind."""
    (tmp_path / "headgate.toml").write_text('[lake.retention]\nhistory = "1d"\n')
    (tmp_path / "one.py").write_text("import headgate as hg\none = hg.sql_step('select 1 as n')\n")
    assert answer(["run", "-C", str(tmp_path)]) == 0
    orphan = tmp_path / "lake" / ORPHAN
    orphan.parent.mkdir()
    orphan.write_bytes(b"PAR1" * 500)
    return tmp_path


def test_what_is_marked_goes_after_the_grace(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def say(*arguments: str, exits: int = 0) -> str:
        capsys.readouterr()
        assert answer(["gc", "-C", str(shop), *arguments]) == exits
        return capsys.readouterr().out

    assert "1 file, 2.0 kB, the first until" in say()
    assert (shop / "lake" / ORPHAN).exists()
    planned = json.loads(say("--plan", "--json", "--grace", "0"))
    assert (planned["plan"], planned["files"], planned["bytes"]) == (True, 1, 2000)
    assert say("--grace", "0").splitlines()[:2] == ["Gone:", "  1 file, 2.0 kB"]
    assert not (shop / "lake" / ORPHAN).exists()
    assert say("--grace", "0").splitlines() == ["Nothing goes now."]
    say("--grace", "soon", exits=2)


def test_a_plan_names_what_goes_and_why() -> None:
    swept = Swept(
        at=AT,
        commits=3,
        records=2,
        files=40,
        size_bytes=1_200_000,
        waiting_commits=1,
        waiting_files=2,
        waiting_bytes=900,
        ready=AT + timedelta(days=2),
        branches={"run/0123456789ab": "run 0123456789ab is over: published"},
        given_up=("fedcba987654",),
        lost=(
            LostRun(run="a" * 12, pipeline="p", commit="b" * 40, at=AT, base="c" * 40, now=True),
            LostRun(run="d" * 12, pipeline="p", commit="e" * 40, at=AT, base="f" * 40, now=False),
        ),
        pins=(
            Pin(
                id="1",
                kind="reader",
                holder="host:7",
                commit="a" * 40,
                created=AT,
                until=AT + timedelta(minutes=10),
                why="reads main~2",
            ),
        ),
    )
    told = "2026-11-20 09:30:00"
    assert list(_lines(swept, only_plan=True)) == [
        "Would go now:",
        "  40 files, 1.2 MB",
        "  the tables of 3 commits",
        "  2 commits that no branch or tag reaches",
        "  branch run/0123456789ab: run 0123456789ab is over: published",
        "  given up: fedc",
        "Waits:",
        "  2 files, 900 B, the first until 2026-11-22 09:30:00 UTC",
        "  the tables of 1 commit",
        "Cannot be reproduced any more: 2 runs",
        f"  run aaaa of p, published {told} as bbbbbb: it began from cccccc, which goes",
        f"  run dddd of p, published {told} as eeeeee: it began from ffffff, which waits",
        "Held:",
        "  aaaaaa by reader host:7: reads main~2, lease until 2026-11-20 09:40:00 UTC",
    ]
    assert json.loads(json.dumps(swept_document(swept)))["waiting"]["until"][:10] == "2026-11-22"
