"""Runs: ``plan``, ``run``, ``resume``, ``adopt``, ``merge`` and ``status``."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import TYPE_CHECKING

import click

from headgate import runs as hall
from headgate.cli.exit_codes import exit_code
from headgate.cli.history import first_line, run_document, verdict_document
from headgate.cli.options import Call, command, error_document, error_words, named
from headgate.cli.phrases import counted, instant, short, short_run, without_quarantines
from headgate.cli.progress import NOTHING, Progress
from headgate.cli.sink_commands import deliver_after
from headgate.cli.tables import aligned
from headgate.errors import HeadgateError
from headgate.lake import RunState

if TYPE_CHECKING:
    from headgate.lake import Isolation, RunRow
    from headgate.project import Project
    from headgate.runs import Plan, RunResult

_WORKING = (RunState.RUNNING, RunState.PUBLISHING)
_UNFINISHED = (RunState.RUNNING, RunState.PUBLISHING, RunState.FAILED, RunState.PARKED)


@click.command()
@click.argument("pipeline", required=False)
@click.option(
    "--branch",
    metavar="NAME",
    callback=named,
    help="Publish to this branch; made off the target if new.",
)
@click.option(
    "--target",
    metavar="NAME",
    callback=named,
    help="Publish to this branch. [default: lake.target]",
)
@click.option(
    "--isolation",
    type=click.Choice(("serializable", "snapshot-isolation", "fresh")),
    help="What the run is protected from. [default: the pipeline's]",
)
@click.option(
    "-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="Set a parameter."
)
@click.option(
    "--take-over",
    multiple=True,
    metavar="TABLE",
    help="Replace this table of another pipeline, and own it from now on.",
)
@click.option("--force", is_flag=True, help="Compute every step, also what is published already.")
@command()
def run(
    call: Call,
    pipeline: str | None,
    branch: str | None,
    target: str | None,
    isolation: "Isolation | None",
    params: tuple[str, ...],
    *,
    force: bool,
    take_over: tuple[str, ...],
) -> None:
    """Run a pipeline; publish all of it, or nothing.

    Steps whose output is published already are skipped. PIPELINE may be left out where there is
    only one.
    """
    follow(
        call,
        lambda project, listener: project.run(
            pipeline,
            branch=branch,
            target=target,
            isolation=isolation,
            parameters=params,
            force=force,
            take_over=take_over,
            listeners=(listener,),
        ),
    )


@click.command()
@click.argument("run", metavar="RUN")
@command()
def resume(call: Call, run: str) -> None:
    """Take up an unfinished run where it ended.

    It may have failed, been interrupted, or been parked. Steps whose code or inputs changed since
    run again; the others are kept.
    """
    follow(call, lambda project, listener: project.resume(run, listeners=(listener,)))


@click.command()
@click.argument("run", metavar="RUN")
@command()
def adopt(call: Call, run: str) -> None:
    """Publish what an unfinished run made, as it is.

    Every contract is judged first.
    """
    follow(call, lambda project, listener: project.adopt(run, listeners=(listener,)))


@click.command()
@click.argument("source", metavar="BRANCH")
@click.option(
    "--into", metavar="NAME", callback=named, help="The branch that gets it. [default: lake.target]"
)
@command()
def merge(call: Call, source: str, into: str | None) -> None:
    """Publish a branch to the target, after its checks.

    All of it becomes visible at once, or nothing does.
    """
    follow(
        call,
        lambda project, listener: project.merge(source, into=into, listeners=(listener,)),
        nothing=f"Nothing to do: all of {source} is in",
    )


def plan_document(plan: "Plan") -> dict[str, object]:
    """Give a plan as JSON."""
    return {
        "target": plan.target,
        "commit": plan.commit.id,
        "nothing_to_do": plan.nothing_to_do,
        "steps": [
            {"step": step.step, "action": step.action, "reason": step.reason} for step in plan.steps
        ],
    }


@click.command()
@click.argument("run", metavar="RUN")
@command()
def abandon(call: Call, run: str) -> None:
    """Give an unfinished run up for good.

    Its branch stays readable until it is deleted.
    """
    given_up = call.project.abandon(run)
    if call.json:
        call.terminal.document(run_document(given_up))
    call.terminal.words(
        f"Run {short_run(given_up.id)} is given up; its branch is {given_up.branch}."
    )


@contextmanager
def _terminable() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C: the run ends as interrupted, its branch is kept."""

    def stop(number: int, frame: object) -> None:
        del number, frame
        raise KeyboardInterrupt

    if current_thread() is not main_thread():  # only the main thread hears signals
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def follow(
    call: Call,
    work: "Callable[[Project, Progress], RunResult]",
    *,
    nothing: str = NOTHING,
) -> None:
    """Do something that ends in a publication, and tell how it goes."""
    project = call.project
    progress = Progress(call.terminal, project.clock, nothing=nothing)
    try:
        with _terminable():
            result = work(project, progress)
    except HeadgateError as error:
        progress.close()
        if progress.run is None:
            raise
        _say_failure(call, progress, error)
        click.get_current_context().exit(exit_code(error))
    finally:
        progress.close()
    if result.state is RunState.NOTHING and progress.run is None:
        call.terminal.words(f"{nothing} {short(result.commit.id)}.")
    delivered = deliver_after(call, result)
    if call.json:
        call.terminal.document({**result_document(result), **delivered})


