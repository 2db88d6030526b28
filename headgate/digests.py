"""Content hashes: equal content, equal digest, on every machine and in every version."""

import hashlib
import json
from pathlib import Path

DIGEST_BYTES = 20
_CHUNK_BYTES = 1 << 20


def canonical_json(value: object) -> bytes:
    """Give the one JSON text of a value: sorted keys, no spaces, no NaN.

    Raises:
        ValueError, TypeError: the value has no canonical JSON (NaN, unknown types).
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def digest(*parts: bytes | str) -> str:
    """Give the hex digest of the parts; ``("ab", "c")`` and ``("a", "bc")`` differ."""
    hasher = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        hasher.update(len(raw).to_bytes(8, "big"))
        hasher.update(raw)
    return hasher.hexdigest()


def digest_json(value: object) -> str:
    """Give the digest of a value's canonical JSON."""
    return digest(canonical_json(value))


def file_checksum(path: str | Path) -> str:
    """Give ``sha256:<hex>`` of a file's bytes. Costs one read of the file; releases the GIL."""
    hasher = hashlib.sha256()
    with Path(path).open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK_BYTES):
            hasher.update(chunk)
    return f"sha256:{hasher.hexdigest()}"
