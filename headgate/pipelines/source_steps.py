"""Steps without inputs: rows that come from outside. Declaring one does no input or output."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, cast

from headgate.errors import Invalid
from headgate.pipelines import places
from headgate.pipelines.steps import Declaration, Mode, Settings, SourceDeclaration, names
from headgate.records import OPTIONS as RECORD_OPTIONS
from headgate.records import record_rules
from headgate.secrets import named_secrets

if TYPE_CHECKING:
    from headgate.contracts import AnyContract


class StepOptions(TypedDict, total=False):
    """What every source can declare as a step; ``hg.step`` says what each is.

    Of nested records: ``nested`` maps a path of keys to the table its elements become,
    ``on_conflict`` says what happens to values that a column cannot hold, the rest how texts are
    read (``docs/records.md``).
    """

    name: str | None
    table: str | None
    contract: "AnyContract | None"
    mode: Mode
    key: str | Sequence[str]
    after: Sequence[object]
    partition_by: str | Sequence[str]
    sort_by: str | Sequence[str]
    retries: int
    timeout: timedelta | None
    nested: Mapping[str, str]
    on_conflict: Literal["evolve", "variant", "quarantine", "freeze"]
    null_tokens: str | Sequence[str]
    time_zone: str
    ambiguous_times: Literal["earlier", "later", "quarantine"]
    decimal_mark: Literal[".", ","]
    unicode: Literal["NFC"]


class FileOptions(StepOptions, total=False):
    """How files are written, and of the step; what is left out is told from them, or usual."""

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
    return declare_source("files", {"paths": tuple(str(path) for path in paths), **chosen}, options)


def source(
    kind: str,
    **options: object,
) -> Declaration:
    """Declare a source of any registered kind: ``hg.source("kind", option=...)``.

    ``kind`` is an entry point of the group ``headgate.sources``; ``options`` are its own. The rest
    is as in ``hg.files``, but that rows are appended unless ``mode`` says otherwise.
    """
    return declare_source(kind, {}, {"mode": "append", **options})


def declare_source(
    kind: str, options: Mapping[str, object], given: Mapping[str, object]
) -> Declaration:
    """Declare a source of a kind where the user's line called one of the functions above it.

    ``given`` holds the step's own settings, which are taken out, and more options of the source.
    """
    settings = step_settings(given)
    own = {name: value for name, value in given.items() if name not in _STEP_OPTIONS}
    named = cast("Mapping[str, object]", named_secrets({**options, **own}))
    source = SourceDeclaration(kind=kind, options=named, contract=settings.contract)
    return _declare(source, settings)


def step_settings(given: Mapping[str, object]) -> Settings:
    """Give the step's own settings among what a source was declared with."""
    step = {
        name: value
        for name, value in given.items()
        if name in _STEP_OPTIONS and name not in RECORD_OPTIONS
    }
    for name in ("key", "partition_by", "sort_by"):
        step[name] = names(cast("str | Sequence[str]", step.get(name, ())))
    step["after"] = tuple(cast("Sequence[object]", step.get("after", ())))
    step["rules"] = record_rules(given)
    return Settings(**cast("dict[str, Any]", step))


_STEP_OPTIONS = frozenset(StepOptions.__optional_keys__)


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
