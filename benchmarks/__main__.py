"""``python -m benchmarks F1 F5``: run rows of the performance table, or all of them."""

import sys

from benchmarks.run import main

sys.exit(main())
