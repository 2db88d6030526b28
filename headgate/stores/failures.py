"""What a store answered, in our words: which object, which operation, what to do.

Clients' messages are never passed on whole: a refusal of a signature repeats what was signed, the
key's name among it. Only the status, the store's code and its one-line message are taken out.
"""

import re

from headgate.errors import HeadgateError, Refused, Unavailable

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([A-Za-z0-9.]{1,80})</Code>")
_MESSAGE = re.compile(r"<Message>([^<]{1,200})</Message>")
_RETRIES = re.compile(r"after (\d+) retries")
_MOST_RETRIES = re.compile(r"max_retries: (\d+)")
_NO_CONNECTION = "kind: Connect,"
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"}
_UNKNOWN_KEYS = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "InvalidSecurity"}
_ELSEWHERE = {
    "PermanentRedirect",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "TemporaryRedirect",
}
_ROLE = "169.254."
_UNREACHED = (
    ("dns error", "its host is not known"),
    ("ConnectionRefused", "nobody listens there"),
    ("TimedOut", "it did not answer in time"),
    ("timed out", "it did not answer in time"),
    ("operation timed out", "it did not answer in time"),
    ("certificate", "its certificate is not trusted"),
)
STORE_CODES = frozenset(
    {
        "access-denied",
        "bucket-missing",
        "credentials-expired",
        "credentials-missing",
        "credentials-unknown",
        "object-store-unavailable",
        "wrong-region",
    }
)
"""What `failed` gives."""
GO_ON = "Nothing is lost: go on with  headgate resume RUN  when it is mended."


def code_of(error: BaseException) -> str | None:
    """Give the store's own code, as in ``NoSuchBucket``."""
    found = _CODE.search(str(error))
    return found[1] if found else None


def status_of(error: BaseException) -> int | None:
    """Give the HTTP status the store answered with; None where it did not answer."""
    found = _STATUS.search(str(error))
    return int(found[1]) if found else None


def was_given_up(error: BaseException) -> bool:
    """Say whether the client repeated the request as often and as long as it was told to.

    It repeats refusals and connections that cannot be made, but not a request that broke off.
    """
    text = str(error)
    found = _RETRIES.search(text)
    if found is None or found[1] == "0":
        return False
    most = _MOST_RETRIES.search(text)
    return _NO_CONNECTION in text or most is None or int(found[1]) >= int(most[1])


def is_missing(error: BaseException) -> bool:
    """Say whether it is the object that is missing, and not the bucket."""
    return isinstance(error, FileNotFoundError) and code_of(error) != "NoSuchBucket"


def failed(  # noqa: PLR0911 - a table
    doing: str, url: str, error: BaseException, *, endpoint: str | None
) -> HeadgateError:
    """Give the error for an operation (``reading``, ``writing``, ...) that did not succeed.

    ``object-store-unavailable``, ``credentials-expired`` (Unavailable); ``access-denied``,
    ``credentials-unknown``, ``bucket-missing``, ``wrong-region`` (Refused).
    """
    text = str(error)
    code, status = code_of(error), status_of(error)
    bucket = url.partition("://")[2].partition("/")[0]
    facts = {"url": url, "operation": doing, "status": status, "store_code": code}
    readers = "Readers see what they saw before."
    if code in _EXPIRED:
        return Unavailable(
            "credentials-expired",
            f"The credentials expired while {doing} {url}.",
            readers=readers,
            hint=f"Sign in again. {GO_ON}",
            **facts,
        )
    if code in _UNKNOWN_KEYS or type(error).__name__ == "UnauthenticatedError":
        return Refused(
            "credentials-unknown",
            f"The store does not know the credentials: {code or status}, {doing} {url}.",
            readers=readers,
            hint="Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN or the"
            " profile, and that the endpoint is the one they belong to.",
            **facts,
        )
    if code == "NoSuchBucket":
        return Refused(
            "bucket-missing",
            f"There is no bucket {bucket!r} at {endpoint or 'AWS'}: {doing} {url}.",
            readers=readers,
            hint="Create the bucket, or mend lake.location, lake.endpoint or lake.region.",
            bucket=bucket,
            **facts,
        )
    if code in _ELSEWHERE or status in {301, 307} or "redirect without LOCATION" in text:
        return Refused(
            "wrong-region",
            f"Bucket {bucket!r} is in another region or at another endpoint: {doing} {url}.",
            readers=readers,
            hint="Set lake.region to the bucket's own.",
            bucket=bucket,
            **facts,
        )
    if _ROLE in text or ("Missing" in text and "credential" in text.lower()):
        return Refused(
            "credentials-missing",
            f"No credentials were found for {doing} {url}.",
            readers=readers,
            hint="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the"
            " machine a role.",
            **facts,
        )
    if status in {401, 403}:
        return Refused(
            "access-denied",
            f"The store refused {doing} {url}: {code or status}.",
            readers=readers,
            hint="The credentials need s3:GetObject, s3:PutObject, s3:DeleteObject and"
            f" s3:ListBucket on the lake's prefix. {GO_ON}",
            **facts,
        )
    return Unavailable(
        "object-store-unavailable",
        f"The object store failed {doing} {url}: {_reason(text, code, status)}{_after(text)}.",
        readers=readers,
        hint=GO_ON,
        **facts,
    )


def _reason(text: str, code: str | None, status: int | None) -> str:
    if status is not None:
        said = _MESSAGE.search(text)
        return " ".join(filter(None, (str(status), code, f"({said[1].strip()})" if said else "")))
    if "BadScheme" in text:
        return "its endpoint is http://, which is not allowed"
    why = next((words for mark, words in _UNREACHED if mark in text), "the connection broke")
    return f"{why}"


def _after(text: str) -> str:
    found = _RETRIES.search(text)
    return f", after {found[1]} retries" if found and found[1] != "0" else ""
