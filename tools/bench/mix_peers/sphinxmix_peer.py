"""Unwraps packets of PyPI's `sphinxmix`, with the interpreter of an environment that has it.

For each line "n" on stdin it makes n packets, times their first mix, follows each of them to its
end, compares the message, and writes `{"name": microseconds of processor time for one}` on
one line.
"""

import json
import sys
import time
from typing import Any

from sphinxmix.SphinxClient import (  # type: ignore[import-not-found]
    Nenc,
    PFdecode,
    create_forward_message,
    receive_forward,
)
from sphinxmix.SphinxNode import sphinx_process  # type: ignore[import-not-found]
from sphinxmix.SphinxParams import SphinxParams  # type: ignore[import-not-found]

BODY_BYTES = 2064
MESSAGE_BYTES = 2000
HOPS = 3


def main() -> None:
    """Answer lines until stdin ends."""
    params = SphinxParams(body_len=BODY_BYTES)
    secrets = [params.group.gensecret() for _ in range(HOPS)]
    publics = [params.group.expon(params.group.g, [secret]) for secret in secrets]
    for line in sys.stdin:
        answer = {"sphinxmix": measure(params, secrets, publics, int(line))}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def measure(params: Any, secrets: list[Any], publics: list[Any], count: int) -> float:
    """Microseconds of processor time for one unwrap.

    Raises:
        ValueError: a message did not arrive as it was sent.
    """
    route = [Nenc(place) for place in range(HOPS)]
    messages = [bytes([number % 256]) * MESSAGE_BYTES for number in range(count)]
    packets = [
        create_forward_message(params, route, publics, b"dest", message) for message in messages
    ]
    start = time.thread_time()
    opened = [sphinx_process(params, secrets[0], *packet) for packet in packets]
    elapsed = time.thread_time() - start
    for result, message in zip(opened, messages, strict=True):
        arrived = follow(params, secrets, result)
        if arrived != [b"dest", message]:
            raise ValueError("a message did not arrive")
    return elapsed / count * 1e6


def follow(params: Any, secrets: list[Any], result: Any) -> Any:
    """Take a packet through the mixes behind the first; returns destination and message."""
    for secret in secrets[1:]:
        _, _, (header, delta), _ = result
        result = sphinx_process(params, secret, header, delta)
    _, routing, (_, delta), mac_key = result
    PFdecode(params, routing)
    return receive_forward(params, mac_key, delta)


if __name__ == "__main__":
    main()
