"""Hamilton's own driver: in process, nothing durable. The limit."""

import json
import sys
import time

from hamilton import ad_hoc_utils, driver

from shapes import ends, shape

steps = shape(sys.argv[1])
sys.setrecursionlimit(100_000)
functions = []
for name, before in steps:
    scope: dict = {}
    parameters = ", ".join(f"{each}: int" for each in before)
    exec(f"def {name}({parameters}) -> int:\n    return 1\n", scope)
    functions.append(scope[name])
module = ad_hoc_utils.create_temporary_module(*functions, module_name="steps")
built = driver.Builder().with_modules(module).build()
began = time.perf_counter()
built.execute(ends(steps))
print(json.dumps({"ms_per_step": 1000 * (time.perf_counter() - began) / len(steps)}))
