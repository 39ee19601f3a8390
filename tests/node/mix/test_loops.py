import secrets
from math import comb

import pytest

from node.mix.loops import (
    FALSE_ALARM,
    HONEST_LOSS_PPM,
    MAX_WAITING,
    RECOVERY,
    WINDOW,
    LoopWatch,
    alarm_threshold,
    chance_of_losses,
)
from node.mix.packet import Routing
from node.mix.route import Route, build_header
from node.mix.unwrap import Forward
from tests.node.mix.mixes import PHASE, Mixes
from tests.node.mix.seeded import seeded


def loop():
    return secrets.token_bytes(16)


def test_the_chance_of_losses():
    assert chance_of_losses(10, 0) == pytest.approx(1)
    exact = comb(3, 3) * 0.02**3 + comb(3, 2) * 0.02**2 * 0.98
    assert chance_of_losses(3, 2) == pytest.approx(exact)


def test_thresholds_keep_the_rate_of_false_alarms():
    assert alarm_threshold(WINDOW) == 12
    for judged in range(1, WINDOW + 1):
        lost = alarm_threshold(judged)
        assert chance_of_losses(judged, lost) <= FALSE_ALARM
        assert lost == 0 or chance_of_losses(judged, lost - 1) > FALSE_ALARM
    assert alarm_threshold(1) == 2


def test_an_honest_network_does_not_alarm():
    """100,000 loops at honest loss: a false alarm would come once in 2,000 such runs."""
    watch, random = LoopWatch(), seeded(12)
    for number in range(100_000):
        name = number.to_bytes(16, "big")
        watch.expect(name, number + 0.5)
        if int.from_bytes(random(4), "big") >= HONEST_LOSS_PPM * 2**32 // 10**6:
            assert watch.passed(name)
        assert not watch.report(number + 1.0).alarm
    assert watch.sent == 100_000
    assert 97_500 < watch.returned < 98_500


def test_an_n_minus_1_attack_is_seen():
    """From one moment on nothing but the attacker's packets and one victim's comes in."""
    watch = LoopWatch()
    for number in range(WINDOW):
        name = loop()
        watch.expect(name, number + 0.5)
        watch.passed(name)
    alarms = []
    for number in range(20):
        watch.expect(loop(), 1000.0 + number)
        alarms.append(watch.report(1000.0 + number).alarm)
    assert alarms == [False] * 11 + [True] * 9
    for number in range(WINDOW):
        name = loop()
        watch.expect(name, 3000.0 + number)
        watch.passed(name)
    assert not watch.report(4000.0).alarm


def test_delaying_is_losing():
    watch, name = LoopWatch(), loop()
    watch.expect(name, 5.0)
    assert watch.next_at == 5.0
    assert watch.report(5.0).lost == 1
    assert not watch.passed(name)
    assert watch.next_at is None


def test_a_changed_payload_counts_as_lost():
    watch, name = LoopWatch(), loop()
    watch.expect(name, 5.0)
    assert watch.passed(name, intact=False)
    report = watch.report(9.0)
    assert (report.judged, report.lost, watch.changed, watch.returned) == (1, 1, 1, 0)


def test_others_packets_are_no_loops_and_waiting_ones_are_bounded():
    watch = LoopWatch()
    assert not watch.passed(loop())
    assert all(watch.expect(loop(), 1.0) for _ in range(MAX_WAITING))
    assert not watch.expect(loop(), 1.0)
    assert (watch.refused, watch.sent) == (1, MAX_WAITING)
    assert watch.report(1.0).judged == WINDOW
    assert watch.expect(loop(), 2.0)


def test_a_mix_knows_its_own_loop_when_it_passes():
    """A loop of mix 2: its own hop sees the replay tag that it foresaw, and passes it on."""
    mixes, watch = Mixes(), LoopWatch()
    built = build_header(mixes.route(), secrets.token_bytes)
    packet = built.prefix + built.header + secrets.token_bytes(2064)
    watch.expect(built.keys[1].replay_tag, 1.0)
    first, second, last = mixes.carry(packet)
    assert isinstance(second, Forward)
    assert [watch.passed(result.replay_tag) for result in (first, second, last)] == [
        False,
        True,
        False,
    ]


def test_a_route_says_how_long_it_takes():
    route = Mixes().route(delays=(5, 6, 7))
    assert isinstance(route, Route)
    assert route.delay_ms == 18
    assert (route.phase, Routing(1, 2).delivery_id) == (PHASE, b"")


def judged(watch, outcomes, start):
    """Let loops pass or go missing, one a second; returns whether each moment was an alarm."""
    alarms = []
    for number, passes in enumerate(outcomes, start):
        name = loop()
        watch.expect(name, number + 0.5)
        if passes:
            watch.passed(name)
        alarms.append(watch.report(number + 1.0).alarm)
    return alarms


def test_an_alarm_ends_when_loops_pass_again():
    watch = LoopWatch()
    assert judged(watch, [False] * 20, 0)[-1]
    assert judged(watch, [True] * (RECOVERY - 1), 20)[-1]
    assert judged(watch, [True], 30) == [False]


def test_who_attacks_again_and_again_waits_longer_each_time():
    watch, now = LoopWatch(), 0

    def attack():
        nonlocal now
        assert judged(watch, [False] * WINDOW, now)[-1]
        now += WINDOW
        wait = 0
        while watch.is_alarmed:
            judged(watch, [True], now)
            now += 1
            wait += 1
        return wait

    waits = [attack() for _ in range(6)]
    assert waits[:3] == [RECOVERY, 2 * RECOVERY, 4 * RECOVERY]
    assert max(waits) <= WINDOW
    judged(watch, [True] * WINDOW, now)
    now += WINDOW
    assert attack() == RECOVERY
