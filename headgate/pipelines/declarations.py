"""From the modules of a project to its steps: who is named what, and what each one needs.

A declaration is named by ``name=``, or by the module attribute it is bound to. What has no name, or
two, is refused: a step nobody can name would silently never run.
"""

import ast
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FunctionType, ModuleType
from typing import TypeVar

from headgate.contracts import AnyContract, ContractSpec, contract_spec, named_contract
from headgate.errors import HeadgateError, Invalid
from headgate.lake import Isolation
from headgate.names import suggestion
from headgate.pipelines import signatures, sql_steps
from headgate.pipelines.annotations import GuardedImports
from headgate.pipelines.declared_steps import Declaration, declaration_of
from headgate.pipelines.graph import Graph
from headgate.pipelines.places import LEDGER, Place
from headgate.pipelines.signatures import Signature
from headgate.pipelines.sink_steps import DeclaredSink, SinkDeclaration, declared_sink
from headgate.pipelines.step_sets import Pipeline, PipelineDeclaration
from headgate.pipelines.steps import Injected, Input, Query, Step

_Thing = TypeVar("_Thing", Declaration, PipelineDeclaration, SinkDeclaration)


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What a project declares: all its steps, the pipelines made of them, and the sinks."""

    steps: tuple[Step, ...] = ()
    pipelines: tuple[Pipeline, ...] = ()
    sinks: tuple[DeclaredSink, ...] = ()


@dataclass(frozen=True, slots=True)
class _Binding:
    module: ModuleType
    attribute: str


def collect(
    modules: Sequence[ModuleType],
    *,
    root: Path,
    default: str = "main",
    isolation: Isolation = "serializable",
    cache: Path | None = None,
) -> Declared:
    """Name and read every declaration of these modules. Runs nothing; reads ``.sql`` files.

    Args:
        modules: the user's modules, imported.
        root: the project's directory: paths are relative to it.
        default: the pipeline that holds all steps where no pipeline is declared.
        isolation: of pipelines that do not say.
        cache: a directory for what parsing SQL found, which may be dropped at any time.

    Raises:
        Invalid: ``step-unnamed``, ``step-bound-twice``, ``step-named-twice``,
            ``after-unknown-step``, ``sql-file-unreadable``, ``incremental-unknown-table``, and what
            reading signatures, parsing SQL and building a ``Graph`` raise.
    """
    project = _Project(tuple(modules), root=root, cache=cache)
    named = project.named(project.all(Declaration))
    by_declaration: dict[int | str, str] = {name: name for name in named}
    by_declaration.update((id(declaration), name) for name, declaration in named.items())
    steps = {
        name: project.step(name, declaration, by_declaration) for name, declaration in named.items()
    }
    made = [table for step in steps.values() for table in step.tables]
    steps = {name: _in_the_lakes_case(step, made) for name, step in steps.items()}
    pipelines = tuple(
        project.pipeline(name, declaration, steps, by_declaration, named, isolation)
        for name, declaration in project.named(project.all(PipelineDeclaration)).items()
    )
    if not pipelines and steps:
        pipelines = (Pipeline(name=default, steps=tuple(steps.values()), isolation=isolation),)
    for pipeline in pipelines:
        Graph(pipeline.steps)
    table_of = {id(each): steps[name].table or "" for name, each in named.items()}
    sinks = tuple(
        declared_sink(name, declaration, table_of, declaration.place.within(root))
        for name, declaration in project.named(project.all(SinkDeclaration)).items()
    )
    return Declared(steps=tuple(steps.values()), pipelines=pipelines, sinks=sinks)


class _Project:
    """The modules being read, and what was read of them once."""

    def __init__(self, modules: tuple[ModuleType, ...], *, root: Path, cache: Path | None) -> None:
        self._modules = modules
        self._root = root
        self._cache = cache
        self._guarded = GuardedImports()
        self._bindings: dict[int, list[_Binding]] = {}
        self._found: dict[int, Declaration | PipelineDeclaration | SinkDeclaration] = {}
        for module in modules:
            for declaration in vars(module).get(LEDGER, ()):
                self._found[id(declaration)] = declaration
        for module in modules:
            for attribute, value in vars(module).items():
                whole = type(value) in (PipelineDeclaration, SinkDeclaration)
                thing = value if whole else declaration_of(value)
                if thing is not None:
                    self._found[id(thing)] = thing
                    self._bindings.setdefault(id(thing), []).append(_Binding(module, attribute))

    def all(self, kind: type[_Thing]) -> list[_Thing]:
        """Give the declarations of a kind, in the order they were made."""
        return [thing for thing in self._found.values() if isinstance(thing, kind)]

    def named(self, things: Sequence[_Thing]) -> dict[str, _Thing]:
        """Give each declaration its one name."""
        named: dict[str, _Thing] = {}
        for thing in things:
            name = self._name(thing)
            other = named.setdefault(name, thing)
            if other is not thing:
                raise Invalid(
                    "step-named-twice",
                    f"Two declarations are named {name}: at {self._place(other)} and at "
                    f"{self._place(thing)}.",
                    hint="Give one of them another name=.",
                    name=name,
                )
        return named

    def step(self, name: str, declaration: Declaration, names: Mapping[int | str, str]) -> Step:
        """Read one declaration whole."""
        settings, function = declaration.settings, declaration.function
        place = declaration.place.within(self._root)
        signature, description = Signature(), ""
        if isinstance(function, FunctionType):
            read = signatures.read if declaration.source is None else signatures.read_source
            signature = read(function, name, self._guarded)
            description = _first_line(function.__doc__)
            if signature.nothing:
                _check_needs_no_table(name, place, declaration)
        contract = _contract(name, place, settings.contract, self._root)
        step = Step(
            name=name,
            table=None if signature.nothing else settings.table or name,
            after=tuple(self._after(name, one, declaration, names) for one in settings.after),
            mode=settings.mode,
            key=settings.key,
            contract=contract,
            references=contract.references if contract is not None else (),
            source=declaration.source,
            partition_by=settings.partition_by,
            sort_by=settings.sort_by,
            retries=settings.retries,
            timeout=settings.timeout,
            isolate=settings.isolate,
            rules=settings.rules,
            place=place,
            function=function,
            inputs=signature.inputs,
            parameters=signature.parameters,
            injected=signature.injected,
            secrets=signature.secrets,
            cursor=signature.cursor,
            returns=signature.returns,
            description=description,
        )
        if function is None and declaration.source is None:
            return self._sql_step(step, declaration)
        return step

    def pipeline(
        self,
        name: str,
        declaration: PipelineDeclaration,
        steps: Mapping[str, Step],
        names: Mapping[int | str, str],
        declarations: Mapping[str, Declaration],
        isolation: Isolation,
    ) -> Pipeline:
        """Give a declared pipeline its steps."""
        if declaration.steps is None:
            chosen = [
                step
                for step_name, step in steps.items()
                if declarations[step_name].module == declaration.module
            ]
        else:
            chosen = [
                steps[self._meant(f"The pipeline {name}", one, declaration.place, names)]
                for one in declaration.steps
            ]
        return Pipeline(
            name=name, steps=tuple(chosen), isolation=declaration.isolation or isolation
        )

    def _sql_step(self, step: Step, declaration: Declaration) -> Step:
        what = f"step {step.name} ({step.place})"
        text = declaration.sql if declaration.sql is not None else self._read(declaration, what)
        query = sql_steps.analysed(text, what=what, cache=self._cache)
        sql_steps.check_parameters(query, declaration.parameters, what)
        _check_incremental(query, declaration, what)
        declared = {parameter.name for parameter in declaration.parameters}
        return replace(
            step,
            sql=query,
            inputs=tuple(
                Input(
                    table=table,
                    incremental=table in declaration.incremental,
                    changes=table in declaration.incremental
                    and declaration.incremental[table].changes,
                )
                for table in query.tables
            ),
            parameters=declaration.parameters,
            injected=tuple(
                Injected(argument=kind, kind=kind)
                for kind in sql_steps.RUN_PARAMETERS
                if kind in query.parameters and kind not in declared
            ),
            description=_first_comment(text),
        )

    def _read(self, declaration: Declaration, what: str) -> str:
        path = self._root / str(declaration.sql_file)
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Invalid(
                "sql-file-unreadable",
                f"The SQL file {declaration.sql_file} of {what} cannot be read: {error}.",
                hint="Paths are relative to the project.",
                file=str(declaration.sql_file),
            ) from error

    def _after(
        self, name: str, one: object, declaration: Declaration, names: Mapping[int | str, str]
    ) -> str:
        return self._meant(f"Step {name}", one, declaration.place, names)

    def _meant(self, who: str, one: object, place: Place, names: Mapping[int | str, str]) -> str:
        """Give the name of the step meant by a name or by the declared thing itself."""
        declaration = declaration_of(one)
        name = names.get(one if isinstance(one, str) else id(declaration))
        if name is not None:
            return name
        close = suggestion(one, {*names.values()}) if isinstance(one, str) else None
        raise Invalid(
            "after-unknown-step",
            f"{who} ({place.within(self._root)}) names {one!r}, which is no step of the project.",
            hint=f"Did you mean {close}?" if close else None,
            named=str(one),
        )

    def _name(self, thing: Declaration | PipelineDeclaration | SinkDeclaration) -> str:
        given = thing.settings.name if isinstance(thing, Declaration) else thing.name
        if given is not None:
            return given
        bindings = self._bindings.get(id(thing), [])
        home = [binding for binding in bindings if binding.module.__name__ == thing.module]
        attributes = {binding.attribute: binding for binding in home or bindings}
        if not attributes:
            raise self._unnamed(thing)
        if len(attributes) > 1:
            one, other, *_ = attributes.values()
            raise Invalid(
                "step-bound-twice",
                f"What is declared at {self._place(thing)} has two names: {one.attribute} at "
                f"{self._line(one)} and {other.attribute} at {self._line(other)}.",
                hint=f'Keep one, or write name="{one.attribute}".',
                names=sorted(attributes),
            )
        return next(iter(attributes))

    def _unnamed(self, thing: Declaration | PipelineDeclaration | SinkDeclaration) -> HeadgateError:
        lost = (
            thing.function.__name__ if isinstance(thing, Declaration) and thing.function else None
        )
        again = next(
            (
                binding
                for module in self._modules
                if module.__name__ == thing.module and lost is not None and hasattr(module, lost)
                for binding in [_Binding(module, lost)]
            ),
            None,
        )
        if again is not None:
            return Invalid(
                "step-unnamed",
                f"The step {lost} declared at {self._place(thing)} is lost: {lost} is defined "
                f"again at {self._line(again)}.",
                hint="Rename one of the two, or take one away.",
            )
        return Invalid(
            "step-unnamed",
            f"What is declared at {self._place(thing)} has no name: no attribute of its module is "
            "bound to it.",
            hint='Write `flights = ...` at the top level of the file, or give name="flights".',
        )

    def _place(self, thing: Declaration | PipelineDeclaration | SinkDeclaration) -> Place:
        return thing.place.within(self._root)

    def _line(self, binding: _Binding) -> str:
        """Give the last line on which a module's top level binds the name."""
        file = inspect.getsourcefile(binding.module) or binding.module.__name__
        try:
            tree = ast.parse(Path(file).read_bytes())
        except (OSError, SyntaxError, ValueError):
            return binding.module.__name__
        lines = [n.lineno for n in tree.body if binding.attribute in _bound_names(n)]
        return str(Place(file, lines[-1] if lines else 1).within(self._root))


