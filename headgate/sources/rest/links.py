"""The ``Link`` header (RFC 8288)."""

import re
from typing import Final

_TARGET: Final = re.compile(r"\s*<([^>]*)>")
_PARAMETER: Final = re.compile(
    r'\s*;\s*([!#$&+.^`|~\w-]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*)))?'
)
_ESCAPE: Final = re.compile(r"\\(.)")


def link_to(header: str, relation: str) -> str | None:
    """Give the first target of that relation; None where the header has none.

    Relations may be several in one parameter and are compared without case; only the first ``rel``
    of a link counts, as the RFC has it. What cannot be read is passed over up to the next link.
    """
    at = 0
    while at < len(header):
        target = _TARGET.match(header, at)
        if target is None:
            comma = header.find(",", at)
            if comma < 0:
                return None
            at = comma + 1
            continue
        at = target.end()
        relations: list[str] | None = None
        while (found := _PARAMETER.match(header, at)) is not None:
            at = found.end()
            if found[1].lower() == "rel" and relations is None:
                quoted = found[2]
                value = _ESCAPE.sub(r"\1", quoted) if quoted is not None else found[3] or ""
                relations = value.lower().split()
        if relations is not None and relation in relations:
            return target[1].strip()
        comma = header.find(",", at)
        if comma < 0:
            return None
        at = comma + 1
    return None
