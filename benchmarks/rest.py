"""F8: an API of 1,000 pages of 100 records becomes a table; 1 % of them 429, 1 % 500.

Ours: the REST source, eight wide, its records normalised and published as a lake table. The limit
asks for the same pages eight wide with bare httpx2, parses them, and keeps nothing. Each work runs
in a process of its own, the API in another; peers run with ``--peers`` in throw-away environments.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks.measuring import WORK, process, report
from benchmarks.peers import environment
from benchmarks.rest_api import answering

MUST = 8
PAGES = 1_000
WIDTH = 8
PEERS = ("dlt",)
SCRIPTS = Path(__file__).parent / "rest_peers"
PIPELINE = """
import headgate as hg

records = hg.rest("{url}", path="page", params={{"run": "{run}"}}, records="data", parallel={width},
                  pages={{"by": "page", "total_pages": "total_pages"}})
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="rest", description=__doc__)
    parser.add_argument("--pages", type=int, default=PAGES)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--work", choices=sorted(_WORKS), help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--run", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        _measured(_WORKS[given.work], given.url, given.run, given.pages)
        return
    ours, limits, peers = [], [], {}
    with _api(given.pages) as url:
        for number in range(given.repeat):
            limits.append(_own("limit", url, f"limit-{number}", given.pages))
            ours.append(_own("ours", url, f"ours-{number}", given.pages))
        for peer in PEERS if given.peers else ():
            if (figures := _peer(peer, url)) is not None:
                peers[peer] = figures
    rows = given.pages * 100
    wrong = [one["rows"] for one in (*ours, *limits) if one["rows"] != rows]
    wall, limit = median(one["s"] for one in ours), median(one["s"] for one in limits)
    slowest = min((each["s"] / wall for each in peers.values()), default=None)
    report(
        "F8",
        f"{given.pages} pages, 1 % 429, 1 % 500",
        unit="rows/s",
        ours=round(rows / wall),
        limit=round(rows / limit),
        ratio=round(limit / wall, 3),
        cpu=median(one["cpu_s"] for one in ours),
        limit_cpu=median(one["cpu_s"] for one in limits),
        peak_mb=max(one["peak_mb"] for one in ours),
        limit_peak_mb=max(one["peak_mb"] for one in limits),
        wrong_rows=wrong,
        peer={name: round(rows / each["s"]) for name, each in peers.items()},
        peer_detail=peers,
        must=f">= {MUST}x dlt, no row lost or doubled",
        reached=not wrong and (slowest is None or slowest >= MUST),
    )


@contextmanager
def _api(pages: int) -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.rest_api", str(pages)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        yield server.stdout.readline().strip()
        server.stdin.close()


def _own(work: str, url: str, run: str, pages: int) -> dict[str, float]:
    """Run one of our works in a process of its own, so that memory is its own."""
    command = [sys.executable, "-m", "benchmarks.rest", "--work", work, "--url", url]
    command += ["--run", run, "--pages", str(pages)]
    figures: dict[str, float] = json.loads(process(command, repeat=1).output.splitlines()[-1])
    return figures


def _peer(name: str, url: str) -> Mapping[str, float] | None:
    programs = environment(name)
    if programs is None:
        return None
    out = _emptied(WORK / "rest" / f"out-{name}")
    command = [programs / "python", SCRIPTS / f"{name}_load.py", url, out]
    try:
        done = process(command, repeat=1, timeout_s=900)
    except RuntimeError as error:
        sys.stderr.write(f"  {name}: {error}\n")
        return None
    figures: dict[str, float] = json.loads(done.output.splitlines()[-1])
    return {**figures, "cpu_s": round(done.cpu_s, 2), "peak_mb": done.peak_bytes // 2**20}


def _measured(work: Callable[[str, str, int], int], url: str, run: str, pages: int) -> None:
    _warmed(work)
    began, cpu = time.perf_counter(), time.process_time()
    rows = work(url, run, pages)
    figures = {
        "s": round(time.perf_counter() - began, 3),
        "cpu_s": round(time.process_time() - cpu, 3),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "rows": rows,
    }
    print(json.dumps(figures))


def _ours(url: str, run: str, pages: int) -> int:  # noqa: ARG001 - the API says how many
    import headgate as hg

    root = _emptied(WORK / "rest" / "project")
    (root / "headgate.toml").write_text("")
    (root / "shop.py").write_text(PIPELINE.format(url=url, run=run, width=WIDTH))
    project = hg.open(root)
    project.run()
    ids = project.table("records").to_arrow()["id"].unique()
    return len(ids) if len(ids) == project.table("records").to_arrow().num_rows else -1


def _limit(url: str, run: str, pages: int) -> int:
    import httpx2
    import msgspec

    client = httpx2.Client(timeout=10)

    def one(page: int) -> int:
        for _ in range(6):
            answer = client.get(f"{url}/page?run={run}&page={page}")
            if answer.status_code == 200:
                return len(msgspec.json.decode(answer.content)["data"])
            time.sleep(float(answer.headers.get("Retry-After") or 0.1))
        raise RuntimeError(page)

    with client, ThreadPoolExecutor(WIDTH) as lanes:
        return sum(lanes.map(one, range(1, pages + 1)))


def _emptied(directory: Path) -> Path:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


def _warmed(work: Callable[[str, str, int], int]) -> None:
    """Do the work once with one page: what loading its code takes is another row's question."""
    from headgate.testing.api_server import ApiServer

    with ApiServer(answering(1)) as server:
        work(server.url, "warm", 1)


_WORKS = {"limit": _limit, "ours": _ours}

if __name__ == "__main__":
    main()
