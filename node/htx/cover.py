"""Cover records: what a link sends after its traffic stops, and the profiles that ask for more."""

from dataclasses import dataclass
from typing import Final

from node.htx.record import MAX_RECORD_BYTES, SIZES, SMALL_BYTES, UNIT_BYTES
from node.htx.ticket import Random

_RANGE: Final = 1 << 32


def uniform(random: Random, low: float, high: float) -> float:
    """A number between `low` and `high` from 4 random bytes."""
    return low + (high - low) * int.from_bytes(random(4), "big") / _RANGE


@dataclass(frozen=True, slots=True)
class CoverProfile:
    """What is sent after traffic stops.

    Attributes:
        least: fewest dummy records of one burst.
        most: most dummy records of one burst.
        sizes: sizes drawn from, bytes.
        standing_s: send a dummy after each such silence, for ever; 0 = fall silent.
    """

    least: int
    most: int
    sizes: tuple[int, ...]
    standing_s: float = 0.0


DEFAULT: Final = CoverProfile(1, 1, SIZES)
PROFILES: Final = {
    "default": DEFAULT,
    "small": CoverProfile(1, 4, (SMALL_BYTES, UNIT_BYTES)),
    "web": CoverProfile(3, 12, SIZES),
    "bulk": CoverProfile(16, 64, (MAX_RECORD_BYTES,)),
    "constant": CoverProfile(1, 1, (UNIT_BYTES,), standing_s=0.1),
}


class Cover:
    """Decides when a dummy record is due.

    Args:
        profile: how much cover.
        delay_s: least and greatest wait after traffic, seconds.
        random: source of random bytes.
    """

    def __init__(self, profile: CoverProfile, delay_s: tuple[float, float], random: Random) -> None:
        self._profile = profile
        self._delay_s = delay_s
        self._random = random
        self._left = 0
        self.due: float | None = None

    def traffic_sent(self, now: float) -> None:
        """Real records left; wait for silence anew."""
        profile = self._profile
        spread = profile.most - profile.least + 1
        self._left = profile.least + int.from_bytes(self._random(2), "big") % spread
        self.due = now + uniform(self._random, *self._delay_s)

    def take(self, now: float) -> int:
        """Return the size of the dummy record due now, or 0."""
        if self.due is None or now < self.due:
            return 0
        profile = self._profile
        self._left -= 1
        if profile.standing_s:
            self.due = now + profile.standing_s
        elif self._left > 0:
            self.due = now + uniform(self._random, 0, self._delay_s[0])
        else:
            self.due = None
        return profile.sizes[self._random(1)[0] % len(profile.sizes)]
