"""Credentials as AWS's own tools find them: the environment first, then a profile of its files.

Roles of machines and containers are not asked here: the clients do that themselves, and renew what
they got.
"""

import configparser
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from headgate.errors import Invalid
from headgate.stores.options import Credentials, StoreOptions

_ROLES = (
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)


def found_credentials(options: StoreOptions, environment: Mapping[str, str]) -> StoreOptions:
    """Give the options with what they leave open filled in from AWS's variables and files.

    Raises:
        Invalid: ``credentials-incomplete``; ``profile-unusable``, for a profile that was named.
    """
    named = environment.get("AWS_PROFILE") or environment.get("AWS_DEFAULT_PROFILE")
    profile = _profile(named or "default", environment, named=named is not None)
    endpoint = (
        options.endpoint
        or environment.get("AWS_ENDPOINT_URL_S3")
        or environment.get("AWS_ENDPOINT_URL")
        or profile.get("endpoint_url")
    )
    region = (
        options.region
        or environment.get("AWS_REGION")
        or environment.get("AWS_DEFAULT_REGION")
        or profile.get("region")
    )
    found = options.credentials or _of_environment(environment)
    if found is None and (named is not None or not any(environment.get(r) for r in _ROLES)):
        found = _of_profile(profile, named)
    return replace(options, endpoint=endpoint, region=region, credentials=found)


def _of_environment(environment: Mapping[str, str]) -> Credentials | None:
    key, secret = environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY")
    if not key and not secret:
        return None
    if not key or not secret:
        lacking = "AWS_ACCESS_KEY_ID" if not key else "AWS_SECRET_ACCESS_KEY"
        raise Invalid(
            "credentials-incomplete",
            f"The environment has only half of the credentials: {lacking} is not set.",
            hint=f"Set {lacking}, too, or unset both.",
            variable=lacking,
        )
    return Credentials(
        access_key_id=key,
        secret_access_key=secret,
        session_token=environment.get("AWS_SESSION_TOKEN") or None,
    )


def _of_profile(profile: Mapping[str, str], named: str | None) -> Credentials | None:
    key, secret = profile.get("aws_access_key_id"), profile.get("aws_secret_access_key")
    if key and secret:
        return Credentials(
            access_key_id=key,
            secret_access_key=secret,
            session_token=profile.get("aws_session_token"),
        )
    if named is not None:
        raise Invalid(
            "profile-unusable",
            f"The AWS profile {named!r} holds no access key: it signs in by other means.",
            hint=f"Sign in, and pass the keys on:"
            f'  eval "$(aws configure export-credentials --profile {named} --format env)"',
            profile=named,
        )
    return None


def _profile(name: str, environment: Mapping[str, str], *, named: bool) -> Mapping[str, str]:
    home = Path(environment.get("HOME") or environment.get("USERPROFILE") or "/nonexistent")
    places = (
        (Path(environment.get("AWS_CONFIG_FILE") or home / ".aws/config"), f"profile {name}"),
        (Path(environment.get("AWS_SHARED_CREDENTIALS_FILE") or home / ".aws/credentials"), name),
    )
    found: dict[str, str] = {}
    known = False
    for place, section in places:
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            parser.read(place.expanduser(), encoding="utf-8")
        except (configparser.Error, OSError, UnicodeError) as error:
            if not named:
                continue  # nobody asked for this file
            raise _unusable(name, f"{place} cannot be read") from error
        for each in (section, name):
            if parser.has_section(each):
                known = True
                found.update(parser.items(each))
                break
    if named and not known:
        raise _unusable(name, "AWS's files hold no such profile")
    return found


def _unusable(name: str, why: str) -> Invalid:
    return Invalid(
        "profile-unusable",
        f"The AWS profile {name!r} cannot be used: {why}.",
        hint="Name another in AWS_PROFILE, or unset it.",
        profile=name,
    )
