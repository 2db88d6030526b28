"""Conditions over one table's columns, as people write them for a delete. Imports the parser."""

from collections.abc import Callable, Collection

import sqlglot
from sqlglot import exp

from headgate.errors import Invalid
from headgate.names import suggestion
from headgate.pipelines.sql_parsing import DIALECT, parse_trouble, refuse_unrepeatable


def condition(text: str, columns: Collection[str], *, what: str) -> str:
    """Give a condition in one spelling: parsed, its columns checked, printed from the tree.

    Subqueries, aggregates and parameters are refused: whether a row goes depends on the row alone.

    Raises:
        Invalid: ``bad-condition``, naming what is wrong; ``sql-not-repeatable``.
    """
    try:
        tree = sqlglot.parse_one(text, dialect=DIALECT, into=exp.Condition)
    except (sqlglot.errors.ParseError, sqlglot.errors.TokenError) as error:
        why = f"{text!r} is no condition ({parse_trouble(error)})"
        raise _bad(text, what, why) from error
    known = {column.casefold(): column for column in columns}
    for node in tree.walk():
        refuse_unrepeatable(node, f"The condition of {what}")
        if isinstance(node, (exp.Query, exp.AggFunc, exp.Window, exp.Placeholder, exp.Parameter)):
            raise _bad(text, what, f"{node.sql(DIALECT)} looks beyond the row")
        if isinstance(node, exp.Column):
            if node.table or node.name.casefold() not in known:
                close = suggestion(node.name, columns)
                meant = f"; did you mean {close}?" if close else ""
                raise _bad(text, what, f"there is no column {node.sql(DIALECT)}{meant}")
            node.set("this", exp.to_identifier(known[node.name.casefold()], quoted=True))
    return tree.sql(DIALECT)


def assignment(
    text: str,
    columns: Collection[str],
    *,
    what: str,
    settable: Callable[[], Collection[str]] | None = None,
) -> tuple[str, str]:
    """Give the column and the expression of ``column = expression``.

    The expression is over ``columns``; what it sets is one of ``settable``, or may be new.

    Raises:
        Invalid: ``bad-assignment``; ``bad-condition``, ``sql-not-repeatable``: of the expression.
    """
    try:
        tree = sqlglot.parse_one(text, dialect=DIALECT, into=exp.Condition)
    except (sqlglot.errors.ParseError, sqlglot.errors.TokenError) as error:
        raise _no_assignment(text, what) from error
    if not isinstance(tree, exp.EQ) or not isinstance(tree.this, exp.Column) or tree.this.table:
        raise _no_assignment(text, what)
    named = tree.this.name
    expression = condition(tree.expression.sql(DIALECT), columns, what=what)
    allowed = columns if settable is None else settable()
    known = {column.casefold(): column for column in allowed}
    if settable is not None and named.casefold() not in known:
        close = suggestion(named, allowed)
        raise Invalid(
            "bad-assignment",
            f"There is no column {named!r} to set in {what}.",
            hint=f"Did you mean {close}?" if close else f"Columns: {', '.join(allowed)}.",
            assignment=text,
            column=named,
        )
    return known.get(named.casefold(), named), expression


def _no_assignment(text: str, what: str) -> Invalid:
    return Invalid(
        "bad-assignment",
        f"{text!r} sets no value in {what}.",
        hint="Write a column and its value, like: tailnum = 'N1'",
        assignment=text,
    )


def named_in(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Give the columns and the literals (as texts) that a condition in one spelling names."""
    tree = sqlglot.parse_one(text, dialect=DIALECT, into=exp.Condition)
    columns = dict.fromkeys(node.name for node in tree.find_all(exp.Column))
    literals = dict.fromkeys(str(node.this) for node in tree.find_all(exp.Literal))
    return tuple(columns), tuple(literals)


def without_literals(text: str, literals: Collection[str]) -> str:
    """Give a condition with NULL in the place of some literals; it is true of no more rows."""
    try:
        tree = sqlglot.parse_one(text, dialect=DIALECT, into=exp.Condition)
    except (sqlglot.errors.ParseError, sqlglot.errors.TokenError):
        return text if not any(each in text for each in literals) else "false"
    hit = [node for node in tree.find_all(exp.Literal) if str(node.this) in literals]
    if not hit:
        return text
    if not all(isinstance(node.parent, exp.EQ | exp.In) for node in hit):
        return "false"
    for node in hit:
        node.replace(exp.Null())
    return tree.sql(DIALECT)


def _bad(text: str, what: str, why: str) -> Invalid:
    return Invalid(
        "bad-condition",
        f"The condition of {what} cannot be used: {why}.",
        hint="Write a condition over the table's own columns, like: amount > 10 and day is null",
        condition=text,
    )
