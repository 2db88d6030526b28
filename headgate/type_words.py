"""Arrow types in the words of contracts and tables: ``long``, ``date``, ``list<string>``."""

import pyarrow as pa

_PLAIN = {
    pa.string(): "string",
    pa.bool_(): "boolean",
    pa.date32(): "date",
    pa.time64("us"): "time",
    pa.binary(): "binary",
}


def type_words(kind: pa.DataType) -> str:  # noqa: PLR0911 - a table of types
    """Give the text of an Arrow type; what has no word here comes as Arrow calls it."""
    types = pa.types
    if types.is_dictionary(kind):
        return type_words(kind.value_type)
    if types.is_large_string(kind) or types.is_string_view(kind):
        return "string"
    if types.is_large_binary(kind) or types.is_binary_view(kind):
        return "binary"
    if types.is_integer(kind):
        return "int" if kind.bit_width < 64 and kind != pa.uint32() else "long"  # noqa: PLR2004
    if types.is_floating(kind):
        return "double" if kind.bit_width == 64 else "float"  # noqa: PLR2004
    if types.is_decimal(kind):
        return f"decimal({kind.precision}, {kind.scale})"
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return f"list<{type_words(kind.value_type)}>"
    if types.is_struct(kind):
        return f"struct<{', '.join(f'{f.name}: {type_words(f.type)}' for f in kind)}>"
    if types.is_map(kind):
        return f"map<{type_words(kind.key_type)}, {type_words(kind.item_type)}>"
    if types.is_timestamp(kind):
        return "timestamptz" if kind.tz is not None else "timestamp"
    return _PLAIN.get(kind, str(kind))
