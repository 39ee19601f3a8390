"""Who takes part in the simulated network, and what attackers do differently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from ledger.domain.stake import Pool
from ledger.domain.state import CIRCUIT_ROLES, NodeState
from qnet.messages.descriptor import Role
from qnet.parameters import NetworkParameters

SCALE: Final = 100
"""The simulated network is the main network divided by this: slots and emission alike."""
BOND_DIVISOR: Final = 4
"""An ordinary node's own bond is Z divided by this; delegators fill up the rest."""
PROBE_LOSS: Final = 0.002
"""Share of circuits that fail by nobody's fault at one hop."""


class Side(Enum):
    """Whose node it is."""

    HONEST = "honest"
    ATTACKER = "attacker"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a node serves.

    Attributes:
        drops: Share of circuits that it lets die.
        offers: Rate it can carry, as a share of `capacity_reference_kbps`.
    """

    drops: float = 0.0
    offers: float = 1.0


HONEST: Final = Behaviour()


@dataclass(frozen=True, slots=True)
class Attack:
    """What a coalition of operators does.

    Attributes:
        name: Kind of attack.
        level: How strong, in words.
        behaviour: How its nodes serve.
        forges: Its nodes sign receipts for each other without traffic.
        one_owner: All its nodes belong to one address.
        buys: Circuits it sends through its own nodes, as a share of all users' circuits.
        auditors: Committee members it holds; they lie for its nodes and against all others.
        hurts: Share of its rivals' circuits that it makes fail from outside.
        waits: Nodes without a paid slot that it holds ready in each role.
        equivocates_at: Epoch in which each of its nodes signs two receipts for one tuple.
        parts: Nodes over which it splits the bond of one.
        self_bonded: Whether its operators bond all of Z themselves.
    """

    name: str
    level: str = ""
    behaviour: Behaviour = HONEST
    forges: bool = False
    one_owner: bool = False
    buys: float = 0.0
    auditors: int = 0
    hurts: float = 0.0
    waits: int = 0
    equivocates_at: int | None = None
    parts: int = 1
    self_bonded: bool = False

    @property
    def label(self) -> str:
        """Name and level."""
        return f"{self.name}, {self.level}" if self.level else self.name

    @property
    def counterpart(self) -> Attack:
        """The same operators with the same stake, all honest, with no more nodes than slots."""
        return Attack("honest", self_bonded=self.self_bonded)


NO_ATTACK: Final = Attack("honest")


@dataclass(slots=True)
class Agent:
    """One node and what became of it so far.

    Attributes:
        index: Registry index.
        owner: Operator's address, 20 bytes.
        role: What it does.
        side: Whose it is.
        rank: Place among the operators of its role; parts of one operator share it.
        behaviour: How it serves.
        bond_wei: Own bond.
        pool: Delegations.
        state: In the registry.
        slot: Whether it holds a paid slot.
        jailed_until: Epoch in which a jail term ends.
        slashed_wei: Own bond lost.
        operator_wei: Paid to the operator.
        pool_wei: Paid to delegators.
        cells: Carried.
        lived: Epochs in which it ran.
    """

    index: int
    owner: bytes
    role: Role
    side: Side
    rank: int
    behaviour: Behaviour
    bond_wei: int
    pool: Pool
    state: NodeState = NodeState.ACTIVE
    slot: bool = True
    jailed_until: int = 0
    slashed_wei: int = 0
    operator_wei: int = 0
    pool_wei: int = 0
    cells: int = 0
    lived: int = 0
    w_sum: int = field(default=0)
    p_sum: int = field(default=0)

    @property
    def attacks(self) -> bool:
        """Whether it belongs to the coalition."""
        return self.side is Side.ATTACKER


def scaled_parameters(scale: int = SCALE) -> NetworkParameters:
    """The main network's parameters with slots and emission divided."""
    main = NetworkParameters.profile("main")
    for name in ("slots_entry", "slots_relay", "slots_mix", "slots_exit", "emission_wei"):
        main = main.with_value(name, max(1, getattr(main, name) // scale))
    return main


def role_counts(parameters: NetworkParameters) -> dict[Role, int]:
    """Paid slots of the roles that stand in circuits."""
    return {
        Role.ENTRY: parameters.slots_entry,
        Role.RELAY: parameters.slots_relay,
        Role.EXIT: parameters.slots_exit,
    }


def operators_of(share: float, slots: int) -> int:
    """Operators of a role that a share of it makes; at least one unless the share is 0."""
    return max(1, round(share * slots)) if share > 0 else 0


def populate(attack: Attack, share: float, parameters: NetworkParameters) -> list[Agent]:
    """Fill every slot of every role; the first operators of each are the attacker's.

    Parts beyond the first, and nodes that wait, come on top of the slots' number.
    """
    agents: list[Agent] = []
    for role in CIRCUIT_ROLES:
        slots = role_counts(parameters)[role]
        ours = operators_of(share, slots)
        for rank in range(slots):
            parts = attack.parts if rank < ours else 1
            for _ in range(parts):
                agents.append(_agent(len(agents) + 1, role, rank, attack, ours, parameters))
        for _ in range(attack.waits if ours else 0):
            agent = _agent(len(agents) + 1, role, slots, attack, slots + 1, parameters)
            agent.slot = False
            agents.append(agent)
    return agents


def _agent(
    index: int,
    role: Role,
    rank: int,
    attack: Attack,
    ours: int,
    parameters: NetworkParameters,
) -> Agent:
    reference = parameters.stake_reference_wei
    attacks = rank < ours
    whole = attacks and attack.self_bonded
    bond = reference // attack.parts if whole else reference // BOND_DIVISOR
    pool = Pool() if whole else Pool().deposited(reference - bond, 0)[0]
    shared = attacks and (attack.one_owner or attack.parts > 1)
    owner = b"\xff" * 16 + rank.to_bytes(4, "big") if shared and attack.parts > 1 else b""
    if shared and attack.one_owner:
        owner = b"\xff" * 20
    return Agent(
        index=index,
        owner=owner or index.to_bytes(20, "big"),
        role=role,
        side=Side.ATTACKER if attacks else Side.HONEST,
        rank=rank,
        behaviour=attack.behaviour if attacks else Behaviour(drops=attack.hurts),
        bond_wei=bond,
        pool=pool,
    )


def coalition(agents: Sequence[Agent]) -> list[Agent]:
    """The attacker's nodes."""
    return [agent for agent in agents if agent.attacks]
