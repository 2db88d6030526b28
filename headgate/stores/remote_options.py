"""Options by which a user says how to reach somebody's bucket, for sources and sinks alike."""

from collections.abc import Callable, Mapping

from headgate.secrets import Secret

_NAMES: Mapping[str, Mapping[str, str]] = {
    "s3": {
        "access_key_id": "access_key_id",
        "region": "region",
        "secret_access_key": "secret_access_key",
        "session_token": "session_token",
    },
    "gs": {"service_account": "service_account_key"},
    "az": {
        "account_key": "account_key",
        "account_name": "account_name",
        "sas_token": "sas_key",
    },
}
REMOTE_OPTIONS = frozenset(
    {"allow_http", "anonymous", "endpoint"} | {name for each in _NAMES.values() for name in each}
)


def remote_config(
    scheme: str, options: Mapping[str, object], reveal: Callable[[str | Secret], str]
) -> dict[str, str | bool]:
    """Give obstore's settings for what was said; it finds the rest in the environment."""
    known = _NAMES[scheme]
    config: dict[str, str | bool] = {
        known[name]: reveal(value if isinstance(value, Secret) else str(value))
        for name, value in options.items()
        if name in known and value is not None
    }
    if options.get("anonymous"):
        config["skip_signature"] = True
    if scheme == "s3":
        config["virtual_hosted_style_request"] = False
    return config