def _say_failure(call: Call, progress: Progress, error: HeadgateError) -> None:
    told = error.code in progress.told or (
        error.category == "check-failed" and progress.failed_checks
    )
    for line in error_words(call.terminal, error, message=not told):
        call.terminal.words(line)
    log = call.project.logs.path(progress.run or "")
    if log.exists():
        call.terminal.words(call.terminal.style(f"Log:     {log}", "quiet"))
    if call.json:
        call.terminal.document(
            {
                "run": progress.run,
                "state": "failed",
                "target": progress.target,
                "log": str(log),
                "error": error_document(error),
                "verdicts": [verdict_document(each) for each in progress.verdicts],
            }
        )


def result_document(result: "RunResult") -> dict[str, object]:
    """Give a run's result as JSON."""
    return {
        "run": result.id,
        "pipeline": result.pipeline,
        "state": result.state,
        "target": result.target,
        "commit": result.commit.id,
        "tables": list(without_quarantines(result.tables)),
        "losses": result.losses,
        "steps": [
            {
                "step": step.step,
                "skipped": step.skipped.commit if step.skipped else None,
                "rows_read": step.rows_in,
                "rows": step.rows_out,
                "rows_quarantined": step.rows_quarantined,
                "wall_s": step.wall_s,
            }
            for step in result.steps
        ],
        "verdicts": [verdict_document(verdict) for verdict in result.verdicts],
    }


@click.command()
@click.argument("pipeline", required=False)
@click.option(
    "--target",
    metavar="NAME",
    callback=named,
    help="The branch to plan for. [default: lake.target]",
)
@click.option(
    "-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="Set a parameter."
)
@command()
def plan(call: Call, pipeline: str | None, target: str | None, params: tuple[str, ...]) -> None:
    """Say which steps a run would compute, and why.

    Runs nothing and changes nothing.
    """
    planned = call.project.plan(pipeline, target=target, parameters=params)
    if call.json:
        call.terminal.document(plan_document(planned))
        return
    rows = [(step.step, step.action, step.reason) for step in planned.steps]
    for line in aligned(("step", "", "because"), rows, width=call.terminal.width):
        call.terminal.data(line)
    if planned.nothing_to_do:
        call.terminal.words("A run would have nothing to do.")


@click.command()
@click.option("-n", "--limit", type=click.IntRange(min=1), default=10, show_default=True)
@command()
def status(call: Call, limit: int) -> None:
    """Say where branches are and how runs stand."""
    project, terminal = call.project, call.terminal
    branches = [b for b in project.lake.branches() if not b.name.startswith("run/")]
    runs = project.runs(limit=limit)
    open_runs = project.runs(states=_UNFINISHED, limit=limit)
    if call.json:
        terminal.document(
            {
                "project": project.name,
                "branches": branches,
                "unfinished": [run_document(each) for each in open_runs],
                "runs": [run_document(each) for each in runs],
            }
        )
        return
    longest = max((len(branch.name) for branch in branches), default=0)
    for branch in branches:
        commit = project.lake.commit(branch.head)
        tables = counted(len(project.at(branch.name).tables), "table")
        name = terminal.style_data(branch.name.ljust(longest), "strong")
        terminal.data(f"{name}  {short(branch.head)}  {tables}  {instant(commit.record.at)}")
    listed = {each.id: each for each in (*open_runs, *runs)}
    if not listed:
        return
    terminal.data("")
    now = project.clock.now()
    dead = {
        each.id for each in open_runs if each.state in _WORKING and not hall.is_at_work(each, now)
    }
    rows = [
        (
            short_run(each.id),
            each.state.value,
            each.pipeline,
            each.target,
            instant(each.began),
            "Its process has ended." if each.id in dead else _reason(each),
        )
        for each in listed.values()
    ]
    width = terminal.width if terminal.out_is_live else None
    for line in aligned(("run", "state", "pipeline", "target", "began", ""), rows, width=width):
        terminal.data(line)
    waiting = [
        each
        for each in open_runs
        if (each.state not in _WORKING or each.id in dead) and hall.is_resumable(each)
    ]
    if waiting:
        terminal.words(f"To go on with one:  headgate resume {short_run(waiting[0].id)}")


def _reason(run: "RunRow") -> str:
    return first_line(run.reason.get("message")) if run.reason else ""
