"""Steps without inputs: rows that come from outside. Declaring one does no input or output."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict, Unpack

from headgate.errors import Invalid
from headgate.pipelines import places
from headgate.pipelines.steps import Declaration, Mode, Settings, SourceDeclaration, names

if TYPE_CHECKING:
    from headgate.contracts import AnyContract


class FileOptions(TypedDict, total=False):
    """How files are written; what is left out is told from them, or usual."""

    member: str
    largest_bytes: int
    changed: Literal["refuse", "again"]
    columns: Sequence[str]
    comment: str
    compression: str
    date_format: str
    decimal_separator: str
    delimiter: str
    encoding: str
    escape: str
    header: bool
    null: str | Sequence[str]
    quote: str
    skip: int
    timestamp_format: str
    types: Mapping[str, str]


def files(
    *paths: str | Path,
    format: str | None = None,  # noqa: A002 - the user's word
    name: str | None = None,
    table: str | None = None,
    contract: "AnyContract | None" = None,
    mode: Mode = "replace",
    key: str | Sequence[str] = (),
    after: Sequence[object] = (),
    partition_by: str | Sequence[str] = (),
    sort_by: str | Sequence[str] = (),
    retries: int = 0,
    timeout: timedelta | None = None,
    **options: Unpack[FileOptions],
) -> Declaration:
    """Declare files as a step without inputs: ``flights = hg.files("data/flights*.csv")``.

    Args:
        paths: paths or patterns, relative to the project.
        format: ``csv`` or ``parquet``; told from the names where it is left out.
        name: the step's name, where it is not the module attribute's.
        table: the table it writes, where it is not the step's name.
        contract: what the rows must satisfy; decides the columns' types.
        mode: ``replace`` reads all files whenever any changed; ``upsert`` reads the new and
            changed ones; ``append`` the new ones, and refuses changed ones.
        key: the columns rows are known by.
        after: steps that must be done first.
        partition_by: SQL expressions over the columns.
        sort_by: columns the written files are sorted by.
        retries: how often to try again after a failure.
        timeout: refused until steps can be killed.
        options: of archives: ``member`` (a name or pattern), ``largest_bytes`` (unpacked). Of CSV:
            ``delimiter``, ``quote``, ``escape``, ``comment``, ``encoding``, ``header``, ``skip``
            (lines before it), ``columns`` (names, where there is no header), ``types`` (SQL types
            by name), ``null`` (what stands for NULL beside the empty text), ``date_format``,
            ``timestamp_format``, ``decimal_separator``, ``compression``.

    Raises:
        Invalid: ``files-without-path``; and what ``hg.step`` raises.
    """
    if not paths:
        raise Invalid(
            "files-without-path", "files() names no file.", hint='Write hg.files("data/*.csv").'
        )
    chosen = {} if format is None else {"format": format}
    return _declare(
        SourceDeclaration(
            kind="files",
            options={"paths": tuple(str(path) for path in paths), **chosen, **options},
            contract=contract,
        ),
        Settings(
            name=name,
            table=table,
            contract=contract,
            mode=mode,
            key=names(key),
            after=tuple(after),
            partition_by=names(partition_by),
            sort_by=names(sort_by),
            retries=retries,
            timeout=timeout,
        ),
    )


def source(
    kind: str,
    *,
    name: str | None = None,
    table: str | None = None,
    contract: "AnyContract | None" = None,
    mode: Mode = "append",
    key: str | Sequence[str] = (),
    after: Sequence[object] = (),
    partition_by: str | Sequence[str] = (),
    sort_by: str | Sequence[str] = (),
    retries: int = 0,
    timeout: timedelta | None = None,
    **options: object,
) -> Declaration:
    """Declare a source of any registered kind: ``hg.source("kind", option=...)``.

    ``kind`` is an entry point of the group ``headgate.sources``; ``options`` are its own. The rest
    is as in ``hg.files``.
    """
    return _declare(
        SourceDeclaration(kind=kind, options=options, contract=contract),
        Settings(
            name=name,
            table=table,
            contract=contract,
            mode=mode,
            key=names(key),
            after=tuple(after),
            partition_by=names(partition_by),
            sort_by=names(sort_by),
            retries=retries,
            timeout=timeout,
        ),
    )


def _declare(source: SourceDeclaration, settings: Settings) -> Declaration:
    frame = places.caller()
    declaration = Declaration(
        place=places.of_frame(frame),
        module=str(frame.f_globals.get("__name__", "")),
        settings=settings,
        source=source,
    )
    places.note(frame, declaration)
    return declaration
