"""Web pages: asked for as their hosts want it, each record once, and read on where they change."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from rest_readers import START, Lower, records_of, setting

import headgate as hg
from headgate.clock import ManualClock
from headgate.errors import HeadgateError, Invalid, NotFound, Refused
from headgate.sources import Batch, Cursor, WebSource
from headgate.sources.web.robots import Robots, robots_for
from headgate.testing.api_server import ApiServer, Asked, Told
from headgate.testing.source_suite import Row, Situation, SourceSuite

pytest.importorskip("lxml")
ITEM = {"select": "tr.item", "fields": {"name": "td.name", "link": "a@href"}}


class Site:
    """Pages by path, with ETags, and a robots.txt."""

    def __init__(self, pages: Mapping[str, str], robots: str | None = None) -> None:
        self.pages = dict(pages)
        self.robots = robots

    def __call__(self, asked: Asked) -> Told:
        if asked.path == "/robots.txt":
            return Told(status=404) if self.robots is None else Told(body=self.robots.encode())
        page = self.pages.get(asked.path)
        if page is None:
            return Told(status=404)
        tag = f'"{abs(hash(page))}"'
        headers = {"Content-Type": "text/html; charset=utf-8", "ETag": tag}
        if asked.headers.get("if-none-match") == tag:
            return Told(status=304, headers=headers)
        return Told(body=page.encode(), headers=headers)


def page(*names: str, next_page: str | None = None, more: str = "") -> str:
    rows = "".join(
        f'<tr class=item><td class=name>{n}</td><td><a href="/x/{quote(n)}">x</a></td>'
        for n in names
    )
    link = f'<a class="next" href="{next_page}">on</a>' if next_page else ""
    return f"<!doctype html><title>t</title><table>{rows}</table>{link}{more}"


def item(name: str) -> dict[str, object]:
    return {"name": name, "link": f"/x/{quote(name)}"}


def read(
    options: Mapping[str, object],
    cursor: Cursor | None = None,
    *,
    appends: bool = False,
    clock: ManualClock | None = None,
) -> list[Batch]:
    source = WebSource(options, setting(appends=appends, clock=clock), random=Lower())
    return list(source.read(cursor))


class TestWebSource(SourceSuite):
    @pytest.fixture
    def outside(self, tmp_path: Path) -> Iterator[Situation]:
        site = Site(
            {
                "/": page(next_page="/1", more='<a class="next" href="/2">2</a>'),
                "/1": page("a", "b"),
                "/2": page("c", "d", next_page="3"),
                "/3": page("e"),
            }
        )

        def grow() -> Sequence[Row]:
            site.pages["/"] += '<a class="next" href="/3">3</a><a class="next" href="/4">4</a>'
            site.pages["/4"] = page("é", "g")
            return [item("é"), item("g")]

        with ApiServer(site) as server, ApiServer(Site({"/": page()})) as empty:
            options = {
                **ITEM,
                "follow": {"select": "a.next", "depth": 9},
                "batch_rows": 1,
                "delay": 0,
            }
            given = setting()
            yield Situation(
                open=lambda: WebSource({"urls": f"{server.url}/", **options}, given),
                rows=[item(name) for name in "abcde"],
                grow=grow,
                empty=lambda: WebSource({"urls": f"{empty.url}/", **options}, given),
                unreachable=lambda: WebSource(
                    {"urls": "http://nowhere.invalid/", **options, "retry": {"attempts": 1}}, given
                ),
            )


def test_a_host_is_asked_at_its_own_pace() -> None:
    clock = ManualClock(START)
    site = Site({f"/{n}": page(str(n)) for n in range(4)}, "User-agent: *\nCrawl-delay: 3\n")
    with ApiServer(site, clock=clock) as server:
        urls = [f"{server.url}/{n}" for n in range(4)]
        batches = read({"urls": urls, "parallel": 1, **ITEM}, clock=clock)
    assert [each["name"] for each in records_of(*batches)] == ["0", "1", "2", "3"]
    times = [asked.at_s for asked in server.asked if asked.path != "/robots.txt"]
    assert times == [0, 3, 6, 9]
    assert {asked.headers["user-agent"] for asked in server.asked} == {"headgate"}


def test_what_robots_forbid_is_not_asked_for() -> None:
    robots = "User-agent: *\nDisallow: /private\n"
    pages = {"/": page("a", more='<a href="/private/1">1</a><a href="/2">2</a>'), "/2": page("b")}
    with ApiServer(Site(pages, robots)) as server:
        options = {"delay": 0, **ITEM, "follow": {"select": "a"}}
        batches = read({"urls": f"{server.url}/", **options})
        assert [each["name"] for each in records_of(*batches)] == ["a", "b"]
        assert not [asked for asked in server.asked if asked.path.startswith("/private")]
        with pytest.raises(Refused, match="/private/1 to be read by programs") as raised:
            read({"urls": f"{server.url}/private/1", **options})
        assert raised.value.code == "robots-forbid"


@pytest.mark.parametrize(("status", "asked"), [(404, True), (403, True), (500, False)])
def test_without_robots_all_is_allowed_and_while_they_fail_nothing(
    status: int, asked: bool
) -> None:
    def answer(request: Asked) -> Told:
        robots = request.path == "/robots.txt"
        return Told(status=status) if robots else Site({"/": page("a")})(request)

    with ApiServer(answer) as server:
        options = {"urls": f"{server.url}/", **ITEM}
        if asked:
            assert len(records_of(*read(options))) == 1
        else:
            with pytest.raises(Refused):
                read(options)
            assert {each.path for each in server.asked} == {"/robots.txt"}


def test_a_crawl_keeps_to_its_hosts_depth_and_number() -> None:
    def answer(asked: Asked) -> Told:
        at = int(asked.path.strip("/") or 0)
        more = f'<b><a href="/{at + 1}#top">1</a><a href="http://x.invalid/">e</a><a>no</a>'
        return Site({asked.path: page(str(at), more=more)})(asked)

    with ApiServer(answer) as server:
        options = {"urls": f"{server.url}/", "robots": False, "delay": 0, **ITEM}
        deep = read({**options, "follow": {"select": "b a", "depth": 3}})
        many = read({**options, "follow": {"select": "b a", "depth": 99, "most": 6}})
    assert [each["name"] for each in records_of(*deep)] == ["0", "1", "2", "3"]
    assert len(records_of(*many)) == 6


def test_links_that_are_led_to_one_page_or_elsewhere_give_nothing_twice() -> None:
    with ApiServer(Site({"/": page("far")})) as other:
        moved = {"/2/": "/2", "/away": f"{other.url}/"}
        links = "".join(f'<a href="{at}">x</a>' for at in ("/2/", "/2", "/away"))
        site = Site({"/": page("a", more=links), "/2": page("b")})

        def answer(asked: Asked) -> Told:
            if asked.path in moved:
                return Told(status=301, headers={"Location": moved[asked.path]})
            return site(asked)

        with ApiServer(answer) as server:
            options = {"delay": 0, **ITEM, "follow": {"select": "a"}}
            batches = read({"urls": f"{server.url}/", **options})
    assert [each["name"] for each in records_of(*batches)] == ["a", "b"]


def test_a_dead_link_is_told_once_and_stops_nothing() -> None:
    site = Site({"/": page("a", more='<a href="/gone">1</a><a href="/2">2</a>'), "/2": page("b")})
    with ApiServer(site) as server:
        options = {"urls": f"{server.url}/", "delay": 0, **ITEM, "follow": {"select": "a"}}
        [batch] = read(options)
        assert batch.unread is not None
        assert batch.unread["_position"].to_pylist()[-1] == f"{server.url}/gone"
        assert read(options, batch.cursor) == []
        with pytest.raises(NotFound, match="404"):
            read({**options, "urls": f"{server.url}/gone"})


def test_pages_that_have_not_changed_are_not_sent_again() -> None:
    site = Site({"/1": page("a"), "/2": page("b")})
    with ApiServer(site) as server:
        options = {"urls": [f"{server.url}/1", f"{server.url}/2"], "delay": 0, **ITEM}
        first = read(options, appends=True)
        assert read(options, first[-1].cursor, appends=True) == []
        assert [asked.headers.get("if-none-match") is not None for asked in server.asked[-2:]] == [
            True,
            True,
        ]
        site.pages["/2"] = page("b", "c")
        with pytest.raises(Refused, match="there twice") as raised:
            read(options, first[-1].cursor, appends=True)
        assert raised.value.code == "page-changed"
        again = read({**options, "changed": "again"}, first[-1].cursor, appends=True)
        assert [each["name"] for each in records_of(*again)] == ["b", "c"]


def test_kept_pages_can_be_cut_again_without_asking() -> None:
    with ApiServer(Site({"/": page("ä", "b")})) as server:
        [batch] = read({"urls": f"{server.url}/", "keep_pages": True})
        asked = len(server.asked)
    [row] = batch.rows.to_pylist()
    assert isinstance(row["body"], bytes)
    for _ in range(2):
        assert list(hg.html_records(row, **ITEM)) == [item("ä"), item("b")]  # type: ignore[arg-type]
    assert asked == len(server.asked)


def test_what_is_no_page_is_an_error_that_names_it() -> None:
    image = Told(body=b"\x89PNG", headers={"Content-Type": "image/png"})
    with ApiServer(lambda _: image) as server, pytest.raises(NotFound, match="image/png"):
        read({"urls": server.url, "robots": False, **ITEM})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"select": "a"}, "names no page"),
        ({"urls": "https://x"}, "Say what of a page are records"),
        ({"urls": "x.html", **ITEM}, "no address of a web server"),
        ({"urls": "https://x", **ITEM, "follow": {"depth": 2}}, "follow.select is missing"),
        ({"urls": "https://x", **ITEM, "keep_pages": True}, "keeps pages as they are"),
        ({"urls": "https://x", **ITEM, "deley": 2}, "Did you mean delay?"),
    ],
)
def test_a_wrong_declaration_is_refused_by_name(options: Mapping[str, object], said: str) -> None:
    with pytest.raises(Invalid) as raised:
        WebSource(options, setting())
    assert said in str(raised.value)


# -- robots.txt, RFC 9309


def allowed(robots: Robots, *paths: str) -> list[bool]:
    return [robots.allows(f"https://x{path}") for path in paths]


def test_the_longest_rule_counts_and_allowing_wins_a_draw() -> None:
    robots = robots_for(
        "User-Agent: *\nDisallow: /a\nAllow: /a/b\nDisallow: /a/b/c\nAllow: /p\nDisallow: /p", "me"
    )
    assert allowed(robots, "/", "/a", "/a/x", "/a/b", "/a/b/c", "/p") == [
        True,
        False,
        False,
        True,
        False,
        True,
    ]


def test_stars_and_ends_are_understood() -> None:
    robots = robots_for("user-agent: *\ndisallow: /*.pdf$\ndisallow: /q?*id=\n", "me")
    assert allowed(robots, "/a.pdf", "/a.pdf?x", "/a.pdfx", "/q?a=1&id=2", "/q?a=1") == [
        False,
        True,
        True,
        False,
        True,
    ]


def test_a_group_that_names_the_reader_counts_alone() -> None:
    text = (
        "User-agent: other\nUser-agent: HeadGate\nDisallow: /one # why\nCrawl-delay: 2.5\n\n"
        "User-agent: *\nDisallow: /\n\nUser-agent: headgate\nDisallow: /two\n"
    )
    robots = robots_for(text, "headgate/1.0 (+https://x)")
    assert allowed(robots, "/", "/one", "/two") == [True, False, False]
    assert robots.delay == timedelta(seconds=2.5)
    assert allowed(robots_for(text, "nobody"), "/", "/one") == [False, False]


def test_a_group_that_names_the_reader_and_forbids_nothing_allows_all() -> None:
    robots = robots_for("User-agent: *\nDisallow: /\nUser-agent: me\nDisallow:\n", "me")
    assert allowed(robots, "/", "/x") == [True, True]


def test_escapes_are_compared_as_what_they_mean() -> None:
    robots = robots_for("User-agent: *\nDisallow: /ä\nDisallow: /%7Ejoe\n", "me")
    assert allowed(robots, "/%C3%A4", "/~joe", "/a") == [False, False, True]


@pytest.mark.parametrize("text", ["", "\ufeffUser-agent: *", "nonsense", "Disallow: /", ":\n::"])
def test_what_says_nothing_forbids_nothing(text: str) -> None:
    assert allowed(robots_for(text, "me"), "/") == [True]


def test_errors_are_ours() -> None:
    with ApiServer(Site({"/": "<p>no table"})) as server, pytest.raises(HeadgateError):
        read({"urls": f"{server.url}/", "html_table": 1})
