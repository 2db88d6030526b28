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
from headgate.cli.maintenance_commands import compact
from headgate.cli.options import Call, command, ref_option
from headgate.cli.phrases import counted, instant, short, shortened, size
from headgate.cli.shown_by_name import ShownByName
from headgate.cli.tables import aligned
from headgate.errors import NotFound
from headgate.lake import Commit, RunRow
from headgate.names import suggestion

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
        call.terminal.words(f"{shortened(first)} and {shortened(second)} hold the same tables.")


def _two(project: "Project", before: str | None, after: str | None) -> tuple[str, str]:
    if before is not None and after is not None:
        return before, after
    ref = before if before is not None else project.settings.target
    commit = project.lake.resolve(ref)
    return commit.parent or commit.id, commit.id


class _Named(click.Group):
    """A group of things with names: ``branch dev`` is ``branch create dev``."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; a name that is none, and is like none, is the thing to create."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            meant = suggestion(args[0], self.commands)
            if meant:
                ctx.fail(f"There is no command {args[0]!r}. Did you mean {meant}?")
            args = ["create", *args]
        return super().resolve_command(ctx, args)


@click.group(cls=_Named, invoke_without_command=True)
@command()
def branch(call: Call) -> None:
    """List branches, or create or delete one.

    A branch costs nothing: no data is copied. Those of runs are listed by  branch list --all.
    """
    if click.get_current_context().invoked_subcommand is None:
        _list_branches(call, everything=False)


@branch.command("list")
@click.option("-a", "--all", "everything", is_flag=True, help="The branches of runs, too.")
@command()
def list_branches(call: Call, *, everything: bool) -> None:
    """List branches, their commits, and which are protected."""
    _list_branches(call, everything=everything)


def _list_branches(call: Call, *, everything: bool) -> None:
    listed = call.project.lake.branches()
    branches = [each for each in listed if everything or not each.name.startswith(_RUNS)]
    if call.json:
        call.terminal.document({"branches": branches})
        return
    rows = [
        (b.name, short(b.head), "protected" if b.protected else "", instant(b.created))
        for b in branches
    ]
    for line in aligned(("branch", "commit", "", "created"), rows):
        call.terminal.data(line)


@branch.command("create")
@click.argument("name")
@click.argument("at", metavar="[REF]", required=False)
@command()
def create_branch(call: Call, name: str, at: str | None) -> None:
    """Create a branch at a ref; at the target branch, if left out."""
    made = call.project.lake.create_branch(name, at or call.project.settings.target)
    _done(call, f"Created branch {name} at {short(made.head)}.", branch=name, commit=made.head)


@branch.command("delete")
@click.argument("name")
@command()
def delete_branch(call: Call, name: str) -> None:
    """Delete a branch. Published commits stay."""
    call.project.lake.delete_branch(name)
    _done(call, f"Deleted branch {name}.", branch=name)


@branch.command("protect")
@click.argument("name")
@command()
def protect_branch(call: Call, name: str) -> None:
    """Let only publications move a branch."""
    call.project.lake.protect(name)
    _done(call, f"{name} is protected.", branch=name, protected=True)


@branch.command("unprotect")
@click.argument("name")
@command()
def unprotect_branch(call: Call, name: str) -> None:
    """End a branch's protection."""
    call.project.lake.protect(name, protected=False)
    _done(call, f"{name} is no longer protected.", branch=name, protected=False)


@click.group(cls=_Named, invoke_without_command=True)
@command()
def tag(call: Call) -> None:
    """List tags, or create or delete one.

    A tag never moves.
    """
    if click.get_current_context().invoked_subcommand is None:
        _list_tags(call)


@tag.command("list")
@command()
def list_tags(call: Call) -> None:
    """List tags and their commits."""
    _list_tags(call)


def _list_tags(call: Call) -> None:
    tags = call.project.lake.tags()
    if call.json:
        call.terminal.document({"tags": tags})
        return
    rows = [(each.name, short(each.commit), instant(each.created)) for each in tags]
    for line in aligned(("tag", "commit", "created"), rows):
        call.terminal.data(line)


@tag.command("create")
@click.argument("name")
@click.argument("at", metavar="[REF]", required=False)
@command()
def create_tag(call: Call, name: str, at: str | None) -> None:
    """Create a tag at a ref; at the target branch, if left out."""
    made = call.project.lake.create_tag(name, at or call.project.settings.target)
    _done(call, f"Created tag {name} at {short(made.commit)}.", tag=name, commit=made.commit)


@tag.command("delete")
@click.argument("name")
@command()
def delete_tag(call: Call, name: str) -> None:
    """Delete a tag. The commit stays."""
    call.project.lake.delete_tag(name)
    _done(call, f"Deleted tag {name}.", tag=name)


def _done(call: Call, said: str, **facts: object) -> None:
    if call.json:
        call.terminal.document(facts)
    call.terminal.words(said)


@click.group(cls=ShownByName, invoke_without_command=True)
@ref_option("The ref to look at.")
@command()
def table(call: Call, ref: str | None) -> None:
    """List tables, or show one:  headgate table NAME."""
    if click.get_current_context().invoked_subcommand is None:
        _list_tables(call, ref)


table.add_command(compact)


def _list_tables(call: Call, ref: str | None) -> None:
    ref = ref or call.project.settings.target
    view, terminal = call.project.at(ref), call.terminal
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


@table.command("show")
@click.argument("name")
@ref_option("The ref to look at.")
@command()
def show_table(call: Call, name: str, ref: str | None) -> None:
    """Show a table: its columns, rows, files, key and owner."""
    above = click.get_current_context().parent
    ref = ref or (above.params.get("ref") if above else None) or call.project.settings.target
    view, terminal = call.project.at(ref), call.terminal
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
