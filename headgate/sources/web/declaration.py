"""What is declared of web pages, as one frozen value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from headgate.http import USER_AGENT, Bounds, origin
from headgate.retrying import Retry
from headgate.secrets import Secret, with_secrets
from headgate.sources.options import Options, bad, retry_of

KIND: Final = "pages"


@dataclass(frozen=True, slots=True, kw_only=True)
class Follow:
    """Which links lead to more pages: those that ``select`` finds, ``depth`` steps far, to
    ``hosts``, to ``most`` pages in all.
    """  # noqa: D205 - one sentence

    select: str
    depth: int
    hosts: frozenset[str]
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WebPages:
    """Pages, and what of them are records: the options of ``HtmlQuery``, read where they count."""

    urls: tuple[str, ...]
    query: Mapping[str, object]
    follow: Follow | None = None
    robots: bool = True
    delay: timedelta = timedelta(seconds=1)
    user_agent: str = USER_AGENT
    headers: Mapping[str, str | Secret] = field(default_factory=dict)
    trusted: frozenset[str] = frozenset()
    changed: str = "refuse"
    keep_pages: bool = False
    batch_rows: int = 5_000
    ca_file: str | None = None
    retry: Retry = field(default_factory=Retry)
    parallel: int = 4
    bounds: Bounds = field(default_factory=Bounds)


def parsed(options: Mapping[str, object]) -> WebPages:
    """Read a declaration from its options.

    Raises:
        Invalid: ``bad-option``, ``unknown-option``, ``bad-address``, ``bad-retry``.
    """
    fields = Options(options)
    urls = fields.words("urls")
    if not urls:
        raise bad("urls", "urls= names no page.")
    origins = frozenset(origin(url) for url in urls)
    query = {
        name: value
        for name in ("select", "fields", "html_table", "header")
        if (value := fields.take(name)) is not None
    }
    parallel = fields.counted("parallel", 4)
    usual = Bounds(largest_bytes=64 << 20)
    made = WebPages(
        urls=tuple(dict.fromkeys(url.partition("#")[0] for url in urls)),
        query=query,
        follow=_follow(fields.inner("follow"), origins),
        robots=fields.flag("robots", default=True),
        delay=fields.lasting("delay", timedelta(seconds=1)),
        user_agent=fields.text("user_agent") or USER_AGENT,
        headers={
            name: value if isinstance(value, Secret) else str(value)
            for name, value in fields.mapping("headers").items()
            for value in (with_secrets(value),)
        },
        trusted=origins,
        changed=fields.choice("changed", ("refuse", "again"), "refuse"),
        keep_pages=fields.flag("keep_pages"),
        batch_rows=fields.counted("batch_rows", 5_000),
        ca_file=fields.text("ca_file"),
        retry=retry_of(fields.take("retry")),
        parallel=parallel,
        bounds=Bounds(
            largest_bytes=fields.counted("largest_bytes", usual.largest_bytes),
            connect_timeout_s=fields.seconds("connect_timeout", usual.connect_timeout_s),
            read_timeout_s=fields.seconds("read_timeout", usual.read_timeout_s),
            answer_timeout_s=fields.seconds("answer_timeout", usual.answer_timeout_s),
            connections=parallel,
        ),
    )
    fields.end()
    if made.keep_pages and made.query:
        raise bad(
            "keep_pages",
            "keep_pages= keeps pages as they are; what of them are records says hg.html_records.",
        )
    if not made.keep_pages and not made.query:
        raise bad("select", "Say what of a page are records: select= and fields=, or html_table=.")
    return made


def _follow(fields: Options | None, origins: frozenset[str]) -> Follow | None:
    if fields is None:
        return None
    hosts = fields.words("hosts")
    made = Follow(
        select=fields.needed("select", "which links, as a CSS selector"),
        depth=fields.counted("depth", 1),
        hosts=origins | {origin(each if "://" in each else f"https://{each}") for each in hosts},
        most=fields.counted("most", 1_000),
    )
    fields.end()
    return made
