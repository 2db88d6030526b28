"""``python -m headgate``: the command line without the script."""

import sys

from headgate.cli.main import main

sys.exit(main())