def _bound_names(node: ast.stmt) -> set[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {alias.asname or alias.name for alias in node.names}
    return {
        n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }


def _check_incremental(query: Query, declaration: Declaration, what: str) -> None:
    for table in declaration.incremental:
        if table not in query.tables:
            close = suggestion(table, query.tables)
            raise Invalid(
                "incremental-unknown-table",
                f"{what} wants {table} incrementally, and its query does not read it.",
                hint=f"Did you mean {close}?" if close else None,
                table=table,
            )


def _in_the_lakes_case(step: Step, tables: Sequence[str]) -> Step:
    """Take ``FLIGHTS`` in a query for the table flights: SQL does not tell them apart."""
    if step.sql is None or all(one.table in tables for one in step.inputs):
        return step
    renamed: dict[str, Input] = {}
    for one in step.inputs:
        same = [table for table in tables if table.casefold() == one.table.casefold()]
        table = same[0] if len(same) == 1 and one.table not in tables else one.table
        renamed.setdefault(table, replace(one, table=table))
    return replace(step, inputs=tuple(renamed.values()))


def _check_needs_no_table(name: str, place: Place, declaration: Declaration) -> None:
    """Refuse what only a table can have, for a function that is declared to return None."""
    settings = declaration.settings
    for what, given in (
        ("table=", settings.table),
        ("contract=", settings.contract),
        ("key=", settings.key),
        ("partition_by=", settings.partition_by),
        ("sort_by=", settings.sort_by),
        (f"mode={settings.mode!r}", settings.mode != "replace"),
    ):
        if given:
            raise Invalid(
                "step-without-table",
                f"Step {name} ({place}) returns None: it has no table, but has {what}.",
                hint=f"Return a table, or leave {what} away.",
                step=name,
            )


def _contract(
    step: str, place: Place, given: "AnyContract | None", root: Path
) -> ContractSpec | None:
    """Give a contract as a value, whatever it was written in."""
    if given is None:
        return None
    try:
        return named_contract(given, root) if isinstance(given, str) else contract_spec(given)
    except HeadgateError as error:
        if "line" not in error.facts:  # a file's mistakes begin with the file
            error.message = f"Step {step} ({place}): {error.message}"
        raise


def _first_line(doc: str | None) -> str:
    lines = inspect.cleandoc(doc).splitlines() if doc else ()
    return lines[0] if lines else ""


def _first_comment(sql: str) -> str:
    first = sql.lstrip().partition("\n")[0]
    return first[2:].strip() if first.startswith("--") else ""
