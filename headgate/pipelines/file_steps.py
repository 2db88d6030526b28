"""Steps that read files of every kind. Declaring one does no input or output."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias, Unpack

from headgate.errors import Invalid
from headgate.pipelines.declared_steps import Declaration
from headgate.pipelines.source_steps import StepOptions, declare_source
from headgate.secrets import Secret

Format: TypeAlias = Literal[
    "avro", "csv", "excel", "html", "json", "ndjson", "orc", "parquet", "xml"
]


class FileOptions(StepOptions, total=False):
    """How files are reached, packed and written, and of the step; what is left out is told."""

    access_key_id: str | Secret
    account_key: str | Secret
    account_name: str
    allow_http: bool
    anonymous: bool
    attribute_prefix: str
    ca_file: str
    changed: Literal["refuse", "again"]
    columns: Sequence[str]
    comment: str
    compression: Literal["gzip", "bz2", "xz", "zstd", "none"]
    connection: str
    date_format: str
    decimal_separator: str
    delimiter: str
    encoding: str
    endpoint: str
    escape: str
    fields: Mapping[str, str | Sequence[str]]
    header: bool
    headers: Mapping[str, str | Secret]
    html_table: str | int
    largest_bytes: int
    largest_record_bytes: int
    lists: str | Sequence[str]
    member: str
    null: str | Sequence[str]
    quote: str
    range: str
    record: str
    records: str
    region: str
    sas_token: str | Secret
    secret_access_key: str | Secret
    select: str
    service_account: str | Secret
    session_token: str | Secret
    sheet: str | int
    skip: int
    timeout_s: float
    timestamp_format: str
    types: Mapping[str, str]


def files(
    *paths: str | Path,
    format: Format | None = None,  # noqa: A002 - the user's word
    **options: Unpack[FileOptions],
) -> Declaration:
    """Declare files as a step without inputs: ``flights = hg.files("data/flights*.csv")``.

    Args:
        paths: paths or patterns, relative to the project; URLs of ``s3://``, ``gs://``, ``az://``,
            ``https://``. A slash at the end means all below.
        format: what they hold; told from the names where it is left out.
        name: the step's name, where it is not the module attribute's.
        table: the table it writes, where it is not the step's name.
        contract: what the rows must satisfy; decides the columns' types.
        mode: ``replace`` reads all files whenever any changed; ``upsert`` reads the new and
            changed ones; ``append`` the new ones, and refuses changed ones.
        key: the columns rows are known by.
        after: steps that must be done first.
        partition_by: SQL expressions over the columns.
        sort_by: columns the written files are sorted by.
        retries: how often to try again after a failure.
        timeout: refused until steps can be killed.
        options: what ``docs/sources.md`` lists for each place, packing and format.

    Raises:
        Invalid: ``files-without-path``; and what ``hg.step`` raises.
    """
    if not paths:
        raise Invalid(
            "files-without-path", "files() names no file.", hint='Write hg.files("data/*.csv").'
        )
    chosen = {} if format is None else {"format": format}
    return declare_source("files", {"paths": tuple(str(path) for path in paths), **chosen}, options)
