"""How often clients send: the same for all of them, because a rate of one's own is a name.

Source: docs/explanation/anonymity.md (what these rates hide, and what they cost).
"""

from typing import Final

from node.mix.schedule import Rates

MESSAGES: Final = Rates(payload_hz=0.5, loop_hz=0.25, drop_hz=0.25)
"""Schedule of a client with covers; an observer sees but the sum."""
STREAMS: Final = Rates(payload_hz=16.0, loop_hz=2.0, drop_hz=2.0)
"""Schedule of one that carries streams."""
