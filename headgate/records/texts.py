"""Texts by declared rule: what stands for NULL, whose local time it is, how a number is written.

All are SQL over one text, ``HOLE``. A value is never guessed: what no rule reads stays as it was,
for whoever asks for its type to refuse.
"""

from typing import Final

from headgate.names import literal
from headgate.records.guarding import TAG
from headgate.records.rules import RecordRules

HOLE: Final = "\x00"
"""Stands in SQL for the value that is read."""

_DAY: Final = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK: Final = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?"
_ZONE: Final = "([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)"
_LOCAL: Final = f"{_DAY}[T ]{_CLOCK}"


def filled(template: str, value: str) -> str:
    """Put a value's SQL into a template."""
    return template.replace(HOLE, value)


def ruled_text(rules: RecordRules, *, tagged: bool) -> str:
    """Give a text as the rules say it is; NULL where it stands for that.

    ``tagged``: some of the records have numbers that were kept as texts.
    """
    text = HOLE
    if tagged:
        mark = f"chr({ord(TAG)})"
        text = f"case when starts_with({text}, {mark}) then substr({text}, 2) else {text} end"
    if rules.unicode == "NFC":
        text = f"nfc_normalize({text})"
    if rules.null_tokens:
        words = ", ".join(literal(word) for word in rules.null_tokens)
        text = f"case when ({text}) not in ({words}) then {text} end"
    return text


def is_token(rules: RecordRules) -> str:
    """Say whether a text is one of those that stand for NULL."""
    return f"({HOLE}) in ({', '.join(literal(word) for word in rules.null_tokens)})"


def is_day(text: str) -> str:
    """Say whether a text is an ISO date."""
    return (
        f"({text} like '____-__-__' and regexp_full_match({text}, {literal(_DAY)}) "
        f"and try_cast({text} as date) is not null)"
    )


def is_local(text: str) -> str:
    """Say whether a text is an ISO time without an offset."""
    return (
        f"(length({text}) between 16 and 26 and regexp_full_match({text}, {literal(_LOCAL)}) "
        f"and try_cast({text} as timestamp) is not null)"
    )


def is_instant(text: str) -> str:
    """Say whether a text is an ISO time with an offset."""
    return (
        f"(length({text}) between 17 and 32 and regexp_full_match({text}, "
        f"{literal(_LOCAL + _ZONE)}) and try_cast({text} as timestamptz) is not null)"
    )


def instant(text: str, rules: RecordRules) -> str:
    """Give the instant of a time with or without an offset, the latter on the declared clock.

    NULL for a time that no clock there showed, and where it showed one twice and no rule says
    which is meant.
    """
    if rules.time_zone is None:
        return f"try_cast({text} as timestamptz)"
    zone = literal(rules.time_zone)
    local = f"try_cast({text} as timestamp)"
    found = f"timezone({zone}, {local})"
    others = [
        f"{found} {sign} interval '{minutes} minutes'" for minutes in (30, 60, 120) for sign in "-+"
    ]
    same = ", ".join(f"case when timezone({zone}, {at}) = {local} then {at} end" for at in others)
    known = f"timezone({zone}, {found}) = {local}"
    match rules.ambiguous_times:
        case "earlier":
            on_clock = f"least({found}, {same})"
        case "later":
            on_clock = f"greatest({found}, {same})"
        case "quarantine":
            on_clock = f"case when coalesce({same}) is null then {found} end"
    return (
        f"case when {is_instant(text)} then try_cast({text} as timestamptz) "
        f"when {known} then {on_clock} end"
    )


def instant_text(text: str, rules: RecordRules) -> str:
    """Give a local time as the text of its instant; any other text as it is, to be judged later."""
    if rules.time_zone is None:
        return text
    found = instant(text, rules)
    written = f"strftime(({found}) at time zone 'UTC', '%Y-%m-%d %H:%M:%S.%fZ')"
    return (
        f"case when {is_local(text)} then coalesce({written}, {text} || ' (local)') else {text} end"
    )


def number_text(text: str, rules: RecordRules) -> str:
    """Give a number written with the declared mark as JSON would write it; any other as it is."""
    if rules.decimal_mark == ".":
        return text
    return (
        f"case when {is_marked_number(text)} "
        f"then replace(replace({text}, '.', ''), ',', '.') else {text} end"
    )


def is_marked_number(text: str) -> str:
    """Say whether a text is a number with a comma before its fraction, with or without groups."""
    return f"regexp_full_match({text}, '[+-]?([0-9]+|[0-9]{{1,3}}([.][0-9]{{3}})+)(,[0-9]+)?')"
