"""Columns and partitions as PyIceberg's schemas and specs, and back."""

from collections.abc import Mapping, Sequence

from pyiceberg.partitioning import PartitionField as IcebergPartitionField
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.sorting import (
    UNSORTED_SORT_ORDER,
    NullOrder,
    SortDirection,
    SortField,
    SortOrder,
)
from pyiceberg.transforms import IdentityTransform, parse_transform
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    FixedType,
    FloatType,
    IcebergType,
    IntegerType,
    ListType,
    LongType,
    MapType,
    NestedField,
    PrimitiveType,
    StringType,
    StructType,
    TimestampType,
    TimestamptzType,
    TimeType,
    UUIDType,
)

from headgate.lake.column_types import (
    Field,
    ListOf,
    MapOf,
    StructOf,
    Type,
    decimal_digits,
    parse,
    text,
)
from headgate.lake.operations import Column
from headgate.lake.partitions import PartitionField

FIRST_PARTITION_ID = 1000

_PRIMITIVES: Mapping[str, PrimitiveType] = {
    "boolean": BooleanType(),
    "int": IntegerType(),
    "long": LongType(),
    "float": FloatType(),
    "double": DoubleType(),
    "string": StringType(),
    "binary": BinaryType(),
    "date": DateType(),
    "time": TimeType(),
    "timestamp": TimestampType(),
    "timestamptz": TimestamptzType(),
    "uuid": UUIDType(),
}


def iceberg_schema(columns: Sequence[Column], schema_id: int) -> Schema:
    """Give columns as PyIceberg's schema; every field optional but map keys."""
    return Schema(
        *(
            NestedField(
                field_id=column.id,
                name=column.name,
                field_type=_iceberg_type(parse(column.type)),
                required=False,
            )
            for column in columns
        ),
        schema_id=schema_id,
    )


def columns_of(schema: Schema) -> tuple[Column, ...]:
    """Give the columns of PyIceberg's schema."""
    return tuple(
        Column(name=field.name, type=text(_type(field.field_type)), id=field.field_id)
        for field in schema.fields
    )


def partition_spec(fields: Sequence[PartitionField], columns: Sequence[Column]) -> PartitionSpec:
    """Give a table's partition spec: the only one it has, numbered 0."""
    ids = {column.name: column.id for column in columns}
    return PartitionSpec(
        *(
            IcebergPartitionField(
                source_id=ids[field.column],
                field_id=FIRST_PARTITION_ID + number,
                transform=parse_transform(field.iceberg_transform),
                name=field.name,
            )
            for number, field in enumerate(fields)
        ),
        spec_id=0,
    )


def sort_order(sort_by: Sequence[str], columns: Sequence[Column]) -> SortOrder:
    """Give a table's sort order: columns, ascending, NULL last."""
    if not sort_by:
        return UNSORTED_SORT_ORDER
    ids = {column.name: column.id for column in columns}
    fields = (
        SortField(
            source_id=ids[name],
            transform=IdentityTransform(),
            direction=SortDirection.ASC,
            null_order=NullOrder.NULLS_LAST,
        )
        for name in sort_by
    )
    return SortOrder(*fields, order_id=1)


def _iceberg_type(type_: Type) -> IcebergType:
    match type_:
        case str():
            return _primitive(type_)
        case ListOf(element, element_id):
            return ListType(
                element_id=element_id, element_type=_iceberg_type(element), element_required=False
            )
        case MapOf(key, value, key_id, value_id):
            return MapType(
                key_id=key_id,
                key_type=_iceberg_type(key),
                value_id=value_id,
                value_type=_iceberg_type(value),
                value_required=False,
            )
        case StructOf(fields):
            return StructType(
                *(
                    NestedField(
                        field_id=f.id,
                        name=f.name,
                        field_type=_iceberg_type(f.type),
                        required=False,
                    )
                    for f in fields
                )
            )


def _primitive(type_: str) -> PrimitiveType:
    known = _PRIMITIVES.get(type_)
    if known is not None:
        return known
    if digits := decimal_digits(type_):
        return DecimalType(*digits)
    return FixedType(int(type_.removeprefix("fixed[").removesuffix("]")))


def _type(type_: IcebergType) -> Type:
    match type_:
        case ListType():
            return ListOf(_type(type_.element_type), type_.element_id)
        case MapType():
            return MapOf(
                _type(type_.key_type), _type(type_.value_type), type_.key_id, type_.value_id
            )
        case StructType():
            return StructOf(
                tuple(Field(f.name, _type(f.field_type), f.field_id) for f in type_.fields)
            )
        case _:
            return str(type_)
