"""Steps without inputs: rows that come from outside. Declaring one does no input or output."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypedDict, cast

from headgate.pipelines import places
from headgate.pipelines.declared_steps import Declaration, Mode, Settings, SourceDeclaration, names
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
    own = {name: value for name, value in given.items() if name not in STEP_OPTIONS}
    named = cast("Mapping[str, object]", named_secrets({**options, **own}))
    source = SourceDeclaration(kind=kind, options=named, contract=settings.contract)
    return _declare(source, settings)


def step_settings(given: Mapping[str, object]) -> Settings:
    """Give the step's own settings among what a source was declared with."""
    step = {
        name: value
        for name, value in given.items()
        if name in STEP_OPTIONS and name not in RECORD_OPTIONS
    }
    for name in ("key", "partition_by", "sort_by"):
        step[name] = names(cast("str | Sequence[str]", step.get(name, ())))
    step["after"] = tuple(cast("Sequence[object]", step.get("after", ())))
    step["rules"] = record_rules(given)
    return Settings(**cast("dict[str, Any]", step))


STEP_OPTIONS = frozenset(StepOptions.__optional_keys__)
"""What every source can declare as a step."""


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
