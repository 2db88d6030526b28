"""How large one record may be."""

from headgate.errors import Invalid


def too_large(place: str, largest_bytes: int) -> Invalid:
    """Give the error for a record that is longer than any may be."""
    return Invalid(
        "record-too-large",
        f"{place}: the record that begins here is longer than {largest_bytes:,} bytes.",
        hint="If it is meant, raise largest_record_bytes.",
        place=place,
        largest_record_bytes=largest_bytes,
    )
