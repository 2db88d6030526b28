"""What can be set: ``KEYS`` is the whole list, which a test compares with ``docs/settings.md``."""

from collections.abc import Callable
from dataclasses import dataclass

from headgate.project.setting_values import (
    as_bool,
    as_list,
    as_number,
    as_text,
    branch,
    count,
    isolation,
    names,
    paths,
    size,
    step,
    text,
    tries,
    yes_or_no,
)
from headgate.project.settings import COMPACT_AFTER
from headgate.project.spans import span


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One setting: its name in the file, the field of Settings it fills, and what the page says."""

    name: str
    field: str
    default: str
    meaning: str
    parse: Callable[[object], object]
    from_text: Callable[[str], object] = as_text
    is_secret: bool = False

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return "HEADGATE_" + self.name.upper().replace(".", "_")


KEYS = (
    Key(
        name="project.name",
        field="name",
        default="the directory's name",
        meaning="What the project calls itself in messages and records.",
        parse=step,
    ),
    Key(
        name="project.pipelines",
        field="pipelines",
        default='"auto"',
        meaning="Files and directories that declare pipelines, relative to the project. "
        '"auto" takes every `.py` beside `headgate.toml` that imports headgate, tests left out.',
        parse=paths,
        from_text=as_list,
    ),
    Key(
        name="lake.location",
        field="lake",
        default='"lake"',
        meaning="The lake's directory, relative to the project, or absolute; or a place in an "
        "object store: `s3://BUCKET/PREFIX`.",
        parse=text,
    ),
    Key(
        name="lake.metastore",
        field="metastore",
        default="in the lake's directory",
        meaning="The lake's database: `postgresql://USER@HOST/DATABASE?schema=NAME`, or a file on "
        "a local disk, relative to the project. A lake in an object store needs one. Passwords: "
        "`PGPASSWORD`, `~/.pgpass`, or within the URL.",
        parse=text,
        is_secret=True,
    ),
    Key(
        name="lake.endpoint",
        field="endpoint",
        default="AWS's own",
        meaning="The URL of the object store's server, where it is not AWS's.",
        parse=text,
    ),
    Key(
        name="lake.region",
        field="region",
        default="as AWS's tools find it",
        meaning="The region of the lake's bucket.",
        parse=text,
    ),
    Key(
        name="lake.allow_http",
        field="allow_http",
        default="false",
        meaning="Whether the endpoint may be `http://`: what is sent can be read on the way.",
        parse=yes_or_no,
        from_text=as_bool,
    ),
    Key(
        name="lake.target",
        field="target",
        default='"main"',
        meaning="The branch that runs publish to and that readers see unless they name a ref.",
        parse=branch,
    ),
    Key(
        name="lake.compact_after",
        field="compact_after",
        default=str(COMPACT_AFTER),
        meaning="With how many small files of about one size a partition of a table is compacted, "
        "behind the publication that makes them so many. 0: only by hand.",
        parse=tries,
        from_text=as_number,
    ),
    Key(
        name="lake.retention.history",
        field="history",
        default='"30d"',
        meaning="How long what readers of a branch saw is kept: `main@{...}`, and what can be "
        "reverted. Older commits keep their record and lose their tables to `headgate gc`.",
        parse=span,
    ),
    Key(
        name="lake.retention.unfinished",
        field="unfinished",
        default='"14d"',
        meaning="How long an unfinished or abandoned run is kept without a sign of life.",
        parse=span,
    ),
    Key(
        name="lake.retention.grace",
        field="grace",
        default='"7d"',
        meaning="How long what nothing holds stays marked before `headgate gc` deletes it.",
        parse=span,
    ),
    Key(
        name="engine.name",
        field="engine",
        default='"duckdb"',
        meaning="The engine that computes SQL steps, checks and queries.",
        parse=text,
    ),
    Key(
        name="engine.memory",
        field="memory",
        default='"60%"',
        meaning='What all processes of the project on this machine may take together: "4GB", or a '
        "share of what the machine or its container has.",
        parse=size,
    ),
    Key(
        name="engine.memory_limit",
        field="memory_limit",
        default="a part of `engine.memory`",
        meaning="The most memory the engine of one process may take, whatever `engine.memory` "
        'says: "4GB", or "60%" of the machine.',
        parse=size,
    ),
    Key(
        name="engine.threads",
        field="threads",
        default="every core",
        meaning="How many threads the engine may use.",
        parse=count,
        from_text=as_number,
    ),
    Key(
        name="engine.temp_directory",
        field="temp_directory",
        default='"spill" in the cache',
        meaning="Where the engine spills what does not fit into memory; relative to the project. "
        "Each process has a directory of its own in it, which goes with it.",
        parse=text,
    ),
    Key(
        name="run.isolation",
        field="isolation",
        default='"serializable"',
        meaning="What a run is protected from: `serializable`, `snapshot-isolation` or `fresh`.",
        parse=isolation,
    ),
    Key(
        name="run.retries",
        field="retries",
        default="0",
        meaning="How often a step is tried again when the outside world did not answer.",
        parse=tries,
        from_text=as_number,
    ),
    Key(
        name="run.workers",
        field="workers",
        default="every core",
        meaning="How many steps of one run may work at the same time.",
        parse=count,
        from_text=as_number,
    ),
    Key(
        name="run.cache",
        field="cache",
        default='".headgate/cache"',
        meaning="Where parsed SQL is remembered, and what does not fit into memory is spilled. May "
        "be deleted when nothing runs.",
        parse=text,
    ),
    Key(
        name="secrets.providers",
        field="secret_providers",
        default='["environment", "directory"], and those that have a table `[secrets.NAME]`',
        meaning="Who is asked for secrets, in this order: `environment`, `directory`, `env-file`, "
        "`keyring`, or what an installed package provides.",
        parse=names,
        from_text=as_list,
    ),
)
BY_NAME = {key.name: key for key in KEYS}
SECTIONS = tuple(dict.fromkeys(key.name.partition(".")[0] for key in KEYS))
