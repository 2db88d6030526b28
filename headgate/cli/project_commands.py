"""The project itself: ``init``, ``graph``, ``doctor``, ``completion``."""

from pathlib import Path

import click
from click.shell_completion import get_completion_class

from headgate import project
from headgate.cli.exit_codes import CORRUPT
from headgate.cli.options import Call, command
from headgate.cli.phrases import counted
from headgate.errors import Invalid
from headgate.pipelines import Graph, as_dot, as_mermaid, as_svg, as_text

_DRAWINGS = {"text": as_text, "mermaid": as_mermaid, "dot": as_dot, "svg": as_svg}
_SHELLS = ("bash", "zsh", "fish")
_WHERE = {
    "bash": "~/.bashrc",
    "zsh": "~/.zshrc",
    "fish": "~/.config/fish/config.fish",
}


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), default=".")
@click.option("--name", help="The project's name. [default: the directory's]")
@command(placed=False)
def init(call: Call, directory: Path, name: str | None) -> None:
    """Make a new project that runs and passes its tests.

    It has a pipeline, a contract, mock data, tests and CI. Try  headgate run  and  pytest  in it.
    Files that exist are never overwritten.
    """
    written = project.scaffold(directory, name=name)
    if call.json:
        call.terminal.document(
            {"directory": str(directory.absolute()), "files": [str(path) for path in written]}
        )
    for path in written:
        call.terminal.words(f"  {call.terminal.marks.done} {path}")
    here = directory.absolute() == Path.cwd()
    call.terminal.words(f"Made {counted(len(written), 'file')} in {directory.absolute()}.")
    call.terminal.words("Next:    " + ("" if here else f"cd {directory}  then  ") + "headgate run")


@click.command()
@click.argument("pipeline", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(tuple(_DRAWINGS)),
    default="text",
    show_default=True,
    help="How to draw.",
)
@command()
def graph(call: Call, pipeline: str | None, form: str) -> None:
    """Draw a pipeline.

    What each table is made of, and why a step comes after another.
    """
    chosen = call.project.pipeline(pipeline)
    drawn = Graph(chosen.steps)
    if call.json:
        call.terminal.document(graph_document(chosen.name, drawn))
    else:
        call.terminal.data(_DRAWINGS[form](drawn))


def graph_document(name: str, graph: Graph) -> dict[str, object]:
    """Give a pipeline's graph as JSON."""
    return {
        "pipeline": name,
        "steps": [
            {
                "step": step.name,
                "kind": step.kind,
                "table": step.table,
                "mode": step.mode,
                "place": str(step.place) if step.place else None,
                "description": step.description,
                "reads": [one.table for one in step.inputs],
                "after": [
                    {"step": upstream, "because": graph.reason(step.name, upstream)}
                    for upstream in graph.upstream(step.name)
                ],
                "parameters": [parameter.name for parameter in step.parameters],
            }
            for step in graph
        ],
        "external": {table: list(readers) for table, readers in graph.external.items()},
    }


@click.command()
@click.option("--files", is_flag=True, help="Read every data file and compare its checksum.")
@click.option("--take-over", is_flag=True, help="Let this copy of the lake delete its files.")
@click.option(
    "--relocate", is_flag=True, help="Write today's paths into a moved lake's Iceberg files."
)
@command()
def doctor(call: Call, *, files: bool, take_over: bool, relocate: bool) -> None:
    """Examine project, lake and machine.

    Each finding says what to do about it. Ends with 9 where something is corrupt.

    A lake that was copied or restored deletes none of its files until it has taken over; no other
    copy may use the same files then. A lake that was moved is found by headgate as it is; other
    Iceberg clients need its paths written again.
    """
    if relocate:
        done = call.project.relocate()
        call.terminal.words(
            f"Wrote {counted(done.files, 'Iceberg file')} of {counted(done.tables, 'version')} of "
            "tables again."
        )
    if take_over:
        epoch = call.project.take_over()
        call.terminal.words(f"This lake may delete its files from now on, in epoch {epoch}.")
    findings = call.project.doctor(files=files)
    if call.json:
        call.terminal.document({"findings": list(findings)})
    else:
        marks, style = call.terminal.marks, call.terminal.style_data
        signs = {
            "ok": style(marks.done, "good"),
            "note": style("!", "notice"),
            "bad": style(marks.failed, "bad"),
        }
        for finding in findings:
            call.terminal.data(f"{signs[finding.level]} {finding.what}: {finding.found}")
            if finding.hint:
                call.terminal.data(f"    {finding.hint}")
    if any(finding.level == "bad" for finding in findings):
        click.get_current_context().exit(CORRUPT)


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS))
@command(placed=False, json=False)
def completion(call: Call, shell: str) -> None:
    """Print a shell's completion script."""
    kind = get_completion_class(shell)
    if kind is None:
        raise Invalid("unknown-shell", f"There is no completion for {shell!r}.", shell=shell)
    from headgate.cli.commands import headgate  # noqa: PLC0415 - the table of commands names us

    call.terminal.data(kind(headgate, {}, "headgate", "_HEADGATE_COMPLETE").source())
    if call.terminal.out_is_live:
        call.terminal.words(
            f'To keep it:  eval "$(headgate completion {shell})"  in {_WHERE[shell]}'
        )
