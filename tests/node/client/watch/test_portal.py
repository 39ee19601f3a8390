"""What failed dials say about the network around this machine."""

import errno

import pytest

from node.client.paths.dialler import Attempt
from node.client.watch.portal import (
    CLOCK_TOLERANCE_S,
    WINDOW_S,
    Obstacle,
    clock_skew,
    diagnose,
    in_words,
)
from node.errors import Heard, LinkError
from node.htx.events import CloseReason

NOW = 1000.0


def failed(number, *, heard=Heard.NOTHING, reason=CloseReason.LOST, code=0, **where):
    error = LinkError(reason, "no link", heard=heard, number=code)
    return attempt(number, error=error, **where)


def attempt(number, *, error=None, at=NOW - 1, port=443, wall_s=NOW, told_s=0.0):
    return Attempt(at, wall_s, f"192.0.2.{number}", port, error, told_s)


def redirect(number):
    return failed(number, heard=Heard.GARBLED)


def other_key(number):
    return failed(number, heard=Heard.TLS, reason=CloseReason.PIN)


def silent(number, **where):
    return failed(number, reason=CloseReason.TIMEOUT, **where)


@pytest.mark.parametrize(
    ("attempts", "obstacle"),
    [
        ([redirect(1), redirect(2)], Obstacle.INTERCEPTED),
        ([other_key(1), other_key(2), silent(3)], Obstacle.INTERCEPTED),
        ([redirect(1), other_key(2)], Obstacle.INTERCEPTED),
        ([other_key(1)], Obstacle.INTERCEPTED),
        ([failed(n, code=errno.ECONNREFUSED) for n in (1, 2)], Obstacle.REFUSED),
        ([silent(1), silent(2)], Obstacle.SILENT),
        ([redirect(1), silent(2), silent(3)], Obstacle.SILENT),
        ([failed(1, code=errno.ETIMEDOUT), silent(2)], Obstacle.SILENT),
        ([failed(n, code=errno.ENETUNREACH) for n in (1, 2)], Obstacle.NO_ROUTE),
        ([failed(1, code=errno.EHOSTUNREACH)], Obstacle.NO_ROUTE),
        ([failed(n, heard=Heard.SILENCE) for n in (1, 2)], Obstacle.CUT_OFF),
        (
            [silent(1, port=9001), silent(2, port=9001), attempt(3, port=443)],
            Obstacle.PORTS,
        ),
    ],
)
def test_an_obstacle_is_named(attempts, obstacle):
    finding = diagnose(attempts, NOW)
    assert finding.obstacle is obstacle
    assert finding.cause.startswith(obstacle.value)
    assert finding.try_


@pytest.mark.parametrize(
    "attempts",
    [
        [],
        [attempt(1)],
        [other_key(1), attempt(2)],
        [silent(1), attempt(2)],
        [silent(1, port=9001), attempt(2)],
        [silent(1, port=9001), silent(2, port=443), attempt(3)],
        [silent(1, port=9001), silent(2, port=22), attempt(3, port=9030)],
        [redirect(1), redirect(2), attempt(1), attempt(2)],
        [failed(1, heard=Heard.TLS, reason=CloseReason.NOT_ADMITTED)],
        [silent(1), failed(2, heard=Heard.TLS, reason=CloseReason.NOT_ADMITTED)],
        [redirect(1), other_key(2), failed(3, heard=Heard.TLS, reason=CloseReason.CRYPTO)],
        [silent(1, at=NOW - WINDOW_S), silent(2, at=NOW - WINDOW_S)],
    ],
)
def test_one_node_or_an_answer_of_ours_accuses_nobody(attempts):
    assert diagnose(attempts, NOW) is None


def test_ports_are_told():
    finding = diagnose([silent(1, port=9001), silent(2, port=22), attempt(3)], NOW)
    assert finding.cause.endswith("443 passes, 22, 9001 does not")


def test_what_an_impostor_says_is_told():
    finding = diagnose([redirect(1), other_key(2)], NOW)
    assert finding.cause.endswith("no TLS or TLS with another certificate's key")


def told(number, offset, **where):
    return attempt(number, wall_s=NOW, told_s=NOW + offset, **where)


@pytest.mark.parametrize(
    ("offsets", "seconds", "words"),
    [
        ([5 * 3600] * 3, 5 * 3600, "about 5 h 0 min behind: 3 nodes say so"),
        ([-7200.0], -7200, "about 2 h 0 min ahead: 1 node says so"),
        ([600, 0, 601], 600, "about 10 min behind"),
        ([86_400 * 400, 0, 1], None, ""),
        ([CLOCK_TOLERANCE_S - 1], None, ""),
        ([], None, ""),
    ],
)
def test_the_clock_is_judged_by_the_median(offsets, seconds, words):
    skew = clock_skew([told(n, offset) for n, offset in enumerate(offsets)], NOW)
    if seconds is None:
        assert skew is None
    else:
        assert skew.seconds == seconds
        assert words in skew.cause


def test_old_words_about_the_clock_are_forgotten():
    assert clock_skew([told(1, 7200, at=NOW - WINDOW_S)], NOW) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (45, "about 45 s"),
        (600, "about 10 min"),
        (5 * 3600 + 59, "about 5 h 1 min"),
        (40 * 86_400, "about 40 days"),
    ],
)
def test_durations_in_words(seconds, words):
    assert in_words(seconds) == words
