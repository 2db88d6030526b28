"""F1: 1,000 steps without a table, ordered by ``after=``; durable against kill -9, events on."""

import json
import shutil
import time
from pathlib import Path
from statistics import median

import headgate
from benchmarks.measuring import WORK, Measured, process, report
from benchmarks.orchestrators.shapes import shape
from benchmarks.peers import environment

ORCHESTRATORS = Path(__file__).parent / "orchestrators"
PEERS = ("kedro", "luigi", "dask", "prefect")
SHAPES = ("wide", "chain")
MUST_MS = 0.2
REPEAT = 5


def main() -> None:
    for name in SHAPES:
        ours = _ours(name)
        limit = _other("hamilton", name)
        peers = {peer: ms for peer in PEERS if (ms := _other(peer, name)) is not None}
        report(
            "F1",
            f"{name}, in threads",
            unit="ms/step",
            ours=ours.wall_s,
            cpu=ours.cpu_s,
            limit=limit,
            peers=peers,
            must=f"<= {MUST_MS} ms/step",
            reached=ours.wall_s <= MUST_MS,
        )


def _ours(name: str) -> Measured:
    """Give milliseconds per step of a whole run, from the call of ``run`` to its return."""
    walls, cpus = [], []
    for number in range(REPEAT):
        directory = _project(name, number)
        project = headgate.open(directory)
        began, cpu = time.perf_counter(), time.process_time()
        run = project.run()
        walls.append(time.perf_counter() - began)
        cpus.append(time.process_time() - cpu)
        if len(run.steps) != len(shape(name)):
            raise RuntimeError(f"the run ended {run.state}")
        project.close()
        shutil.rmtree(directory)
    per_step = 1000 / len(shape(name))
    return Measured(
        wall_s=median(walls) * per_step,
        cpu_s=median(cpus) * per_step,
        peak_bytes=0,
        walls_s=tuple(wall * per_step for wall in walls),
    )


def _project(name: str, number: int) -> Path:
    directory = WORK / "steps" / f"{name}-{number}"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    (directory / "headgate.toml").write_text('[project]\npipelines = ["nothing.py"]\n')
    lines = ["import headgate as hg", ""]
    for step, before in shape(name):
        lines += [f"@hg.step(after={before!r})", f"def {step}() -> None: pass", ""]
    (directory / "nothing.py").write_text("\n".join(lines))
    return directory


def _other(peer: str, name: str) -> float | None:
    programs = environment(peer)
    if programs is None:
        return None
    quiet = {
        "DO_NOT_TRACK": "1",
        "KEDRO_DISABLE_TELEMETRY": "1",
        "PREFECT_HOME": str(WORK / "peers" / "prefect-home"),
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
    }
    repeat = 1 if peer == "prefect" else 3
    figures = []
    for _ in range(repeat):
        command = [programs / "python", ORCHESTRATORS / f"run_{peer}.py", name]
        done = process(command, repeat=1, environment=quiet, cwd=ORCHESTRATORS)
        line = next(line for line in done.output.splitlines() if line.startswith("{"))
        figures.append(json.loads(line)["ms_per_step"])
    return median(figures)


if __name__ == "__main__":
    main()
