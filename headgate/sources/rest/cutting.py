"""Cutting records out of a body: each as it is written, none of them parsed."""

from collections.abc import Iterator, Mapping

import msgspec

from headgate.errors import Invalid, NotFound
from headgate.sources.rest.paths import (
    ANY,
    Path,
    elements,
    found,
    is_list,
    is_null,
    names_of_lists,
    path_of,
    written,
)


def cut_out(
    body: bytes, records: Path | None, where: str, *, paged: bool
) -> tuple[msgspec.Raw, ...]:
    """Give the records at a path. A list is its elements, an object one record, null none.

    Without a path the body is the list; only where there are no further pages (not ``paged``) it
    may be one record.

    Raises:
        NotFound: ``records-missing``; it names what is there instead.
        msgspec.DecodeError: it is no JSON.
    """
    if records is None:
        if paged and not is_list(body):
            raise _missing(where, None, names_of_lists(body), "The body is no list")
        at: tuple[msgspec.Raw | bytes, ...] = (body,)
    else:
        try:
            at = tuple(found(body, records))
        except KeyError as error:
            names = error.args[0] if isinstance(error.args[0], tuple) else ()
            said = f"There is nothing at {written(records)!r}"
            raise _missing(where, records, names, said) from error
    cut: list[msgspec.Raw] = []
    each_is_one = records is not None and records[-1:] == (ANY,)
    for each in at:
        if is_list(each) and not each_is_one:
            cut.extend(elements(each))
        elif not is_null(each):
            cut.append(each if isinstance(each, msgspec.Raw) else msgspec.Raw(each))
    return tuple(cut)


def page_records(
    page: Mapping[str, object], records: str | None = None
) -> Iterator[dict[str, object]]:
    """Give the records of a page that was kept (``hg.rest(..., keep_pages=True)``).

    A step may do so as often as it likes, without asking the API again.

    Args:
        page: a row of the kept pages: its ``body`` is read, its ``position`` named in errors.
        records: the path to the records in the body, as in ``hg.rest``.

    Raises:
        Invalid: ``not-json``; ``not-an-object``: a record is no JSON object.
        NotFound: ``records-missing``.
    """
    body, where = page["body"], str(page.get("position") or "the page")
    content = body if isinstance(body, bytes) else str(body).encode()
    path = None if records is None else path_of(records)
    try:
        for number, record in enumerate(cut_out(content, path, where, paged=False), 1):
            value: object = msgspec.json.decode(record)
            if not isinstance(value, dict):
                raise Invalid(
                    "not-an-object",
                    f"{where}, record {number} is no JSON object.",
                    hint="Name the path of objects: records=.",
                    position=f"{where}, record {number}",
                )
            yield value
    except (msgspec.DecodeError, RecursionError) as error:
        raise Invalid("not-json", f"{where} is no JSON: {error}.", position=where) from error


def _missing(where: str, path: Path | None, names: tuple[str, ...], said: str) -> NotFound:
    listed = ", ".join(sorted(names)[:20])
    return NotFound(
        "records-missing",
        f"{said} in the answer of {where}; it has {listed or 'no names'}.",
        hint=f'Say where the records are: records="{min(names)}".'
        if names
        else "Say where the records are: records=.",
        url=where,
        path=None if path is None else written(path),
    )
