"""What a contract declares and nothing that came in has: a typo in one of them, or a field gone.

Columns of files are there or not, and a missing one is refused before rows flow. Records have no
header: a field that all of them lack is NULL in every row, and nothing else would tell.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from headgate.contracts import ContractSpec, arrow_schema
from headgate.errors import Invalid
from headgate.filesets import NativeFiles
from headgate.names import suggestion
from headgate.records import Shape
from headgate.runs.outputs import Output, Target

MANY: Final = 100
"""Fewer records that come to others may all lack an optional field by chance."""

_SHOWN: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking:
    """A declared field that nothing has: its path in the source, and what is there instead.

    ``refused_by`` is the check of a whole column that lets no NULL in.
    """

    path: str
    near: str | None
    refused_by: str | None = None

    def __str__(self) -> str:
        return self.path + (f" (there is {self.near})" if self.near else "")


def lacking_fields(spec: ContractSpec, shape: Shape) -> tuple[Lacking, ...]:
    """Give the declared columns, and fields within them, that no record of a shape has."""
    if shape.is_map:
        return ()
    found: list[Lacking] = []
    declared = {column.source.casefold() for column in spec.columns}
    required = spec.required
    keys = {key.casefold(): key for key in shape.fields} | {key: key for key in shape.fields}
    kinds = arrow_schema(spec)
    for column in spec.columns:
        key = keys.get(column.source) or keys.get(column.source.casefold())
        if key is not None:
            kind = kinds.field(column.name).type
            found += _within(kind, shape.fields[key], column.source)
            continue
        near = _near(column.source, shape, declared)
        check = required.get(column.name)
        found.append(Lacking(path=column.source, near=near, refused_by=check))
    return tuple(found)


def _within(kind: pa.DataType, shape: Shape, path: str) -> Iterator[Lacking]:
    """Give the fields of a declared type that no value of a shape has."""
    if pa.types.is_list(kind) and shape.element is not None:
        yield from _within(kind.value_type, shape.element, f"{path}[]")
    if not pa.types.is_struct(kind) or shape.is_map or not shape.fields:
        return
    declared = {field.name.casefold() for field in kind}
    for field in kind:
        if field.name in shape.fields:
            yield from _within(field.type, shape.fields[field.name], f"{path}.{field.name}")
        else:
            near = _near(field.name, shape, declared)
            yield Lacking(path=f"{path}.{field.name}", near=near and f"{path}.{near}")


def _near(name: str, shape: Shape, declared: set[str]) -> str | None:
    return suggestion(name, (key for key in shape.fields if key.casefold() not in declared))


def told_of_lacking(
    target: Target, output: Output, lacking: tuple[Lacking, ...], *, is_new: bool
) -> Output:
    """Give an output that tells which declared fields no record had.

    Where few records came to others (``is_new`` is false), only what may be a slip is told: an
    optional field is often absent.

    Raises:
        Invalid: ``contract-raw-columns``: rows were accepted that would all break the contract.
    """
    required = [each for each in lacking if output.violations.get(each.refused_by or "")]
    if required and target.spec is not None:
        problems = [f"{each.path} is missing" + str(each)[len(each.path) :] for each in required]
        raise Invalid(
            "contract-raw-columns",
            f"The records that came in are not those of contract {target.spec.name}: "
            f"{'; '.join(problems)}.",
            hint="Mend the source, or say in the contract what it is: hg.column(...) names a "
            "column where it comes from, and '| None' lets it be absent.",
            table=target.table,
            problems=problems,
        )
    everything = is_new or output.rows_in >= MANY
    told = [each for each in lacking if everything or each.near is not None]
    if not told or target.replayed is not None or not output.rows_in:
        return output
    names = ", ".join(map(str, told[:_SHOWN]))
    more = f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    note = f"{target.table}: no record has {names}{more}, so NULL stands there."
    return replace(output, notes=(*output.notes, note))


def refuse_lacking_columns(spec: ContractSpec, files: NativeFiles) -> tuple[str, ...]:
    """Refuse files without a column that the contract wants; say which lack one that may be NULL.

    Files of one read may differ in their columns; a column that all of them lack is refused
    elsewhere.

    Raises:
        Invalid: ``contract-raw-columns``.
    """
    if all(part.format == "parquet" for part in files.parts):
        return lacking_in_batches(spec, _parquet_layouts(files)) if len(files.paths) > 1 else ()
    parts = [(part, _columns(part)) for part in files.parts]
    everywhere = {name.casefold() for _, names in parts for name in names}
    problems: list[str] = []
    notes: list[str] = []
    for part, names in parts:
        here = {name.casefold() for name in names}
        for each in lacking_fields(spec, _shape_of(names)) if names else ():
            if each.path.casefold() in here or each.path.casefold() not in everywhere:
                continue
            paths = [part.shown.get(path, path) for path in part.paths]
            more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
            where = f"{paths[0]}{more}"
            if each.refused_by is not None:
                problems.append(f"{each} is missing in {where}")
            elif each.near is not None:
                notes.append(f"{where}: no column {each}, so NULL stands there.")
    if problems:
        raise Invalid(
            "contract-raw-columns",
            f"The columns that came in are not those of contract {spec.name}: "
            f"{'; '.join(problems)}.",
            hint="Mend the files, or say in the contract that the column may be NULL.",
            problems=problems,
        )
    return tuple(notes)


def lacking_in_batches(
    spec: ContractSpec, layouts: Mapping[tuple[str, ...], str]
) -> tuple[str, ...]:
    """Say which batches lack a column that others have, and have one that comes near it."""
    everywhere = {name.casefold() for names in layouts for name in names}
    return tuple(
        f"{place}: no column {each}, so NULL stands there."
        for names, place in layouts.items()
        for each in lacking_fields(spec, _shape_of(names))
        if each.near is not None and each.path.casefold() in everywhere
    )


def _parquet_layouts(files: NativeFiles) -> Mapping[tuple[str, ...], str]:
    """Give the columns that files have, each with the first file that has just these."""
    layouts: dict[tuple[str, ...], str] = {}
    for path in files.paths:
        names = tuple(pq.read_schema(path).names)
        layouts.setdefault(names, files.shown.get(path, path))
    return layouts


def _shape_of(names: Iterable[str]) -> Shape:
    return Shape(frozenset({"object"}), fields=dict.fromkeys(names, Shape()))


def _columns(part: NativeFiles) -> Mapping[str, str]:
    return dict(part.options.get("columns") or {})  # type: ignore[call-overload, no-any-return]
