"""What is read of a database: a source's options, parsed once into a value."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from headgate.errors import Invalid
from headgate.names import suggestion
from headgate.secrets import Secret

OPTIONS = frozenset(
    {
        *(
            "url",
            "user",
            "password",
            "relation",
            "query",
            "columns",
            "cursor",
            "lag",
            "empty_cursor",
        ),
        *("numbers", "infinite", "zero_dates", "arrays", "connections", "batch_rows"),
    }
)
REFUSE, NULL, CLAMP = "refuse", "null", "clamp"
LEAVE, AGAIN = "leave", "again"
FIT, TEXT, DOUBLE, LIST = "fit", "text", "double", "list"

_DECIMAL = re.compile(r"decimal\((\d+), ?(\d+)\)\Z")
_MAX_DIGITS = 38
_BATCH_ROWS = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What to read, and by which rules.

    Exactly one of ``relation`` (a table's or view's name, with its schema if it has one) and
    ``query`` is set. Empty ``columns`` are all. ``cursor`` names the column that grows. ``lag`` is
    how far before the highest value reading begins again: a number for whole numbers.
    ``empty_cursor`` says what becomes of rows without a cursor value: ``refuse``, ``leave``,
    ``again``. ``numbers`` is the rule for numbers without a scale: ``fit``, ``text``, ``double``,
    or (precision, scale). ``infinite`` (dates, instants; NaN in decimals) and ``zero_dates`` are
    ``refuse``, ``null`` or, for dates that are infinite, ``clamp``. ``arrays`` are ``list`` or
    ``text``. ``connections`` is None where the source may choose.
    """

    relation: str = ""
    query: str = ""
    columns: tuple[str, ...] = ()
    cursor: str = ""
    lag: timedelta | int | None = None
    empty_cursor: str = REFUSE
    numbers: str | tuple[int, int] = FIT
    infinite: str = REFUSE
    zero_dates: str = REFUSE
    arrays: str = LIST
    connections: int | None = None
    batch_rows: int = _BATCH_ROWS

    @property
    def shown(self) -> str:
        """What is read, for people."""
        return self.relation or "a query"


def selection_of(options: Mapping[str, object]) -> Selection:
    """Read a source's options.

    Raises:
        Invalid: ``unknown-option``, ``bad-option``, ``database-without-relation``.
    """
    for name in options:
        if name not in OPTIONS:
            meant = suggestion(name, OPTIONS)
            raise Invalid(
                "unknown-option",
                f"A database has no option {name!r}.",
                hint=f"Did you mean {meant}?"
                if meant
                else f"There are: {', '.join(sorted(OPTIONS))}.",
                option=name,
            )
    relation, query = (
        _text(options, "relation"),
        _text(options, "query").strip().rstrip(";").strip(),
    )
    if bool(relation) == bool(query):
        raise Invalid(
            "database-without-relation",
            "A database source names a table or view to read, or a query; one of them.",
            hint='Write hg.database("postgresql://...", "schema.table"), or query="select ...". '
            "(table= is the table of the lake that is written.)",
        )
    cursor = _text(options, "cursor")
    lag = options.get("lag")
    if lag is not None and (isinstance(lag, bool) or not isinstance(lag, (int, timedelta))):
        raise _bad("lag", lag, "a timedelta, or a whole number where the cursor is one")
    if lag is not None and not cursor:
        raise _bad("lag", lag, "nothing without cursor=")
    return Selection(
        relation=relation,
        query=query,
        columns=_names(options.get("columns", ())),
        cursor=cursor,
        lag=lag,
        empty_cursor=_choice(options, "empty_cursor", (REFUSE, LEAVE, AGAIN)),
        numbers=_numbers(options.get("numbers", FIT)),
        infinite=_choice(options, "infinite", (REFUSE, NULL, CLAMP)),
        zero_dates=_choice(options, "zero_dates", (REFUSE, NULL)),
        arrays=_choice(options, "arrays", (LIST, TEXT)),
        connections=_count(options, "connections"),
        batch_rows=_count(options, "batch_rows") or _BATCH_ROWS,
    )


def _text(options: Mapping[str, object], name: str) -> str:
    value = options.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or not value:
        raise _bad(name, value, "a text")
    return value


def _names(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, Sequence) and all(isinstance(each, str) for each in value):
        return tuple(value)
    raise _bad("columns", value, "names of columns")


def _choice(options: Mapping[str, object], name: str, choices: tuple[str, ...]) -> str:
    value = options.get(name, choices[0])
    if value not in choices:
        raise _bad(name, value, f"one of {', '.join(choices)}")
    return str(value)


def _count(options: Mapping[str, object], name: str) -> int | None:
    value = options.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise _bad(name, value, "a whole number from 1 on")
    return value


def _numbers(value: object) -> str | tuple[int, int]:
    if value in {FIT, TEXT, DOUBLE}:
        return str(value)
    found = _DECIMAL.match(value) if isinstance(value, str) else None
    if found is not None:
        precision, scale = int(found[1]), int(found[2])
        if 0 <= scale <= precision <= _MAX_DIGITS and precision:
            return precision, scale
    raise _bad("numbers", value, 'fit, text, double, or "decimal(p, s)" of up to 38 digits')


def _bad(name: str, value: object, wanted: str) -> Invalid:
    told = "" if isinstance(value, Secret) else f", not {value!r}"
    return Invalid("bad-option", f"{name}= is {wanted}{told}.", option=name)
