"""dask.distributed: two worker processes on this machine."""

import json
import sys
import time

from distributed import Client, LocalCluster

from shapes import ends, shape


def nothing(*_):
    return 1


def main() -> None:
    steps = shape(sys.argv[1])
    cluster = LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    )
    with cluster, Client(cluster) as client:
        began = time.perf_counter()
        futures: dict = {}
        for name, before in steps:
            inputs = [futures[each] for each in before]
            futures[name] = client.submit(nothing, *inputs, key=name, pure=False)
        client.gather([futures[name] for name in ends(steps)])
        took = time.perf_counter() - began
    print(json.dumps({"ms_per_step": 1000 * took / len(steps)}))


if __name__ == "__main__":
    main()
