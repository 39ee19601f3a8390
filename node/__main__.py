"""`python -m node`: the same as `qnet node run`."""

import sys

from qnet.cli.root import run

sys.exit(run(["node", "run", *sys.argv[1:]]))
