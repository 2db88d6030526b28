"""SQL steps: a query, its inputs found by parsing, and that cached by the text's digest.

A query is one that gives the same rows for the same tables and parameters: it reads tables of the
lake, no files, and no clock or randomness but ``$now`` and ``$seed``.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from headgate.digests import digest
from headgate.errors import Invalid
from headgate.names import suggestion, table_name
from headgate.pipelines import places
from headgate.pipelines.declared_steps import Declaration, Mode, Settings, names
from headgate.pipelines.forms import Incremental
from headgate.pipelines.parameters import Parameter, Params, of_mapping
from headgate.pipelines.signatures import of_params
from headgate.pipelines.sql_text import normal_digest, with_dollars, words
from headgate.pipelines.steps import Query

if TYPE_CHECKING:
    from types import ModuleType

    from headgate.contracts import AnyContract

RUN_PARAMETERS: Final = ("now", "seed")
_ANALYSIS = "1"
"""Counts up when parsing finds other things in the same text: older cache files are passed over."""


def sql_step(
    text: str | None = None,
    *,
    file: str | Path | None = None,
    name: str | None = None,
    table: str | None = None,
    contract: "AnyContract | None" = None,
    mode: Mode = "replace",
    key: str | Sequence[str] = (),
    after: Sequence[object] = (),
    parameters: type[Params] | Mapping[str, object] | None = None,
    incremental: str | Sequence[str] | Mapping[str, Incremental] = (),
    partition_by: str | Sequence[str] = (),
    sort_by: str | Sequence[str] = (),
    retries: int = 0,
    timeout: timedelta | None = None,
) -> Declaration:
    """Declare a query as a step: ``worst = hg.sql_step("select ... from delays")``.

    Tables are named as they are in the lake. ``$name`` (or ``:name``) is a parameter, bound, never
    pasted in; ``$now`` and ``$seed`` are the run's.

    Args:
        text: one query in DuckDB's SQL.
        file: instead of ``text``, a ``.sql`` file relative to the project.
        name: the step's name, where it is not the module attribute's.
        table: the table it writes, where it is not the step's name.
        contract: what the output must satisfy.
        mode: ``replace`` the table, ``append`` to it, ``upsert`` by ``key``, or ``delete`` the rows
            whose ``key`` is among the output.
        key: the columns rows are known by.
        after: steps that must be done first though none of their rows are read.
        parameters: a ``Params`` class, or names with defaults (or with types, where required).
        incremental: the tables of which only the rows appended since the last run are wanted.
        partition_by: SQL expressions over the output's columns.
        sort_by: columns the written files are sorted by.
        retries: how often to try again after a failure.
        timeout: refused until steps can be killed.

    Raises:
        Invalid: ``sql-step-without-text``; and what ``hg.step`` raises.
    """
    if (text is None) == (file is None):
        raise Invalid(
            "sql-step-without-text",
            "sql_step() takes either a query or file=, one of the two.",
            hint='Write hg.sql_step("select ...") or hg.sql_step(file="sql/delays.sql").',
        )
    frame = places.caller()
    declaration = Declaration(
        place=places.of_frame(frame),
        module=str(frame.f_globals.get("__name__", "")),
        settings=Settings(
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
        sql=text,
        sql_file=None if file is None else str(file),
        parameters=_parameters(parameters),
        incremental=(
            incremental
            if isinstance(incremental, Mapping)
            else {table_name(one): Incremental() for one in names(incremental)}
        ),
    )
    places.note(frame, declaration)
    return declaration


def analysed(text: str, *, what: str, cache: Path | None = None) -> Query:
    """Give what a query reads, out of ``cache`` (a directory) or by parsing it.

    ``what`` names the step for messages. A cache that cannot be read or written is done without.

    Raises:
        Invalid: ``sql-unreadable``, ``sql-several-statements``, ``sql-not-a-query``,
            ``sql-reads-outside``, ``sql-not-repeatable``, ``sql-parameter-unnamed``,
            ``sql-name-ambiguous``.
    """
    text = with_dollars(text)
    kept = None if cache is None else cache / f"{digest(_ANALYSIS, text)}.json"
    if kept is not None and (query := _kept(kept, text)) is not None:
        return query
    # Importing the parser takes longer than a whole run with nothing to do.
    parsing = cast("Any", _parsing())
    tables = tuple(parsing.tables(text, what))
    parameters = tuple(
        dict.fromkeys(word[1:] for kind, word, _ in words(text) if kind == "parameter")
    )
    query = Query(text=text, digest=normal_digest(text), tables=tables, parameters=parameters)
    if kept is not None:
        _keep(kept, query)
    return query


def check_parameters(query: Query, declared: Sequence[Parameter], what: str) -> None:
    """Refuse ``$names`` that nothing declares, and declared ones no ``$name`` uses.

    Raises:
        Invalid: ``sql-parameter-undeclared``, ``sql-parameter-unused``.
    """
    known = {parameter.name for parameter in declared}
    for name in query.parameters:
        if name not in known and name not in RUN_PARAMETERS:
            close = suggestion(name, (*known, *RUN_PARAMETERS))
            raise Invalid(
                "sql-parameter-undeclared",
                f"The query of {what} uses ${name}, which it does not declare.",
                hint=(f"Did you mean ${close}? Otherwise declare" if close else "Declare")
                + f' it: parameters={{"{name}": its default}}.',
                parameter=name,
            )
    for parameter in declared:
        if parameter.group is None and parameter.name not in query.parameters:
            raise Invalid(
                "sql-parameter-unused",
                f"{what} declares the parameter {parameter.name}, and its query never uses "
                f"${parameter.name}.",
                hint="Use it, or leave it away.",
                parameter=parameter.name,
            )


def _parameters(given: type[Params] | Mapping[str, object] | None) -> tuple[Parameter, ...]:
    if given is None:
        return ()
    return of_params(given, None) if isinstance(given, type) else of_mapping(given)


def _parsing() -> "ModuleType":
    return import_module("headgate.pipelines.sql_parsing")


def _kept(path: Path, text: str) -> Query | None:
    try:
        query = msgspec.json.decode(path.read_bytes(), type=Query)
    except (OSError, msgspec.DecodeError):
        return None
    return query if query.text == text else None


def _keep(path: Path, query: Query) -> None:
    unfinished = path.with_suffix(f".{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(msgspec.json.encode(query))
        unfinished.replace(path)
    except OSError:
        with suppress(OSError):
            unfinished.unlink()
