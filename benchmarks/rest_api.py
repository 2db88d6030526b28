"""The API of F8: pages of a hundred records, 3 ms away, 1 % 429 with Retry-After: 1, 1 % 500.

usage: python -m benchmarks.rest_api PAGES. Prints its address, and ends with its standard input.
A page fails only when it is asked for first by a reader, which says who it is by ``run=``.
"""

import json
import sys
import time
from collections.abc import Callable

from headgate.testing.api_server import ApiServer, Asked, Told

SIZE = 100
LATENCY_S = 0.003
JSON = {"Content-Type": "application/json"}


def record(number: int) -> dict[str, object]:
    return {
        "id": number,
        "name": f"rec {number}",
        "price": number % 1000 / 10,
        "created_at": f"2026-01-{1 + number % 28:02d}T00:00:00Z",
        "tags": ["a", "b"],
        "owner": {"id": number % 97, "email": f"u{number % 97}@example.org"},
    }


def bodies(pages: int) -> list[bytes]:
    made = []
    for page in range(pages):
        records = [record(number) for number in range(page * SIZE, (page + 1) * SIZE)]
        body = {"data": records, "page": page + 1, "total_pages": pages}
        made.append(json.dumps(body, separators=(",", ":")).encode())
    return made


def answering(pages: int) -> Callable[[Asked], Told]:
    made = bodies(pages)
    empty = json.dumps({"data": [], "total_pages": pages}).encode()

    def answer(asked: Asked) -> Told:
        time.sleep(LATENCY_S)
        page = int(asked.query.get("page", "1"))
        if page > pages:
            return Told(body=empty, headers=JSON)
        if asked.times == 1 and page % 100 == 37:
            return Told(status=429, headers={"Retry-After": "1"})
        if asked.times == 1 and page % 100 == 71:
            return Told(status=500)
        return Told(body=made[page - 1], headers=JSON)

    return answer


if __name__ == "__main__":
    with ApiServer(answering(int(sys.argv[1]))) as server:
        print(server.url, flush=True)
        sys.stdin.read()
