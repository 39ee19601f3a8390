"""Key generations: vectors, every legal change, and refusal of every other."""

import json
import secrets
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.htx import frames
from node.htx.record import RecordType
from node.htx.rekey import KeySchedule, RekeyLimits, RekeyState
from qnet.crypto.kdf import Label, derive_key
from qnet.crypto.keys import DhKey
from qnet.errors import CryptoError, RemoteProtocolError
from qnet.parameters import NetworkParameters

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "htx" / "rekey.json").read_text())[
    "vectors"
]
PARAMETERS = NetworkParameters.profile("main")


def schedule(*, initiator, root=bytes(32), random=secrets.token_bytes, parameters=PARAMETERS):
    limits = RekeyLimits.of(parameters, initiator=initiator)
    return KeySchedule(root, initiator=initiator, limits=limits, random=random, now=0.0)


def dialler(**options):
    return schedule(initiator=True, **options)


def acceptor(**options):
    return schedule(initiator=False, **options)


def use(side):
    side.sealer.seal(RecordType.PADDING, b"")


def test_vectors():
    secrets_of = {
        name: [bytes.fromhex(item[f"{name}_secret"]) for item in VECTORS[:-1]]
        for name in ("initiator", "responder")
    }
    sides = {
        name: schedule(
            initiator=name == "initiator",
            root=bytes.fromhex(VECTORS[0]["root"]),
            random=lambda _size, queue=secrets_of[name]: queue.pop(0),
        )
        for name in ("initiator", "responder")
    }
    first, second = sides["initiator"], sides["responder"]
    for at, vector in enumerate(VECTORS):
        root = bytes.fromhex(vector["root"])
        assert first._root == second._root == root
        assert derive_key(Label.HTX_DATA_INITIATOR, root).hex() == vector["initiator_key"]
        assert derive_key(Label.HTX_DATA_RESPONDER, root).hex() == vector["responder_key"]
        if at == len(VECTORS) - 1:
            break
        offer = first.start(100.0 * at)
        assert offer.share.hex() == vector["initiator_share"]
        answer = second.receive_update(offer, 100.0 * (at + 1))
        assert answer.share.hex() == vector["responder_share"]
        second.switch_sealer()
        assert first.receive_update(answer, 100.0 * (at + 1)) is None
        first.switch_sealer()
        first.receive_switch(at + 1, 100.0 * (at + 1))
        second.receive_switch(at + 1, 100.0 * (at + 1))


def test_crossing_updates_answer_each_other():
    first, second = dialler(), acceptor()
    one, two = first.start(600), second.start(600)
    for side, update in ((first, two), (second, one)):
        assert side.receive_update(update, 601) is None
        side.switch_sealer()
    for side in (first, second):
        side.receive_switch(1, 602)
        assert (side.generation, side.rekeys, side.state) == (1, 1, RekeyState.SETTLED)
    sealed = first.sealer.seal(RecordType.PADDING, b"")
    second.opener.open(sealed[:4], memoryview(sealed)[4:])


def test_keys_are_erased_once_and_for_all():
    side = dialler()
    use(side)
    side.erase()
    side.erase()
    assert not hasattr(side, "sealer")
    assert not hasattr(side, "opener")


def test_the_initiator_starts_at_ten_minutes_and_the_responder_at_eleven():
    first, second = dialler(), acceptor()
    for side in (first, second):
        assert not side.due(10_000)
        assert side.next_tick() == float("inf")
        use(side)
    assert not first.due(599)
    assert first.due(600)
    assert first.next_tick() == 600
    assert not second.due(659)
    assert second.due(660)


def test_records_and_bytes_call_for_new_keys():
    few = PARAMETERS.with_value("link_rekey_records", 1 << 10)
    side = dialler(parameters=few)
    for _ in range(1 << 10):
        assert not side.due(1)
        use(side)
    assert side.due(1)
    small = PARAMETERS.with_value("link_rekey_bytes", 1 << 20)
    side = dialler(parameters=small)
    while side.sealer.sealed_bytes < 1 << 20:
        assert not side.due(1)
        side.sealer.seal_cells([bytes(2048)] * 7)
    assert side.due(1)


def test_an_update_is_accepted_once_a_minute_unless_volume_calls_for_it():
    side = acceptor()
    update = frames.KeyUpdate(1, DhKey(secrets.token_bytes(32)).public)
    with pytest.raises(RemoteProtocolError, match="too soon"):
        side.receive_update(update, 59.9)
    assert acceptor().receive_update(update, 60) is not None
    busy = acceptor(parameters=PARAMETERS.with_value("link_rekey_records", 1 << 10))
    for _ in range(600):
        use(busy)
    assert busy.receive_update(update, 1) is not None


def test_a_peer_that_does_not_finish_expires():
    side = dialler()
    assert not side.expired(10**6)
    side.start(600)
    assert not side.due(10**6)
    assert side.next_tick() == 660
    assert not side.expired(659)
    assert side.expired(660)


def share():
    return DhKey(secrets.token_bytes(32)).public


def test_everything_else_is_a_breach():
    settled, offered, switching = dialler(), dialler(), dialler()
    offered.start(600)
    switching.start(600)
    switching.receive_update(frames.KeyUpdate(1, share()), 600)
    switching.switch_sealer()
    for side in (settled, offered):
        with pytest.raises(RemoteProtocolError):
            side.receive_switch(1, 600)
    for generation in (0, 2, 2**32 - 1):
        for side in (settled, offered):
            with pytest.raises(RemoteProtocolError):
                side.receive_update(frames.KeyUpdate(generation, share()), 600)
    with pytest.raises(RemoteProtocolError):
        switching.receive_update(frames.KeyUpdate(1, share()), 600)
    with pytest.raises(RemoteProtocolError):
        switching.receive_switch(2, 600)
    with pytest.raises(CryptoError):
        settled.receive_update(frames.KeyUpdate(1, bytes(32)), 600)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=12))
def test_generations_never_repeat_a_key(steps):
    roots = set()
    first, second = dialler(), acceptor()
    now = 0.0
    for first_starts, wait in steps:
        now += 60 + wait
        starter, other = (first, second) if first_starts else (second, first)
        answer = other.receive_update(starter.start(now), now)
        other.switch_sealer()
        starter.receive_update(answer, now)
        starter.switch_sealer()
        starter.receive_switch(other.generation + 1, now)
        other.receive_switch(starter.generation, now)
        assert first._root == second._root
        assert first._root not in roots
        roots.add(first._root)
