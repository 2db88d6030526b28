"""What databases answer, in our words: no row's content, no secret, no driver's text."""

from collections.abc import Sequence

from headgate.errors import HeadgateError, Invalid, Refused, Unavailable
from headgate.sinks.sink import Setting

_READERS = "Those of the destination see what was delivered before."
_GOES_ON = "Nothing is lost: the history is kept.  headgate deliver  goes on where it was."


def unreachable(where: str, why: str) -> Unavailable:
    """Give the error for a database that does not answer, or went away."""
    said = f"{where} does not answer: {why}."
    return Unavailable("sink-unreachable", said, readers=_READERS, hint=_GOES_ON, where=where)


def busy(where: str, why: str) -> Unavailable:
    """Give the error for a database that somebody else is at work in."""
    said = f"{where} is busy: {why}."
    return Unavailable("sink-busy", said, readers=_READERS, hint=_GOES_ON, where=where)


def login_refused(where: str) -> Refused:
    """Give the error for a user or a database that is not known, or a wrong password."""
    return Refused(
        "sink-login-refused",
        f"{where} does not let us in: the user, the password or the database is wrong.",
        readers=_READERS,
        hint="Mend the sink's options or its connection; then  headgate deliver",
        where=where,
    )


def not_allowed(where: str, what: str, why: str) -> Refused:
    """Give the error for rights that the user does not have."""
    return Refused(
        "sink-not-allowed",
        f"{where} does not allow {what}: {why}.",
        readers=_READERS,
        hint="Grant the user what it takes to make tables, and to read and change these.",
        where=where,
    )


def rows_refused(what: str, why: str) -> Invalid:
    """Give the error for rows that a constraint or a type over there does not take."""
    return Invalid(
        "sink-rows-refused",
        f"The database refused rows while {what}: {why}.",
        readers=_READERS,
        hint="Change the table over there, or mend the rows before they are published.",
    )


def misfit(named: str, type_: str, which: str, **facts: object) -> Invalid:
    """Give the error for a value of one row that a column over there does not take."""
    return Invalid(
        "sink-rows-refused",
        f"Column {named} is {type_} over there and does not take a value of ours.",
        readers=_READERS,
        hint=f"It is {which}. Change the column over there, or mend the row before it is"
        " published.",
        **facts,
    )


def other_key(to: str, there: Sequence[str], ours: Sequence[str], setting: Setting) -> str:
    """Give the hint where rows were refused by a table that has another key than the sink's."""
    return (
        f"{to} has the key {', '.join(there)} over there, and the sink knows rows by"
        f" {', '.join(ours)}. Take that key away there, and  headgate deliver\n"
        f"or take the table away, and  headgate sinks reset {setting.name}"
    )


def failed(where: str, what: str, why: str) -> HeadgateError:
    """Give the error for anything else a database says."""
    return Invalid(
        "sink-failed",
        f"{where} failed while {what}: {why}.",
        readers=_READERS,
        hint="Mend what it says over there; then  headgate deliver",
        where=where,
    )


def bad_name(name: str, why: str) -> Invalid:
    """Give the error for a name that a database would cut or not take."""
    return Invalid(
        "sink-bad-name",
        f"{name!r} cannot name a table or a column over there: {why}.",
        hint='Give the table another name over there:  tables={"table": "name"}',
        name=name,
    )


def bad_option(name: str, why: str) -> Invalid:
    """Give the error for an option that a sink does not have, or with a value it cannot take."""
    return Invalid("bad-option", f"Option {name!r} of a sink: {why}.", option=name)


def no_type(name: str, type_: str, why: str) -> Invalid:
    """Give the error for a column that the database has no type for."""
    return Invalid(
        "sink-type",
        f"Column {name} ({type_}) cannot be over there as it is: {why}.",
        hint="Cast it to another type in a step before.",
        column=name,
    )
