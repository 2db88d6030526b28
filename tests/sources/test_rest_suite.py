"""An API is a source like any other, in whatever way its list is divided."""

import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from headgate.sources import RestSource, Setting
from headgate.testing.api_server import ApiServer, Listing
from headgate.testing.source_suite import Row, Situation, SourceSuite


def record(number: int) -> dict[str, object]:
    return {"id": number, "at": f"2026-01-01T00:{number // 60:02d}:{number % 60:02d}Z"}


WAYS: Mapping[str, Mapping[str, object]] = {
    "page, grows": {"path": "page", "pages": {"by": "page"}, "grows": True},
    "offset, grows": {
        "path": "offset",
        "pages": {"by": "offset", "size": 10, "total": "total"},
        "grows": True,
    },
    "cursor, grows": {"path": "cursor", "pages": {"by": "cursor", "next": "next"}, "grows": True},
    "header, grows": {
        "path": "header",
        "pages": {"by": "cursor", "header": "X-Next"},
        "grows": True,
    },
    "url, grows": {"path": "url", "pages": {"by": "url", "next": "next"}, "grows": True},
    "link, grows": {"path": "link", "pages": {"by": "link"}, "records": "$", "grows": True},
    "key, grows": {"path": "key", "pages": {"by": "key", "field": "id"}, "grows": True},
    "since, unordered": {
        "path": "page",
        "pages": {"by": "page", "total_pages": "pages"},
        "since": {"field": "at", "parameter": "since"},
    },
    "since, ascending": {
        "path": "cursor",
        "pages": {"by": "cursor", "next": "next"},
        "since": {"field": "at", "parameter": "since", "order": "ascending"},
    },
    "since, told by nobody": {
        "path": "offset",
        "pages": {"by": "offset", "size": 10},
        "since": {"field": "id"},
    },
    "since, overlapping": {
        "path": "link",
        "pages": {"by": "link"},
        "records": "$",
        "since": {"field": "at", "parameter": "since", "overlap": "7s"},
    },
    "posted": {
        "path": "offset",
        "method": "POST",
        "pages": {"by": "offset", "size": 10},
        "grows": True,
    },
}


@pytest.mark.parametrize("outside", WAYS, indirect=True)
class TestRestSource(SourceSuite):
    @pytest.fixture
    def outside(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Situation]:
        listing = Listing([record(number) for number in range(1, 26)])
        setting = Setting(root=tmp_path, cache=tmp_path / "cache", appends=True)

        def grow() -> Sequence[Row]:
            added = [record(number) for number in range(26, 40)]
            listing.add(*added)
            return added

        def widen() -> Sequence[Row]:
            added = [{**record(number), "note": "new"} for number in range(60, 63)]
            listing.add(*added)
            return added

        def source(url: str, **more: object) -> RestSource:
            options = {"records": "data", "batch_rows": 1, "url": url, **WAYS[request.param]}
            return RestSource({**options, **more}, setting)

        with ApiServer(listing) as server, ApiServer(Listing([])) as empty:
            with socket.create_server(("127.0.0.1", 0)) as nobody:
                closed = f"http://127.0.0.1:{nobody.getsockname()[1]}"
            yield Situation(
                open=lambda: source(server.url),
                rows=listing.records,
                grow=grow,
                widen=widen,
                empty=lambda: source(empty.url),
                unreachable=lambda: source(closed, retry={"attempts": 1}),
            )
