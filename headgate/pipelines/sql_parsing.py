"""What a query reads, by its syntax tree. Imports the parser: reached only when needed."""

from collections.abc import Iterator

import sqlglot
from sqlglot import exp

from headgate.errors import Invalid

DIALECT = "duckdb"

_PURE_TABLE_FUNCTIONS = frozenset(
    {
        "range",
        "generate_series",
        "generate_subscripts",
        "unnest",
        "repeat",
        "repeat_row",
        "json_each",
        "json_tree",
    }
)
_PURE_TABLE_NODES = (exp.GenerateSeries, exp.Unnest, exp.Explode, exp.JSONTable)
_UNREPEATABLE_NODES = (
    exp.CurrentDate,
    exp.CurrentTime,
    exp.CurrentTimestamp,
    exp.CurrentDatetime,
    exp.CurrentUser,
    exp.Rand,
    exp.Randn,
    exp.Uuid,
)
_CLOCKS = frozenset(
    {
        "now",
        "today",
        "current_date",
        "current_time",
        "current_timestamp",
        "current_localtime",
        "current_localtimestamp",
        "get_current_time",
        "get_current_timestamp",
        "transaction_timestamp",
        "localtime",
        "localtimestamp",
    }
)
_CHANCE = frozenset({"random", "rand", "setseed", "uuid", "uuidv4", "uuidv7", "gen_random_uuid"})
_OUTSIDE = frozenset(
    {"nextval", "currval", "getenv", "current_setting", "getvariable", "txid_current"}
)


def tables(sql: str, what: str) -> list[str]:
    """Give the lake's tables a query reads, each once.

    Names of common table expressions are not tables where they are visible; a table of the same
    name is, where they are not.
    """
    tree = _one_query(sql, what)
    for node in tree.walk():
        refuse_unrepeatable(node, f"The query of {what}")
    return list(dict.fromkeys(_read(tree, frozenset(), what)))


def _one_query(sql: str, what: str) -> exp.Expr:
    try:
        statements = [one for one in sqlglot.parse(sql, dialect=DIALECT) if one is not None]
    except (sqlglot.errors.ParseError, sqlglot.errors.TokenError) as error:
        raise _unreadable(error, what) from error
    if len(statements) != 1:
        found = f"{len(statements)} statements" if statements else "nothing"
        raise Invalid(
            "sql-several-statements",
            f"The SQL of {what} holds {found} where one query is wanted.",
            hint="Make each query a step of its own.",
            statements=len(statements),
        )
    tree = statements[0]
    if not isinstance(tree, (exp.Query, exp.Values, exp.Pivot)):
        raise Invalid(
            "sql-not-a-query",
            f"The SQL of {what} is a {tree.key.upper()} statement, not a query.",
            hint="Write a SELECT; the step's mode= says how its rows are written.",
            statement=tree.key,
        )
    return tree


def parse_trouble(error: Exception) -> str:
    """Say what the parser met, without its own words for nodes of the tree."""
    first: dict[str, object] = next(iter(getattr(error, "errors", ())), {})
    if not first:
        unclosed = isinstance(error, sqlglot.errors.TokenError)
        return "a quote or a comment is not closed" if unclosed else "there is nothing"
    why = str(first.get("description")).rstrip(".")
    if "<class " in why:
        why = "something is missing"
    near = str(first.get("highlight") or "")
    return why + (f", near {near!r}" if near else "")


def _unreadable(error: Exception, what: str) -> Invalid:
    first: dict[str, object] = next(iter(getattr(error, "errors", ())), {})
    where = f" at line {first.get('line')}, column {first.get('col')}" if first else ""
    why = parse_trouble(error)
    return Invalid(
        "sql-unreadable",
        f"The SQL of {what} cannot be read{where}: {why}.",
        hint="Mend the query; the dialect is DuckDB's.",
        line=first.get("line"),
        column=first.get("col"),
    )


