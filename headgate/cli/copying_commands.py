"""A lake as a whole: ``upgrade``, ``backup``, ``backups`` and ``restore``."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from headgate import project as projects
from headgate.cli.exit_codes import CORRUPT
from headgate.cli.options import Call, command
from headgate.cli.phrases import counted, instant, short, size
from headgate.cli.tables import aligned
from headgate.lake import Backup

if TYPE_CHECKING:
    from headgate.lake import BackedUp, Restored

_SHOWN = 10


@click.command()
@click.option("--no-copy", is_flag=True, help="Do not copy the metastore first.")
@command()
def upgrade(call: Call, *, no_copy: bool) -> None:
    """Bring the lake to this headgate's format.

    The metastore is copied first. Nobody may be running; of several who upgrade one does it. An
    older headgate cannot open the lake afterwards.
    """
    done = call.project.upgrade(keep_copy=not no_copy)
    if call.json:
        call.terminal.document({"before": done.before, "after": done.after, "copy": done.copy})
        return
    if done.before == done.after:
        call.terminal.words(f"Nothing to do: the lake has format {done.after}.")
        return
    call.terminal.words(f"Upgraded the lake from format {done.before} to {done.after}.")
    if done.copy is not None:
        call.terminal.words(f"The metastore as it was: {done.copy}")


@click.command()
@click.argument("directory", metavar="TO", type=click.Path(path_type=Path))
@click.option("--name", help="The backup's name. [default: the instant]")
@click.option("--metadata-only", is_flag=True, help="Leave the tables' files where they are.")
@click.option("--link", is_flag=True, help="Make hard links of files instead of copies.")
@click.option("--keep-days", type=click.IntRange(min=1), help="With --metadata-only: how long.")
@click.option("--verify", is_flag=True, help="Read every byte of the backup afterwards.")
@command()
def backup(
    call: Call,
    directory: Path,
    name: str | None,
    keep_days: int | None,
    *,
    metadata_only: bool,
    link: bool,
    verify: bool,
) -> None:
    """Copy one state of the lake to a directory while runs go on.

    Files that an earlier backup in TO brought are not copied again.
    """
    done = call.project.backup(
        directory,
        name=name,
        metadata_only=metadata_only,
        link=link,
        keep=None if keep_days is None else timedelta(days=keep_days),
    )
    problems = call.project.verify_backup(directory, done.manifest.name) if verify else ()
    if call.json:
        call.terminal.document({**backup_document(done), "problems": list(problems)})
    else:
        manifest = done.manifest
        call.terminal.words(
            f"Backup {manifest.name}: {counted(manifest.commits, 'commit')}, "
            f"{manifest.main} at {short(manifest.branches[manifest.main])}, "
            + (
                "metadata only."
                if metadata_only
                else f"{counted(done.files, 'file')} copied ({size(done.bytes)}), "
                f"{done.there:,} there already."
            )
        )
        if done.missing:
            call.terminal.words(
                f"{counted(len(done.missing), 'file')} of old commits are gone from the lake."
            )
        if verify and not problems:
            call.terminal.words("Every byte is what was written.")
        if not verify:
            call.terminal.words(f"To try it:  headgate restore {directory} NEW-DIRECTORY")
    _end_with(call, problems)


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), required=False)
@click.option("--forget", metavar="NAME", help="Keep nothing in the lake for this backup.")
@command()
def backups(call: Call, directory: Path | None, forget: str | None) -> None:
    """List the backups in a directory, or those the lake knows.

    It keeps files for backups of the metadata only, and for those that are being taken.
    """
    if forget is not None:
        call.project.forget_backup(forget)
        call.terminal.words(f"The lake keeps nothing for backup {forget} any more.")
        return
    found = (
        call.project.lake.metastore.backups()
        if directory is None
        else projects.list_backups(directory)
    )
    if call.json:
        call.terminal.document({"backups": list(found)})
        return
    if not found:
        call.terminal.words("There are none.")
        return
    heads, rows = ("backup", "taken", "files kept until", "where"), []
    for each in found:
        if isinstance(each, Backup):
            until = instant(each.expires) if each.expires else "told otherwise"
            until = until if each.commits else "nothing is kept"
            rows.append((each.name, instant(each.created), until, each.location))
        else:
            heads = ("backup", "taken", "commit", "")
            head = short(each.branches.get(each.main))
            only = "metadata only" if each.metadata_only else ""
            rows.append((each.name, instant(each.created), head, only))
    for line in aligned(heads, rows, width=call.terminal.width):
        call.terminal.data(line)


@click.command()
@click.argument("source", metavar="FROM", type=click.Path(path_type=Path))
@click.argument("target", metavar="TO", type=click.Path(path_type=Path))
@click.option("--name", help="Which backup. [default: the newest]")
@click.option("--metastore", metavar="URL", help="Put the metastore into PostgreSQL.")
@click.option("--verify", is_flag=True, help="Read every byte of what was restored.")
@command(placed=False)
def restore(
    call: Call,
    source: Path,
    target: Path,
    name: str | None,
    metastore: str | None,
    *,
    verify: bool,
) -> None:
    """Make a whole lake in TO of a backup in FROM.

    TO is a new directory, or that of the lake whose metastore was lost. Runs that were at work are
    parked. Ends with 9 where something is missing or damaged; the rest is restored all the same.
    """
    done = projects.restore_lake(source, target, name=name, checksums=verify, metastore=metastore)
    if call.json:
        call.terminal.document(restored_document(done))
    else:
        manifest = done.manifest
        call.terminal.words(
            f"Restored backup {manifest.name} of {instant(manifest.created)} to {done.location}: "
            f"{counted(manifest.commits, 'commit')}, {manifest.main} at "
            f"{short(manifest.branches[manifest.main])}, {counted(done.files, 'file')} copied "
            f"({size(done.bytes)})."
        )
        if done.parked:
            call.terminal.words(
                f"Parked, because the original may go on with them: {', '.join(done.parked)}"
            )
        if not done.problems:
            call.terminal.words(
                "Every byte is what was written." if verify else "Every file has its length."
            )
    _end_with(call, done.problems)


def _end_with(call: Call, problems: "tuple[str, ...]") -> None:
    if not problems:
        return
    if not call.json:
        for problem in problems[:_SHOWN]:
            call.terminal.words(
                f"{call.terminal.style(call.terminal.marks.failed, 'bad')} {problem}"
            )
        if len(problems) > _SHOWN:
            call.terminal.words(f"... and {len(problems) - _SHOWN} more.")
    click.get_current_context().exit(CORRUPT)


def backup_document(done: "BackedUp") -> dict[str, object]:
    """Give what taking a backup did, as JSON."""
    return {
        "directory": str(done.directory),
        "backup": done.manifest,
        "files": done.files,
        "bytes": done.bytes,
        "there": done.there,
        "missing": list(done.missing),
    }


def restored_document(done: "Restored") -> dict[str, object]:
    """Give what restoring did, as JSON."""
    return {
        "location": str(done.location),
        "backup": done.manifest,
        "files": done.files,
        "bytes": done.bytes,
        "there": done.there,
        "parked": list(done.parked),
        "problems": list(done.problems),
    }
