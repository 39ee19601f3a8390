"""`qnet` that dies by SIGKILL at one step of a transaction: a process that tests start.

    python -m tests.support.lethal before|after prepare|broadcast|outcome NTH WORD…

dies before or after the NTH time it takes that step; the words are those of a `qnet` command.
"""

import os
import signal
import sys

from qnet.chain.client import ChainClient
from qnet.chain.sender import Sender
from qnet.cli import main

STEPS = {"prepare": Sender, "broadcast": ChainClient, "outcome": Sender}


def arm(when: str, name: str, nth: int) -> None:
    """Wrap one step so that the process dies before or after it."""
    owner = STEPS[name]
    inner = getattr(owner, name)
    taken = 0

    async def lethal(*args, **kwargs):
        nonlocal taken
        taken += 1
        if taken == nth and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = await inner(*args, **kwargs)
        if taken == nth:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, lethal)


if __name__ == "__main__":
    arm(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    main(sys.argv[4:])