def _read(node: exp.Expr, visible: frozenset[str], what: str) -> Iterator[str]:
    """Give the tables under a node, where the common table expressions ``visible`` can be named."""
    clause = node.args.get("with_") or node.args.get("with")
    if isinstance(clause, exp.With):
        for expression in clause.expressions:
            name = expression.alias_or_name.casefold()
            if clause.args.get("recursive"):
                yield from _read(expression.this, visible | {name}, what)
            else:
                for table in _read(expression.this, visible, what):
                    if table.casefold() == name:
                        raise _names_itself(table, what)
                    yield table
            visible |= {name}
    if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
        is_cte = not node.args.get("db") and node.name.casefold() in visible
        if not is_cte:
            yield _table(node, what)
    for child in node.iter_expressions():
        if child is not clause:
            yield from _read(child, visible, what)


def _names_itself(table: str, what: str) -> Invalid:
    """DuckDB does not look beyond the expression, as other databases do."""
    return Invalid(
        "sql-name-circular",
        f"In the query of {what} the common table expression {table} reads {table}, itself.",
        hint="Give the expression another name than the table, or write WITH RECURSIVE.",
        name=table,
    )


def _table(node: exp.Table, what: str) -> str:
    parts = [part.name for part in node.parts]
    if any("/" in part or "*" in part for part in parts) or (
        node.this.args.get("quoted") and "." in node.name
    ):
        raise Invalid(
            "sql-name-ambiguous",
            f"The query of {what} reads {node.this.sql(dialect=DIALECT)}, which is either a file "
            "or a namespace and a table in one pair of quotes.",
            hint="Declare a file with hg.files(...); write a namespace outside of the quotes: "
            'raw."flights".',
            name=node.name,
        )
    return ".".join(parts)


def refuse_unrepeatable(node: exp.Expr, what: str) -> None:
    """Refuse what would make two runs over the same tables differ.

    Raises:
        Invalid: ``sql-reads-outside``, ``sql-not-repeatable``, ``sql-parameter-unnamed``.
    """
    if isinstance(node, exp.Table) and isinstance(node.this, exp.Func):
        name = _function_name(node.this)
        if name not in _PURE_TABLE_FUNCTIONS and not isinstance(node.this, _PURE_TABLE_NODES):
            raise Invalid(
                "sql-reads-outside",
                f"{what} calls {name}(), which reads what is not in the lake.",
                hint="Declare the files with hg.files(...) and select from that table.",
                function=name,
            )
        return
    if isinstance(node, exp.Placeholder) and not node.this:
        raise _unnamed(what, "?")
    if isinstance(node, (exp.Parameter, exp.Placeholder)) and node.name.isdigit():
        raise _unnamed(what, f"${node.name}")
    if isinstance(node, exp.TableSample) and not node.args.get("seed"):
        raise _unrepeatable(what, "a sample without a seed", "Add `repeatable (42)`.")
    if isinstance(node, exp.Func):
        name = _function_name(node)
        if name == "age" and len(list(node.iter_expressions())) == 1:
            raise _unrepeatable(what, "age() of one instant", "Write age($now, ...).")
        if name in _CLOCKS or isinstance(node, _UNREPEATABLE_NODES[:4]):
            raise _unrepeatable(what, f"{name}()", "Use $now: the run's instant, recorded.")
        if name in _CHANCE or isinstance(node, _UNREPEATABLE_NODES[4:]):
            raise _unrepeatable(
                what, f"{name}()", "Make it of the rows and $seed, like hash(id, $seed)."
            )
        if name in _OUTSIDE:
            raise _unrepeatable(what, f"{name}()", "Declare a parameter and use $name.")


def _unnamed(what: str, found: str) -> Invalid:
    return Invalid(
        "sql-parameter-unnamed",
        f"{what} has the parameter {found}, which has no name.",
        hint="Write $name and declare it with parameters=.",
    )


def _unrepeatable(what: str, found: str, hint: str) -> Invalid:
    return Invalid(
        "sql-not-repeatable",
        f"{what} uses {found}: it would give other rows at every run.",
        hint=hint,
        found=found,
    )


def _function_name(node: exp.Expr) -> str:
    if isinstance(node, exp.Anonymous):
        return str(node.this).casefold()
    return str(node.sql_name() if isinstance(node, exp.Func) else node.key).casefold()
