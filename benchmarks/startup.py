"""F3: whole processes, from start to end: ``--version``, ``import``, a run with nothing to do."""

import shutil
import sys
from pathlib import Path

from benchmarks.measuring import WORK, Measured, process, report
from benchmarks.peers import environment

ORCHESTRATORS = Path(__file__).parent / "orchestrators"
REPEAT = 15

SQL_ONLY = """
import headgate as hg

numbers = hg.files("numbers.csv")
doubled = hg.sql_step("select n, n * 2 as twice from numbers")
total = hg.sql_step("select sum(twice) as total from doubled")
"""
WITH_POLARS = """
import headgate as hg
import polars as pl

numbers = hg.files("numbers.csv")


@hg.step
def doubled(numbers: pl.LazyFrame) -> pl.LazyFrame:
    return numbers.with_columns(twice=pl.col("n") * 2)


total = hg.sql_step("select sum(twice) as total from doubled")
"""


def main() -> None:
    bare = _whole([sys.executable, "-c", "pass"])
    polars = _whole([sys.executable, "-c", "import polars"])
    peers = {
        peer: _ms(_whole([programs / "python", ORCHESTRATORS / f"run_{peer}.py", "hello"]).wall_s)
        for peer in ("luigi", "kedro")
        if (programs := environment(peer)) is not None
    }
    headgate = _command()
    _line("headgate --version", _whole([*headgate, "--version"]), bare, 60)
    _line("import headgate", _whole([sys.executable, "-c", "import headgate"]), bare, 100)
    nothing = _whole([*headgate, "run"], cwd=_published(SQL_ONLY, headgate))
    _line("nothing to do, SQL steps", nothing, bare, 300, peers)
    nothing = _whole([*headgate, "run"], cwd=_published(WITH_POLARS, headgate))
    must_ms = 300 + _ms(polars.wall_s)
    _line("nothing to do, polars imported", nothing, polars, must_ms, peers)


def _line(
    case: str,
    ours: Measured,
    limit: Measured,
    must_ms: float,
    peers: dict[str, float] | None = None,
) -> None:
    report(
        "F3",
        case,
        unit="ms",
        ours=_ms(ours.wall_s),
        limit=_ms(limit.wall_s),
        cpu=_ms(ours.cpu_s),
        limit_cpu=_ms(limit.cpu_s),
        peers=peers or {},
        must=f"<= {must_ms:.0f} ms",
        reached=_ms(ours.wall_s) <= must_ms,
    )


def _command() -> list[str | Path]:
    """Give the installed command, or the module where headgate is only on the path."""
    script = Path(sys.executable).with_name("headgate")
    return [script] if script.exists() else [sys.executable, "-m", "headgate"]


def _published(pipeline: str, headgate: list[str | Path]) -> Path:
    """Give a project whose pipeline has run once and has nothing to do."""
    directory = WORK / "startup"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    (directory / "headgate.toml").write_text('[project]\npipelines = ["numbers_twice.py"]\n')
    (directory / "numbers_twice.py").write_text(pipeline)
    (directory / "numbers.csv").write_text("n\n" + "\n".join(map(str, range(1000))) + "\n")
    process([*headgate, "run"], repeat=1, cwd=directory)
    second = process([*headgate, "run", "--json"], repeat=1, cwd=directory)
    if "nothing" not in second.output:
        raise RuntimeError(f"the second run did something:\n{second.output}")
    return directory


def _whole(command: list[str | Path], *, cwd: Path | None = None) -> Measured:
    return process(command, repeat=REPEAT, cwd=cwd)


def _ms(seconds: float) -> float:
    return 1000 * seconds


if __name__ == "__main__":
    main()
