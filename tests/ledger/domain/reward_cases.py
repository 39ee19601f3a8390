"""Random cases of the reward rules with what Python makes of them, for PySolRewardEqual.

    python -m tests.ledger.domain.reward_cases SEED COUNT

Prints the ABI encoding of `PySolRewardEqual.Case[]` (tests/invariants/reporting) as hexadecimal
digits. Half of the cases lie within the bounds of the network, half are as large as the contract's
arithmetic allows; edges are drawn as often as what lies between them.
"""

import random
import sys
from types import SimpleNamespace
from typing import Final, cast

from ledger.domain.audits import epoch_performance
from ledger.domain.reputation import next_reputation
from ledger.domain.rewards import reward, role_budget, split
from ledger.domain.state import P_ONE, M, NodeState, counted_stake
from qnet.messages.descriptor import Role
from qnet.messages.report import pack_slot_p
from qnet.parameters import NetworkParameters

WORD: Final = 1 << 256
SUPPLY_WEI: Final = 10**27
SLOTS_MAX: Final = 24
WEIGHTS: Final = {
    Role.ENTRY: "weight_entry_ppm",
    Role.RELAY: "weight_relay_ppm",
    Role.MIX: "weight_mix_ppm",
    Role.EXIT: "weight_exit_ppm",
}


class Draw:
    """Numbers of one case.

    Args:
        source: of randomness.
        extreme: whether amounts and parameters leave the bounds of the network.
    """

    def __init__(self, source: random.Random, *, extreme: bool) -> None:
        self._source = source
        self._extreme = extreme

    def number(self, low: int, high: int, largest: int | None = None) -> int:
        """An edge, a number of few bits, or any number from `low` to `high` (or `largest`)."""
        if self._extreme and largest is not None:
            high = largest
        kind = self._source.randrange(4)
        if kind == 0:
            return self._source.choice([low, min(low + 1, high), max(high - 1, low), high])
        if kind == 1:
            return min(max(low, self._source.getrandbits(high.bit_length())), high)
        if kind == 2:
            bits = self._source.randrange(high.bit_length() + 1)
            return min(max(low, self._source.getrandbits(bits)), high)
        return self._source.randint(low, high)

    def slots(self) -> tuple[int, ...]:
        """P of the slots of an epoch, permille."""
        count = self.number(1, SLOTS_MAX)
        if self._source.randrange(4) == 0:
            return (self.number(0, P_ONE),) * count
        return tuple(self.number(0, P_ONE) for _ in range(count))

    def role(self) -> Role:
        """Any role."""
        return self._source.choice(list(Role))

    def state(self) -> NodeState:
        """Any state, Active ones as often as all others."""
        return self._source.choice([NodeState.ACTIVE] * len(NodeState) + list(NodeState))


def case(source: random.Random) -> list[int]:
    """Inputs of one case and what follows from them, in the order of `Case`."""
    draw = Draw(source, extreme=bool(source.getrandbits(1)))
    amount, role, slots = SUPPLY_WEI, draw.role(), draw.slots()
    weight, paid_slots = draw.number(0, M), draw.number(1, 10**6, (1 << 32) - 1)
    values = {
        WEIGHTS[role]: weight,
        "stake_reference_wei": draw.number(10**18, SUPPLY_WEI, WORD - 1),
        "alpha_ppm": draw.number(0, M, (1 << 64) - 1),
        "cost_max_wei": draw.number(0, SUPPLY_WEI, WORD - 1),
        "margin_min_ppm": draw.number(0, M),
        "reputation_start_ppm": draw.number(0, M),
        "reputation_rise": draw.number(1, 1000, (1 << 128) - 1),
        "reputation_fall": draw.number(1, 1000, (1 << 128) - 1),
    }
    defaults = dict.fromkeys(set(WEIGHTS.values()) - {WEIGHTS[role]}, 0)
    # values beyond the bounds, which a NetworkParameters refuses
    parameters = cast("NetworkParameters", SimpleNamespace(**values, **defaults))
    budget = draw.number(0, amount, WORD - 1)
    bonds = [draw.number(0, amount, (1 << 255) - 1) for _ in range(2)]
    pools = [draw.number(0, amount, (1 << 255) - 1) for _ in range(2)]
    factor, w = draw.number(0, 1000, WORD - 1), draw.number(0, M)
    cost, margin = draw.number(0, amount, WORD - 1), draw.number(0, M, (1 << 32) - 1)
    rho, state = draw.number(0, M, (1 << 32) - 1), draw.state()

    p = epoch_performance(slots)
    part = role_budget(budget, role, parameters)
    bond = min(bonds)
    stake = min(counted_stake(*at, factor) for at in zip(bonds, pools, strict=True))
    earned = reward(part, paid_slots, stake, bond, p, w, parameters)
    operator, pool = split(earned, p, w, cost, margin, bond, stake, parameters)
    after = next_reputation(rho, p, w, state, parameters)
    inputs = [pack_slot_p(slots), len(slots), budget, weight, paid_slots]
    inputs += [parameters.stake_reference_wei, parameters.alpha_ppm]
    inputs += [bonds[0], pools[0], bonds[1], pools[1], factor, w]
    inputs += [cost, parameters.cost_max_wei, margin, parameters.margin_min_ppm]
    inputs += [rho, state, parameters.reputation_start_ppm]
    inputs += [parameters.reputation_rise, parameters.reputation_fall]
    return [*inputs, p, part, stake, earned, operator, pool, after]


def encode(seed: int, count: int) -> bytes:
    """ABI encoding of `count` cases."""
    source = random.Random(seed)
    words = [32, count]
    for _ in range(count):
        words += case(source)
    return b"".join(word.to_bytes(32, "big") for word in words)


if __name__ == "__main__":
    sys.stdout.write(encode(int(sys.argv[1]), int(sys.argv[2])).hex())
