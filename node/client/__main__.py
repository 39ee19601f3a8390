"""`python -m node.client`: the client in the foreground, as `qnet client up` starts it."""

import sys

from qnet.cli.root import run

sys.exit(run(["client", "up", "--foreground", *sys.argv[1:]]))
