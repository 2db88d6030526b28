"""Nesting: lists of records that become tables of their own, and what is left of the parents."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from headgate.errors import Invalid
from headgate.names import literal
from headgate.records.deciding import CARRIED, RECORD
from headgate.records.naming import are_fields
from headgate.records.nodes import Carrier, structure
from headgate.records.selecting import json_at, pointed
from headgate.records.shapes import NOTHING, Shape, merged

VALUE: Final = "value"
"""The column of an element that is no object."""


def place_of(shape: Shape, path: str, table: str) -> Shape:
    """Give the shape at a path of keys; nothing where no record has it.

    Raises:
        Invalid: ``nested-path``: the path leads through a list that is no table.
    """
    done = ""
    for key in path.split("."):
        if shape.element is not None:
            raise Invalid(
                "nested-path",
                f"nested= gives {path} a table, and {done} of {table} is a list.",
                hint=f"Give {done} a table, too.",
                path=path,
                table=table,
            )
        shape = shape.fields.get(key, NOTHING)
        done = f"{done}.{key}" if done else key
    return shape


def pruned(shape: Shape, path: str) -> Shape:
    """Give a shape without what is at a path."""
    key, _, rest = path.partition(".")
    inner = shape.fields.get(key)
    if inner is None:
        return shape
    fields = dict(shape.fields)
    if rest:
        fields[key] = pruned(inner, rest)
    else:
        del fields[key]
    return replace(shape, fields=fields)


def child_shape(shape: Shape) -> Shape:
    """Give the shape of the records that the elements of a list become.

    What is no list is its own only element; what is no object is the ``value`` of one.
    """
    alone = replace(shape, kinds=shape.kinds - {"list"}, element=None)
    each = merged(shape.element or NOTHING, alone)
    values = each.kinds - {"object"}
    fields = dict(each.fields)
    if values:
        value = Shape(values, element=each.element)
        fields[VALUE] = merged(fields.get(VALUE, NOTHING), value)
    return Shape(frozenset({"object"}), fields=fields, is_map=each.is_map)


def is_carried_whole(shape: Shape) -> bool:
    """Whether the elements at a place can be read out of the record they are in in one pass.

    Then all that is there is lists, and all that is in them objects, or nothing is.
    """
    each = shape.element
    if shape.kinds != {"list"} or each is None:
        return False
    if each.kinds == {"object"}:
        return not each.is_map and are_fields(each.fields)
    return "object" not in each.kinds


def unfolded(
    relation: str,
    path: str,
    what: Mapping[str, Carrier],
    *,
    beside: tuple[str, ...],
    of_values: bool,
) -> str:
    """Give what is carried of the elements at a path, read out of the records they are in.

    ``beside`` are the columns of the relation that go along. ``of_values``: the elements are no
    objects.
    """
    each: Carrier = (what.get(VALUE) if of_values else dict(what)) or "JSON"
    keys = path.split(".")
    whole: Carrier = [each]
    for key in reversed(keys):
        whole = {key: whole}
    found = f"from_json({RECORD}, {structure(whole)})"
    for key in keys:
        found = f"struct_extract({found}, {literal(key)})"
    item = f"struct_pack({VALUE} := _hg_each)" if of_values else "_hg_each"
    also = "".join(f"{column}, " for column in beside)
    return f"""(
select {also}_hg_index, NULL::varchar as _hg_outer, {item} as {CARRIED}
from (select {also}unnest(_hg_list) as _hg_each,
        generate_subscripts(_hg_list, 1) - 1 as _hg_index
      from (select {also}{found} as _hg_list from {relation})))
"""


def exploded(relation: str, path: str, *, is_deeper: bool) -> str:
    """Give the query of the elements at a path, one record each, under the record they are in."""
    found = json_at("_hg_record", "".join(f"/{pointed(key)}" for key in path.split(".")))
    outer = "concat_ws('.', _hg_outer, _hg_index)" if is_deeper else "NULL::varchar"
    listed = (
        "case coalesce(json_type(_hg_found), 'NULL') when 'NULL' then NULL "
        "when 'ARRAY' then from_json(_hg_found, '[\"JSON\"]') else [_hg_found] end"
    )
    return f"""
select _hg_row, _hg_root,
  concat_ws(', ', _hg_position, {literal(path + " ")} || (_hg_number + 1)) as _hg_position,
  case when json_type(_hg_each) = 'OBJECT' then cast(_hg_each as varchar)
       else cast(json_object({literal(VALUE)}, _hg_each) as varchar) end as _hg_record,
  false as _hg_single, NULL::varchar as _hg_fault, _hg_number as _hg_index, _hg_above as _hg_outer
from (
  select _hg_row, _hg_root, _hg_position, unnest(_hg_list) as _hg_each,
    generate_subscripts(_hg_list, 1) - 1 as _hg_number, _hg_above
  from (select _hg_row, _hg_root, _hg_position, {listed} as _hg_list, {outer} as _hg_above
        from (select *, {found} as _hg_found from {relation})))
"""
