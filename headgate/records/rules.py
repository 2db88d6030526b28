"""What a step declares of its source's records: what nests, what conflicts do, how text is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast, get_args

from headgate.errors import Invalid
from headgate.names import own_table_name

OnConflict: TypeAlias = Literal["evolve", "variant", "quarantine", "freeze"]
Ambiguous: TypeAlias = Literal["earlier", "later", "quarantine"]

OPTIONS = (
    "nested",
    "on_conflict",
    "null_tokens",
    "time_zone",
    "ambiguous_times",
    "decimal_mark",
    "unicode",
)
"""The names under which a step declares them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRules:
    """How records become columns.

    ``nested`` maps a path of keys (``items``, ``customer.orders``) to the table that its elements
    become; what is not named becomes structs and lists. ``on_conflict`` says what happens to a
    value that its column cannot hold, ``null_tokens`` which texts stand for NULL, ``time_zone``
    where local times are meant, ``ambiguous_times`` which of two instants a time that a clock
    shows twice is, ``decimal_mark`` what stands between whole and fraction in texts that are
    numbers. ``unicode`` brings texts to that normal form.
    """

    nested: Mapping[str, str] = field(default_factory=dict)
    on_conflict: OnConflict = "evolve"
    null_tokens: tuple[str, ...] = ()
    time_zone: str | None = None
    ambiguous_times: Ambiguous = "quarantine"
    decimal_mark: Literal[".", ","] = "."
    unicode: Literal["NFC"] | None = None

    def __post_init__(self) -> None:
        _one_of("on_conflict", self.on_conflict, get_args(OnConflict))
        _one_of("ambiguous_times", self.ambiguous_times, get_args(Ambiguous))
        _one_of("decimal_mark", self.decimal_mark, (".", ","))
        _one_of("unicode", self.unicode, (None, "NFC"))
        if self.time_zone is not None:
            _known_zone(self.time_zone)
        seen: dict[str, str] = {}
        for path, table in self.nested.items():
            own_table_name(table)
            if not path or not all(path.split(".")):
                raise Invalid(
                    "nested-path",
                    f"nested= names the path {path!r}, which is none.",
                    hint='Give keys with dots between them: {"customer.orders": "orders"}.',
                    path=path,
                )
            if table in seen:
                raise Invalid(
                    "nested-path",
                    f"nested= gives the table {table} to both {seen[table]} and {path}.",
                    hint="Give each path a table of its own.",
                    path=path,
                    table=table,
                )
            seen[table] = path

    @property
    def changes_texts(self) -> bool:
        """Whether texts are changed before they are read."""
        return bool(self.null_tokens or self.time_zone or self.unicode or self.decimal_mark != ".")


def record_rules(given: Mapping[str, object]) -> RecordRules | None:
    """Give the rules among a step's declared options, None where there are none.

    Raises:
        Invalid: ``rule-unknown-choice``, ``nested-path``, ``bad-table-name``.
    """
    found = {name: value for name, value in given.items() if name in OPTIONS}
    if not found:
        return None
    tokens = found.get("null_tokens", ())
    found["null_tokens"] = (
        (tokens,) if isinstance(tokens, str) else tuple(cast("Sequence[str]", tokens))
    )
    found["nested"] = dict(cast("Mapping[str, str]", found.get("nested") or {}))
    return RecordRules(**found)  # type: ignore[arg-type]


def _known_zone(name: str) -> None:
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - reads files, and few declare a zone

    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise Invalid(
            "rule-unknown-choice",
            f"time_zone={name!r} is no time zone.",
            hint='Use a name of the IANA database, such as "Europe/Berlin".',
            option="time_zone",
        ) from error


def _one_of(name: str, value: object, choices: Sequence[object]) -> None:
    if value not in choices:
        raise Invalid(
            "rule-unknown-choice",
            f"{name}={value!r} is no choice.",
            hint=f"Use one of {', '.join(repr(choice) for choice in choices)}.",
            option=name,
        )
