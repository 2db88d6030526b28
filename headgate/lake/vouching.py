"""Whether certificates vouch for the commits that say something else than when they were made."""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from headgate.digests import digest_json
from headgate.errors import Corrupt
from headgate.lake.entries import Entry, blob_key

CERTIFICATES = blob_key("erasures/")


class _Certificate(msgspec.Struct, frozen=True):
    """What is compared of a certificate."""

    at: str
    digest: str
    commits: dict[str, str]


def unvouched(erased: Mapping[str, str], certificates: Iterable[Entry]) -> Iterator[Corrupt]:
    """Give the erased commits (id to digest) for which no certificate vouches.

    The newest certificate that names a commit decides; one that is not what was written is none.
    """
    found: dict[str, tuple[str, str]] = {}
    for entry in certificates:
        certificate = _read(entry)
        for id, now in certificate.commits.items() if certificate is not None else ():
            found[id] = max(found.get(id, ("", "")), (certificate.at if certificate else "", now))
    for id, now in erased.items():
        if found.get(id, ("", ""))[1] != now:
            yield Corrupt(
                "erased-without-certificate",
                f"Commit {id} says something else than its id, and no certificate of an erasure "
                "vouches for it.",
                hint="Restore the metastore's backup.",
                commit=id,
            )


def _read(entry: Entry) -> _Certificate | None:
    try:
        body = msgspec.json.decode(entry.data or "", type=dict[str, object])
        certificate = msgspec.convert(body, _Certificate)
    except msgspec.MsgspecError:
        return None
    told = {name: value for name, value in body.items() if name != "digest"}
    if not digest_json(told) == certificate.digest == entry.content:
        return None
    return certificate
