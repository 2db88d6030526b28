"""``revert``: take back a published run, and what is done with what was computed from it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, get_args

import click

from headgate.cli.options import Call, command
from headgate.cli.phrases import counted, short, short_run
from headgate.cli.run_commands import follow
from headgate.cli.tables import aligned
from headgate.errors import Invalid
from headgate.runs import Policy

if TYPE_CHECKING:
    from headgate.runs import RevertPlan, TableChange

_SHOWN = 5
_HOW = {
    "restored": "as before it",
    "replayed": "later changes without it",
    "executed": "computed again",
    "stale": "kept, marked stale",
}


@click.command()
@click.argument("what", metavar="RUN|REF")
@click.option(
    "--policy",
    type=click.Choice(get_args(Policy)),
    help="What becomes of what was computed from it. [default: stale]",
)
@click.option("--cascade", is_flag=True, help="Take back the runs that computed from it, too.")
@click.option("--rebuild", is_flag=True, help="Execute them again without it; publish it all.")
@click.option(
    "--keep-cursor", is_flag=True, help="Drop its rows on purpose: they are not read again."
)
@click.option("--plan", "only_plan", is_flag=True, help="Say what would be done, and do nothing.")
@command()
def revert(
    call: Call,
    what: str,
    *,
    policy: Policy | None,
    cascade: bool,
    rebuild: bool,
    keep_cursor: bool,
    only_plan: bool,
) -> None:
    """Take back a published run, in a new commit.

    What others published since is kept. Tables computed from it are marked stale; with --cascade
    the runs that computed them are taken back as well, with --rebuild they are executed again
    without it. Sources are read again from where the run had begun.
    """
    chosen = _chosen(policy, cascade=cascade, rebuild=rebuild)
    if not only_plan:
        follow(
            call,
            lambda project, listener: project.revert(
                what, policy=chosen, keep_cursor=keep_cursor, listeners=(listener,)
            ),
            nothing="Nothing to take back: nothing that it wrote is in effect any more at",
        )
        return
    planned = call.project.plan_revert(what, policy=chosen, keep_cursor=keep_cursor)
    if call.json:
        call.terminal.document(revert_document(planned))
        return
    for line in _plan_lines(planned):
        call.terminal.data(line)


def _chosen(policy: Policy | None, *, cascade: bool, rebuild: bool) -> Policy:
    asked: dict[Policy, bool] = {
        "stale": policy == "stale",
        "cascade": cascade or policy == "cascade",
        "rebuild": rebuild or policy == "rebuild",
    }
    chosen = [name for name, wanted in asked.items() if wanted]
    if len(chosen) > 1:
        raise Invalid(
            "revert-policies",
            f"A revert has one policy, not {' and '.join(chosen)}.",
            hint="Take --cascade or --rebuild, or neither.",
        )
    return chosen[0] if chosen else "stale"


def _plan_lines(plan: "RevertPlan") -> Iterator[str]:
    yield f"Taking back run {short_run(plan.run)}, published as {short(plan.commit.id)}:"
    rows = [(each.table, _rows(each), _HOW[each.how]) for each in plan.tables]
    if rows:
        yield from (f"  {line}" for line in aligned(("table", "rows", ""), rows))
    for cursor in plan.cursors:
        name = f"{cursor.pipeline}/{cursor.step}"
        if cursor.is_kept:
            yield f"  cursor of {name} stays: its rows are dropped, and not read again"
        elif cursor.again:
            yield f"  cursor of {name} goes back; read again: {_some(cursor.again)}"
        else:
            yield f"  cursor of {name} goes back"
    also = plan.gone[1:] if plan.policy == "cascade" else ()
    sides = (
        ("later runs kept", plan.followers),
        ("runs taken back as well", also),
        ("runs that computed from it", () if also else plan.downstream),
    )
    for label, runs in sides:
        if runs:
            yield f"  {label}: {', '.join(short_run(run) for run in runs)}"
    for again in plan.again:
        run = short_run(again.run)
        yield f"  executed again: {again.step} of {again.pipeline}, as in run {run}"
    if plan.left_out:
        yield f"  {counted(plan.left_out, 'execution')} left out: replaced by a later one"
    for run, step in plan.not_undone:
        yield f"  not undone: what {step} did outside of the lake, in run {short_run(run)}"
    if plan.changes_nothing:
        yield "  nothing: nothing that it wrote is in effect any more"


def _rows(change: "TableChange") -> str:
    now = "no table" if change.rows_now is None else f"{change.rows_now:,}"
    if change.is_gone:
        return f"{now} -> no table"
    then = "?" if change.rows_then is None else f"{change.rows_then:,}"
    return now if change.how == "stale" else f"{now} -> {then}"


def _some(items: tuple[str, ...]) -> str:
    more = f" and {len(items) - _SHOWN:,} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + more


def revert_document(plan: "RevertPlan") -> dict[str, object]:
    """Give the plan of a revert as JSON."""
    return {
        "run": plan.run,
        "commit": plan.commit.id,
        "policy": plan.policy,
        "restored": list(plan.restored),
        "replayed": list(plan.replayed),
        "stale": list(plan.stale),
        "followers": list(plan.followers),
        "downstream": list(plan.downstream),
        "gone": list(plan.gone),
        "tables": [
            {
                "table": each.table,
                "how": each.how,
                "rows_now": each.rows_now,
                "rows_then": each.rows_then,
                "gone": each.is_gone,
            }
            for each in plan.tables
        ],
        "cursors": [
            {
                "pipeline": each.pipeline,
                "step": each.step,
                "kept": each.is_kept,
                "read_again": list(each.again),
            }
            for each in plan.cursors
        ],
        "executed_again": [
            {"run": each.run, "pipeline": each.pipeline, "step": each.step} for each in plan.again
        ],
        "left_out": plan.left_out,
        "not_undone": [{"run": run, "step": step} for run, step in plan.not_undone],
    }
