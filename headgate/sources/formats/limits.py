"""How large one record may be."""

from collections.abc import Mapping

from headgate.errors import Invalid

LARGEST_RECORD_BYTES = 64 * 1024 * 1024


def largest_record(options: Mapping[str, object]) -> int:
    """Give the limit in bytes.

    Raises:
        Invalid: ``bad-option``.
    """
    value = options.get("largest_record_bytes", LARGEST_RECORD_BYTES)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Invalid(
            "bad-option",
            f"largest_record_bytes is a number of bytes, not {value!r}.",
            option="largest_record_bytes",
        )
    return value


def too_large(place: str, largest_bytes: int) -> Invalid:
    """Give the error for a record that is longer than any may be."""
    return Invalid(
        "record-too-large",
        f"{place}: the record that begins here is longer than {largest_bytes:,} bytes.",
        hint="If it is meant, raise largest_record_bytes.",
        place=place,
        largest_record_bytes=largest_bytes,
    )
