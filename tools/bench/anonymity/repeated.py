"""What an observer learns from many messages: conversations, contacts over days, presence.

The observer sees when every client sends and when messages reach one recipient: all links, and the
recipient's mailbox. A user who did not send within the delay before an arrival is not its sender.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tools.bench.anonymity.delays import HORIZON, density, draw
from tools.bench.anonymity.measures import Sight, sight
from tools.bench.anonymity.setting import Crowd

SURE: Final = 0.9
"""An observer is sure at this likelihood of the true sender."""
BLOCK: Final = 1 << 18
"""Users whose packets are drawn at once, so that memory is bounded."""

Numbers = NDArray[np.float64]


def fits(random: np.random.Generator, crowd: Crowd, users: int) -> Numbers:
    """How well what each of some users happened to send fits an arrival that is not theirs.

    Args:
        random: Source of chance.
        crowd: Rate and delay.
        users: How many.
    """
    span = HORIZON * crowd.mean_delay_s
    found = np.zeros(users)
    for start in range(0, users, BLOCK):
        some = min(BLOCK, users - start)
        count = int(random.poisson(some * crowd.rate * span))
        owners = random.integers(0, some, count)
        weights = density(random.random(count) * span, crowd.mean_delay_s)
        found[start : start + some] = np.bincount(owners, weights, some)
    return found


def conversation(random: np.random.Generator, crowd: Crowd, most: int) -> Iterator[Sight]:
    """One user sends message after message to a recipient; what is known after each.

    The observer knows that the messages have one sender. Messages are so far apart that what
    others send is independent from one to the next.

    Args:
        random: Source of chance.
        crowd: Users, one of whom sends.
        most: Messages; ends before if nobody but the sender is left.
    """
    scores = np.zeros(crowd.users)
    for _ in range(most):
        found = fits(random, crowd, len(scores))
        found[0] += float(density(draw(random, crowd.mean_delay_s, 1), crowd.mean_delay_s)[0])
        left = found > 0
        scores = scores[left] + np.log(found[left])
        yield sight(np.exp(scores - scores.max()), 0)
        if len(scores) == 1:
            return


def messages_until_sure(random: np.random.Generator, crowd: Crowd, most: int) -> int:
    """Messages of a conversation until the observer is sure of its sender; `most` + 1 for never."""
    for place, seen in enumerate(conversation(random, crowd, most), start=1):
        if 2**-seen.surprise_bits >= SURE:
            return place
    return most + 1


def contacts_found(
    random: np.random.Generator, crowd: Crowd, contacts: int, per_day: int, days: int
) -> Iterator[float]:
    """Statistical disclosure of who writes to a recipient; the share found after each day.

    Each message comes from one of the recipient's contacts; the observer does not know which of
    them belong together. It adds up how well each user fits each arrival, and names the best.

    Args:
        random: Source of chance.
        crowd: All users.
        contacts: Who write, all alike.
        per_day: Messages in a day.
        days: How long.
    """
    scores = np.zeros(crowd.users)
    for _ in range(days):
        for _ in range(per_day):
            scores += fits(random, crowd, crowd.users)
        senders = random.integers(0, contacts, per_day)
        fitting = density(draw(random, crowd.mean_delay_s, per_day), crowd.mean_delay_s)
        np.add.at(scores, senders, fitting)
        named = np.argpartition(scores, -contacts)[-contacts:]
        yield float(np.count_nonzero(named < contacts)) / contacts


def still_present(
    random: np.random.Generator, users: int, online: float, lives: int
) -> Iterator[NDArray[np.int64]]:
    """Users who were online whenever one user received an answer, after each day.

    Nothing within the network protects from this: only being online always does.

    Args:
        random: Source of chance.
        users: All, the one included.
        online: Share of days on which each other user is online at that time.
        lives: Independent repeats, all in one array.
    """
    others = np.full(lives, users - 1)
    while True:
        others = random.binomial(others, online)
        yield others + 1
