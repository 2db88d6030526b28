"""F16: 16 and 40 processes publish at the same time, each with contracts that take 1 s to judge.

The second is spent by an engine that waits before it answers a contract's question, so that two
cores can carry 40 publishers. The peer is the retry loop of lakeFS around its pre-merge checks:
read the head, check, compare and swap; at most 10 tries, waiting 0.5 s, growing by half up to 5 s,
give or take a half.
"""

import gc
import json
import multiprocessing
import os
import random
import shutil
import sys
import threading
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

from benchmarks.measuring import WORK, report

CHECK_S = 1.0
PUBLISHERS = (16, 40)
PLUGINS = Path(__file__).parent / "slow_checks"


def main() -> None:
    for count in [int(word) for word in sys.argv[1:]] or PUBLISHERS:
        for shared in (False, True):
            took, cpu, failed, checks = _ours(count, shared=shared)
            peer_took, peer_failed, peer_checks = _retry_loop(count)
            must_s = count * CHECK_S * 1.3 if shared else 2 * CHECK_S
            report(
                "F16",
                f"{count} publishers, {'one table' if shared else 'a table each'}",
                unit="s",
                ours=took,
                limit=count * CHECK_S if shared else CHECK_S,
                cpu=cpu,
                failed=failed,
                checks=checks,
                peers={f"retry loop ({peer_failed} of {count} fail)": peer_took},
                peer_checks=peer_checks,
                must=f"none fails, <= {must_s:.1f} s",
                reached=failed == 0 and took <= must_s,
            )


def _ours(count: int, *, shared: bool) -> tuple[float, float, int, int]:
    """Give seconds until the last has published, CPU seconds, how many failed, how many judgements.

    Every process has run something else before, in a lake of its own: nothing is imported any more.
    """
    directory = _project(count, shared=shared, at=WORK / "publishers")
    log = directory / "judgements"
    start = multiprocessing.get_context("spawn")
    barrier, outcomes = start.Barrier(count + 1), start.Queue()
    workers = [
        start.Process(target=_publish, args=(directory, number, barrier, outcomes))
        for number in range(count)
    ]
    for worker in workers:
        worker.start()
    barrier.wait(timeout=900)
    log.write_bytes(b"")
    began = time.perf_counter()
    results = [outcomes.get(timeout=900) for _ in workers]
    took = time.perf_counter() - began
    for worker in workers:
        worker.join()
    failures = [state for state, _ in results if state != "published"]
    for failure in failures[:3]:
        sys.stderr.write(f"  {failure}\n")
    return took, sum(cpu for _, cpu in results), len(failures), len(log.read_bytes())


def _publish(
    directory: Path,
    number: int,
    barrier: Barrier,
    outcomes: "multiprocessing.Queue[tuple[str, float]]",
) -> None:
    sys.path.insert(0, str(PLUGINS))
    os.environ["SLOW_CHECKS_LOG"] = str(directory / "judgements")
    import headgate

    with headgate.open(_project(1, shared=False, at=directory / f"warm-{number}")) as project:
        project.run()
    with headgate.open(directory) as project:
        project.pipeline(f"publisher_{number}")
        gc.collect()  # what starting left behind is not what publishing costs
        barrier.wait(timeout=900)
        began = time.process_time()
        try:
            outcome = str(project.run(f"publisher_{number}").state)
        except headgate.HeadgateError as error:
            outcome = f"{error.code}: {error}"
        outcomes.put((outcome, time.process_time() - began))


def _project(count: int, *, shared: bool, at: Path) -> Path:
    shutil.rmtree(at, ignore_errors=True)
    at.mkdir(parents=True)
    names = [f"publisher_{number}.py" for number in range(count)]
    (at / "headgate.toml").write_text(
        f'[project]\npipelines = {json.dumps(names)}\n\n[engine]\nname = "slow-checks"\n'
    )
    for number, name in enumerate(names):
        table = "shared" if shared else f"table_{number}"
        (at / name).write_text(
            f"""
import headgate as hg
import pyarrow as pa


publisher_{number} = hg.pipeline()


class Row(hg.Contract, rules=(hg.unique("id"),)):
    id: int
    value: int


@hg.step(table="{table}", mode="append", contract=Row)
def rows_{number}() -> pa.Table:
    first = {number} * 1000
    return pa.table({{"id": range(first, first + 1000), "value": range(1000)}})
"""
        )
    return at


def _retry_loop(count: int) -> tuple[float, int, int]:
    """Give seconds until the last has published or given up, how many gave up, how many checks."""
    lock = threading.Lock()
    head = 0
    checks = 0
    failed = 0

    def publisher(number: int) -> None:
        nonlocal head, checks, failed
        dice = random.Random(number)
        wait_s = 0.5
        for attempt in range(10):
            if attempt:
                time.sleep(wait_s * dice.uniform(0.5, 1.5))
                wait_s = min(wait_s * 1.5, 5.0)
            seen = head
            time.sleep(CHECK_S)
            with lock:
                checks += 1
                if head == seen:
                    head += 1
                    return
        with lock:
            failed += 1

    threads = [threading.Thread(target=publisher, args=(number,)) for number in range(count)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began, failed, checks


if __name__ == "__main__":
    main()
