"""The history: ``log``, ``show``, ``diff``, ``branch``, ``tag`` and ``table``."""

from typing import TYPE_CHECKING

import click

from headgate.cli.changes import (
    change_document,
    columns_document,
    difference,
    entry_document,
    matters,
    table_of,
)
from headgate.cli.history import (
    changed_tables,
    commit_document,
    commit_line,
    commit_lines,
    in_order,
    run_document,
    run_lines,
)
from headgate.cli.options import Call, command, ref_option
from headgate.cli.phrases import counted, instant, short, size
from headgate.cli.tables import aligned
from headgate.errors import Invalid, NotFound
from headgate.lake import Commit, RunRow

if TYPE_CHECKING:
    from headgate.project import Project

_RUNS = "run/"


@click.command()
@click.argument("table", required=False)
@ref_option("The ref to begin at.")
@click.option("-n", "--limit", type=click.IntRange(min=1), help="At most so many commits.")
@command()
def log(call: Call, table: str | None, ref: str | None, limit: int | None) -> None:
    """List commits, newest first.

    With TABLE, those that changed it.
    """
    project = call.project
    if table is not None:
        project.table(table, ref=ref)
    commits = project.log(ref, table=table, limit=limit)
    listed = ((commit, changed_tables(project.lake, commit)) for commit in commits)
    if call.json:
        documents = [commit_document(commit, tables) for commit, tables in listed]
        call.terminal.document({"commits": documents})
        return
    for commit, tables in listed:
        call.terminal.data(commit_line(commit, tables, call.terminal))


@click.command()
@click.argument("what", metavar="REF|RUN")
@command()
def show(call: Call, what: str) -> None:
    """Show a commit or a run whole.

    What it wrote, its steps, its checks, and why it ended as it did.
    """
    found = _commit_or_run(call.project, what)
    terminal = call.terminal
    if isinstance(found, Commit):
        tables = changed_tables(call.project.lake, found)
        if call.json:
            terminal.document(commit_document(found, tables))
            return
        for line in commit_lines(found, tables, terminal):
            terminal.data(line)
        return
    steps = in_order(call.project.lake.metastore.steps(found.id))
    log_file = call.project.logs.path(found.id)
    if call.json:
        document = run_document(found, steps)
        terminal.document({**document, "log": str(log_file) if log_file.exists() else None})
        return
    for line in run_lines(found, steps, terminal):
        terminal.data(line)
    if log_file.exists():
        terminal.data(f"  log: {log_file}")


def _commit_or_run(project: "Project", what: str) -> Commit | RunRow:
    if what.startswith(_RUNS) and not set(what) & {"~", "@"}:
        return project.find_run(what)
    try:
        return project.lake.resolve(what)
    except NotFound:
        try:
            return project.find_run(what)
        except NotFound:
            pass
        raise


@click.command()
@click.argument("before", default=None, required=False)
@click.argument("after", default=None, required=False)
@click.option("--all", "everything", is_flag=True, help="Contracts, cursors and quarantines too.")
@command()
def diff(call: Call, before: str | None, after: str | None, *, everything: bool) -> None:
    """Say which tables differ between two refs.

    Rows, columns, and tables that came and went. With one ref: from its parent to it. With none:
    what the last publication changed.
    """
    first, second = _two(call.project, before, after)
    changes = call.project.diff(first, second)
    if not everything:
        changes = tuple(change for change in changes if matters(change))
    if call.json:
        lake = call.project.lake
        call.terminal.document(
            {
                "before": lake.resolve(first).id,
                "after": lake.resolve(second).id,
                "changes": [change_document(change) for change in changes],
            }
        )
        return
    names = {change.key: table_of(change.key) for change in changes}
    width = max((len(name) for name in names.values()), default=0)
    styles = {"+": "good", "-": "bad", "~": "notice"}
    for change in changes:
        sign, phrase, more = difference(change)
        shown = call.terminal.style_data(sign, styles[sign])  # type: ignore[arg-type]  # literals
        call.terminal.data(f"{shown} {names[change.key].ljust(width)}  {phrase}".rstrip())
        for line in more:
            call.terminal.data(f"    {line}")
    if not changes:
        call.terminal.words(f"{first} and {second} hold the same tables.")


def _two(project: "Project", before: str | None, after: str | None) -> tuple[str, str]:
    if before is not None and after is not None:
        return before, after
    ref = before if before is not None else project.settings.target
    commit = project.lake.resolve(ref)
    return commit.parent or commit.id, commit.id


