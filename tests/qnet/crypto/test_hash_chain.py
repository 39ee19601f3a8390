import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from qnet.crypto import hash_chain
from qnet.crypto.errors import HashChainError, PreimageError, StepOrderError, StepRangeError
from qnet.crypto.hash_chain import CHAIN_UNITS, ChainMeter, HashChain, verify, verify_next
from qnet.crypto.keys import keccak256
from qnet.errors import LocalProtocolError

seeds = st.binary(min_size=32, max_size=32)
steps = st.integers(1, CHAIN_UNITS)
CHAIN = HashChain(bytes(range(32)))


def hashed(value, times):
    for _ in range(times):
        value = keccak256(value)
    return value


@given(seeds)
def test_the_top_is_64_hashes_above_the_seed(seed):
    chain = HashChain(seed)
    assert chain.top == hashed(seed, 64)
    assert chain.preimage(64) == seed
    assert keccak256(chain.preimage(1)) == chain.top


@given(seeds, steps)
def test_every_preimage_pays_its_own_step_only(seed, k):
    chain = HashChain(seed)
    verify(chain.top, k, chain.preimage(k))
    for other in {k - 1, k + 1} - {0, 65}:
        with pytest.raises(PreimageError):
            verify(chain.top, other, chain.preimage(k))


@given(steps, steps)
def test_a_later_preimage_is_checked_against_an_earlier_one(a, b):
    low, high = sorted((a, b))
    if low == high:
        with pytest.raises(StepOrderError):
            verify_next(CHAIN.preimage(low), low, high, CHAIN.preimage(high))
        return
    verify_next(CHAIN.preimage(low), low, high, CHAIN.preimage(high))
    with pytest.raises(StepOrderError):
        verify_next(CHAIN.preimage(high), high, low, CHAIN.preimage(low))


@pytest.mark.parametrize("k", [0, -1, 65, 1 << 64])
def test_steps_out_of_range_cost_no_hash(monkeypatch, k):
    def never(value):
        raise AssertionError("hashed")

    monkeypatch.setattr(hash_chain, "keccak256", never)
    with pytest.raises(StepRangeError):
        verify(CHAIN.top, k, bytes(32))
    with pytest.raises(StepRangeError):
        CHAIN.preimage(k)
    with pytest.raises(StepOrderError):
        verify_next(CHAIN.top, 5, 5, bytes(32))


def test_a_lower_limit():
    verify(CHAIN.top, 10, CHAIN.preimage(10), limit=10)
    with pytest.raises(StepRangeError):
        verify(CHAIN.top, 11, CHAIN.preimage(11), limit=10)


@given(seeds, steps, st.integers(0, 255))
def test_wrong_preimages(seed, k, bit):
    wrong = bytearray(CHAIN.preimage(k))
    wrong[bit // 8] ^= 1 << bit % 8
    for preimage in (bytes(wrong), seed, b"", bytes(31), CHAIN.preimage(k) + b"\x00"):
        if preimage != CHAIN.preimage(k):
            with pytest.raises(PreimageError):
                verify(CHAIN.top, k, preimage)


@pytest.mark.parametrize("seed", [b"", bytes(31), bytes(33)])
def test_seeds_have_32_bytes(seed):
    with pytest.raises(LocalProtocolError):
        HashChain(seed)


def test_the_next_step_costs_one_hash(monkeypatch):
    count = 0

    def counted(value):
        nonlocal count
        count += 1
        return keccak256(value)

    meter = ChainMeter(CHAIN.top)
    meter.accept(40, CHAIN.preimage(40))
    monkeypatch.setattr(hash_chain, "keccak256", counted)
    assert meter.accept(41, CHAIN.preimage(41)) == 1
    assert count == 1


class Metering(RuleBasedStateMachine):
    """A payee sees payments in any order, replays and forgeries; only progress counts."""

    def __init__(self):
        super().__init__()
        self.chain = HashChain(secrets.token_bytes(32))
        self.meter = ChainMeter(self.chain.top)
        self.paid = 0

    @rule(k=st.integers(-1, 66), shift=st.integers(-2, 2))
    def pay(self, k, shift):
        shown = min(max(k + shift, 1), CHAIN_UNITS)
        preimage = self.chain.preimage(shown)
        if 1 <= k <= CHAIN_UNITS and k > self.paid and shown == k:
            assert self.meter.accept(k, preimage) == k - self.paid
            self.paid = k
        else:
            with pytest.raises(HashChainError):
                self.meter.accept(k, preimage)

    @invariant()
    def highest_is_kept(self):
        assert self.meter.k == self.paid
        if self.paid:
            verify(self.chain.top, self.meter.k, self.meter.preimage)
        else:
            assert self.meter.preimage == self.chain.top


TestMetering = Metering.TestCase
