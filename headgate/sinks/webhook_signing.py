"""Signatures of webhooks: Standard Webhooks 1.0, "Symmetric signatures" (v1, HMAC-SHA256).

What is signed is ``<id>.<timestamp>.<body>``: a body cannot be changed, nor sent again later under
another time.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from headgate.errors import Invalid

PREFIX: Final = "whsec_"
_FEWEST_BYTES: Final = 24
_MOST_BYTES: Final = 64


def signing_key(text: str, sink: str) -> bytes:
    """Give the key of a secret like ``whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw``.

    Raises:
        Invalid: ``bad-signing-secret``; the text is not repeated.
    """
    encoded = text.strip().removeprefix(PREFIX)
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not _FEWEST_BYTES <= len(key) <= _MOST_BYTES:
        raise Invalid(
            "bad-signing-secret",
            f"The signing secret of the sink {sink} is not {_FEWEST_BYTES} to {_MOST_BYTES} bytes "
            "in base64.",
            hint='Make one:  python -c "import base64, os; '
            "print('whsec_' + base64.b64encode(os.urandom(32)).decode())\"",
            sink=sink,
        )
    return key


def signed_headers(
    keys: Sequence[bytes], *, id: str, sent: datetime, body: bytes
) -> dict[str, str]:
    """Give the headers of a message; signed with every key, so that keys can be changed over."""
    timestamp = str(int(sent.timestamp()))
    headers = {"webhook-id": id, "webhook-timestamp": timestamp}
    if keys:
        signed = f"{id}.{timestamp}.".encode() + body
        digests = (hmac.new(key, signed, hashlib.sha256).digest() for key in keys)
        headers["webhook-signature"] = " ".join(
            f"v1,{base64.b64encode(each).decode()}" for each in digests
        )
    return headers
