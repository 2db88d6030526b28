"""Luigi with its local scheduler and marker files, which is how it knows what is done."""

import json
import sys
import tempfile
import time
from pathlib import Path

import luigi

from shapes import ends, shape

steps = shape(sys.argv[1])
before = dict(steps)


class Step(luigi.Task):
    name = luigi.Parameter()
    directory = luigi.Parameter()

    def requires(self):
        return [Step(name=each, directory=self.directory) for each in before[self.name]]

    def output(self):
        return luigi.LocalTarget(f"{self.directory}/{self.name}")

    def run(self):
        with self.output().open("w") as file:
            file.write("ok")


with tempfile.TemporaryDirectory() as directory:
    began = time.perf_counter()
    last = [Step(name=name, directory=directory) for name in ends(steps)]
    ok = luigi.build(last, local_scheduler=True, workers=1, log_level="ERROR")
    took = time.perf_counter() - began
    done = len(list(Path(directory).iterdir()))
if not ok or done != len(steps):
    sys.exit(f"Luigi did {done} of {len(steps)}")
print(json.dumps({"ms_per_step": 1000 * took / len(steps)}))