@click.command()
@click.argument("name", required=False)
@click.argument("at", required=False)
@click.option("-d", "--delete", is_flag=True, help="Delete the branch.")
@click.option("--protect/--unprotect", default=None, help="Let only publications move it, or not.")
@click.option("-a", "--all", "everything", is_flag=True, help="List the branches of runs, too.")
@command()
def branch(
    call: Call,
    name: str | None,
    at: str | None,
    *,
    delete: bool,
    protect: bool | None,
    everything: bool,
) -> None:
    """List branches, or create or delete one.

    NAME is created at the ref AT; the target branch, if left out. A branch costs nothing: no data
    is copied.
    """
    lake, terminal = call.project.lake, call.terminal
    if name is None:
        if delete or protect is not None:
            raise Invalid("branch-unnamed", "Which branch?", hint="headgate branch NAME ...")
        branches = [b for b in lake.branches() if everything or not b.name.startswith(_RUNS)]
        if call.json:
            terminal.document({"branches": branches})
            return
        rows = [
            (b.name, short(b.head), "protected" if b.protected else "", instant(b.created))
            for b in branches
        ]
        for line in aligned(("branch", "commit", "", "created"), rows):
            terminal.data(line)
        return
    if delete:
        lake.delete_branch(name)
        said = f"Deleted branch {name}."
    elif protect is not None:
        lake.protect(name, protected=protect)
        said = f"{name} is {'protected' if protect else 'no longer protected'}."
    else:
        made = lake.create_branch(name, at or call.project.settings.target)
        said = f"Created branch {name} at {short(made.head)}."
    if call.json:
        terminal.document({"branch": name, "deleted": delete, "protected": protect})
    terminal.words(said)


@click.command()
@click.argument("name", required=False)
@click.argument("at", required=False)
@click.option("-d", "--delete", is_flag=True, help="Delete the tag.")
@command()
def tag(call: Call, name: str | None, at: str | None, *, delete: bool) -> None:
    """List tags, or create or delete one.

    NAME is created at the ref AT; the target branch, if left out. A tag never moves.
    """
    lake, terminal = call.project.lake, call.terminal
    if name is None:
        tags = lake.tags()
        if call.json:
            terminal.document({"tags": tags})
            return
        rows = [(each.name, short(each.commit), instant(each.created)) for each in tags]
        for line in aligned(("tag", "commit", "created"), rows):
            terminal.data(line)
        return
    if delete:
        lake.delete_tag(name)
        commit, said = None, f"Deleted tag {name}."
    else:
        made = lake.create_tag(name, at or call.project.settings.target)
        commit, said = made.commit, f"Created tag {name} at {short(made.commit)}."
    if call.json:
        terminal.document({"tag": name, "deleted": delete, "commit": commit})
    terminal.words(said)


@click.command()
@click.argument("name", required=False)
@ref_option("The ref to look at.")
@command()
def table(call: Call, name: str | None, ref: str | None) -> None:
    """List tables, or show one.

    With NAME: its columns, rows, files, key and owner.
    """
    ref = ref or call.project.settings.target
    view, terminal = call.project.at(ref), call.terminal
    if name is None:
        handles = [view.table(each) for each in view.tables]
        if call.json:
            terminal.document(
                {
                    "ref": ref,
                    "commit": view.commit.id,
                    "tables": {each.name: entry_document(each.entry) for each in handles},
                }
            )
            return
        rows = [(h.name, f"{h.rows:,}", size(h.size_bytes), h.entry.table) for h in handles]
        listed = [(n, r, s, len(body.schema) if body else 0) for n, r, s, body in rows]
        names = ("table", "rows", "size", "columns")
        for line in aligned(names, listed, right=names[1:]):
            terminal.data(line)
        return
    handle = view.table(name)
    body = handle.entry.table
    if call.json or body is None:
        document = entry_document(handle.entry) or {}
        terminal.document({"table": name, "ref": ref, "commit": view.commit.id, **document})
        return
    terminal.data(
        f"{terminal.style_data(name, 'strong')} of {ref} ({short(view.commit.id)}): "
        f"{counted(handle.rows, 'row')}, {size(handle.size_bytes)} in {counted(body.files, 'file')}"
    )
    for label, value in (
        ("written by", body.owner),
        ("known by", ", ".join(body.key_columns)),
        ("partitioned by", ", ".join(body.partition)),
        ("computed from reverted runs", ", ".join(handle.entry.stale)),
        ("holds rows of unpublished runs", ", ".join(handle.entry.taint)),
    ):
        if value:
            terminal.data(f"  {label}: {value}")
    columns = [(column["name"], column["type"]) for column in columns_document(handle.entry)]
    for line in aligned(("column", "type"), columns):
        terminal.data(f"  {line}")
