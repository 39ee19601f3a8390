"""NetworkParameters: every period and bound of the protocol, in one document.

The committee signs it inside each consensus, the contract `Parameters` holds the same keys and
values, and both compute the same hash. Holders change a value by vote, within its bounds.
"""

from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Literal, Self

from qnet.crypto.keys import keccak256
from qnet.errors import ConfigError, DecodeError, NotFoundError, UsageError

DEVNET_CHAIN_ID: Final = 31337
"""The only chain on which the scaled-down devnet profile is accepted."""

_DAY: Final = 86_400
_QNET: Final = 10**18

Profile = Literal["main", "devnet"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Defaults and limits of one parameter, all integers in the unit its name ends with."""

    main: int
    devnet: int
    low: int
    high: int
    meaning: str
    is_period: bool = False

    def low_on(self, chain_id: int) -> int:
        """Least value on a chain: no vote may shrink a real network's periods to a moment.

        A devnet runs in seconds. Everywhere else a period stays above a quarter of its default.
        """
        if chain_id == DEVNET_CHAIN_ID or not self.is_period:
            return self.low
        return max(self.low, self.main // MAIN_PERIOD_DIVISOR)


def _p(main: int, devnet: int, low: int, high: int, meaning: str) -> Any:
    return field(metadata={"bounds": Bounds(main, devnet, low, high, meaning)})


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkParameters:
    """All parameters of a network; see `Bounds.meaning` of each field."""

    # calendar
    slot_s: int = _p(3600, 5, 1, _DAY, "length of a slot")
    slots_per_epoch: int = _p(24, 6, 1, 24, "slots in an epoch")
    key_phase_s: int = _p(600, 10, 5, 3600, "life of a node's onion keys")
    consensus_interval_s: int = _p(3600, 30, 10, _DAY, "time between two consensuses")
    descriptor_lead_s: int = _p(600, 6, 1, 3600, "descriptors are due this long before one")
    receipt_grace_s: int = _p(7200, 4, 1, _DAY, "receipts are accepted this long after their slot")
    audit_commit_s: int = _p(1800, 3, 1, _DAY, "auditors commit within this time after the slot")
    audit_reveal_s: int = _p(3600, 5, 1, _DAY, "auditors reveal within this time after the slot")
    report_deadline_s: int = _p(43_200, 90, 10, 7 * _DAY, "a report may be submitted this long")
    challenge_window_s: int = _p(259_200, 6, 1, 30 * _DAY, "between submission and finality")
    unbond_s: int = _p(21 * _DAY, 60, 1, 90 * _DAY, "between unbonding and withdrawal")
    agreement_timeout_s: int = _p(60, 4, 1, 3600, "a committee leader's time before the next one")
    # links
    link_rekey_s: int = _p(600, 20, 5, 3600, "age of a link key at which it is replaced")
    link_rekey_records: int = _p(1 << 20, 1 << 20, 1 << 10, 1 << 32, "records under one link key")
    link_rekey_bytes: int = _p(8 << 30, 8 << 30, 1 << 20, 1 << 40, "bytes under one link key")
    link_handshake_s: int = _p(10, 10, 1, 60, "deadline of TLS, admission and Noise together")
    link_queue_bytes: int = _p(8 << 20, 8 << 20, 1 << 16, 1 << 30, "unsent bytes kept per link")
    cover_min_ms: int = _p(200, 200, 1, 60_000, "earliest dummy record after traffic stops")
    cover_max_ms: int = _p(1200, 1200, 1, 60_000, "latest dummy record after traffic stops")
    ping_min_s: int = _p(10, 10, 1, 3600, "shortest interval of health checks between nodes")
    ping_max_s: int = _p(60, 20, 1, 3600, "longest interval of health checks between nodes")
    # circuits
    circuit_rekey_s: int = _p(600, 20, 5, 3600, "age of circuit keys at which they are replaced")
    circuit_build_s: int = _p(10, 10, 1, 120, "deadline of building a circuit")
    circuit_idle_s: int = _p(300, 300, 5, 3600, "a circuit without streams is closed after this")
    circuit_max_age_s: int = _p(600, 120, 10, 7200, "no new streams on a circuit older than this")
    stream_connect_s: int = _p(15, 15, 1, 120, "deadline of an exit's connection")
    streams_per_circuit_max: int = _p(512, 512, 1, 65_535, "open streams in one circuit")
    circuits_per_link_max: int = _p(65_536, 65_536, 1, 1 << 30, "open circuits on one link")
    circuit_window_max_cells: int = _p(2048, 2048, 16, 65_536, "largest credit of a circuit")
    stream_window_cells: int = _p(8192, 8192, 16, 65_536, "largest credit of one stream")
    pool_bytes: int = _p(256 << 20, 256 << 20, 1 << 20, 64 << 30, "queued cells of one process")
    premium_weight: int = _p(4, 4, 1, 64, "share of a premium circuit against a free one")
    dns_ttl_min_s: int = _p(60, 60, 0, _DAY, "an exit keeps an answer at least this long")
    dns_ttl_max_s: int = _p(1800, 1800, 1, _DAY, "an exit keeps an answer at most this long")
    anonymity_set_min_users: int = _p(1000, 1000, 1, 10**9, "clients warn below this")
    # audits and rewards
    audits_per_slot: int = _p(11, 3, 1, 64, "members that probe each target in each slot")
    probes_per_slot: int = _p(12, 2, 1, 1000, "probes of each target by each of these members")
    audit_latency_max_ms: int = _p(5000, 5000, 10, 60_000, "a slower probe counts as failed")
    capacity_burst_bytes: int = _p(
        64 << 20, 1 << 20, 1 << 16, 1 << 30, "size of one capacity burst"
    )
    capacity_reference_kbps: int = _p(
        100_000, 10_000, 1, 10**9, "measured rate that gives beta = 1"
    )
    emission_wei: int = _p(240_000 * _QNET, 10_000 * _QNET, 0, 10**27, "budget of one epoch")
    weight_entry_ppm: int = _p(250_000, 250_000, 0, 10**6, "entries' share of the budget")
    weight_relay_ppm: int = _p(250_000, 250_000, 0, 10**6, "relays' share of the budget")
    weight_mix_ppm: int = _p(200_000, 200_000, 0, 10**6, "mixes' share of the budget")
    weight_exit_ppm: int = _p(300_000, 300_000, 0, 10**6, "exits' share of the budget")
    slots_entry: int = _p(2500, 8, 1, 10**6, "paid entries")
    slots_relay: int = _p(2500, 8, 1, 10**6, "paid relays")
    slots_mix: int = _p(1500, 8, 1, 10**6, "paid mixes")
    slots_exit: int = _p(1000, 8, 1, 10**6, "paid exits")
    stake_reference_wei: int = _p(
        100_000 * _QNET, 10_000 * _QNET, _QNET, 10**27, "Z: stake at which sigma reaches 1"
    )
    min_bond_wei: int = _p(10_000 * _QNET, 1000 * _QNET, _QNET, 10**27, "least own bond, Z/10")
    register_fee_wei: int = _p(
        100 * _QNET, 10 * _QNET, 0, 10**24, "burned for every node registered"
    )
    committee_bond_wei: int = _p(
        1_000_000 * _QNET, 50_000 * _QNET, _QNET, 10**27, "each member's bond"
    )
    alpha_ppm: int = _p(300_000, 300_000, 0, 10**6, "weight of the own bond in the reward")
    link_clip_ppm: int = _p(
        1_500_000, 1_500_000, 10**6, 10**7, "a node is credited up to this x its share"
    )
    work_target_ppm: int = _p(
        850_000, 850_000, 1, 10**6, "share of expected traffic that gives W = 1"
    )
    delegation_factor: int = _p(9, 9, 0, 1000, "delegation counts up to this x the own bond")
    cost_max_wei: int = _p(5 * _QNET, 50 * _QNET, 0, 10**27, "most an operator may take first")
    margin_min_ppm: int = _p(100_000, 100_000, 0, 10**6, "least margin of an operator")
    terms_delay_s: int = _p(
        21 * _DAY, 60, 1, 90 * _DAY, "new terms of a node count this much later"
    )
    stream_s: int = _p(7 * _DAY, 30, 1, 90 * _DAY, "rewards of delegators stream this long")
    slot_edge_ppm: int = _p(100_000, 100_000, 0, 10**7, "more stake that takes a paid slot")
    traffic_floor_cells: int = _p(1_000_000, 2000, 0, 10**15, "below this N, W = 1 for everybody")
    reputation_start_ppm: int = _p(250_000, 250_000, 0, 10**6, "reputation of a new node")
    reputation_rise: int = _p(30, 30, 1, 1000, "reputation rises by (q - rho) / this")
    reputation_fall: int = _p(6, 6, 1, 1000, "reputation falls by (rho - q) / this")
    # disputes
    evidence_s: int = _p(14 * _DAY, 60, 1, 30 * _DAY, "age at which evidence is too old")
    escrow_s: int = _p(7 * _DAY, 10, 1, 90 * _DAY, "a slash waits this long for a veto")
    challenge_bond_wei: int = _p(2400 * _QNET, 100 * _QNET, 1, 10**27, "a challenger's bond")
    challenge_open_s: int = _p(_DAY, 20, 1, 7 * _DAY, "time to show a proof after committing to it")
    demand_answer_s: int = _p(_DAY, 3, 1, 7 * _DAY, "time to show a leaf that somebody demands")
    slash_receipts_ppm: int = _p(
        50_000, 50_000, 0, 10**6, "bond lost by two receipts for one tuple"
    )
    slash_cap_ppm: int = _p(100_000, 100_000, 0, 10**6, "most a node loses in a window")
    slash_window_s: int = _p(30 * _DAY, 300, 1, 365 * _DAY, "window of that cap")
    challenger_ppm: int = _p(50_000, 50_000, 0, 500_000, "a challenger's part of a slash")
    jail_s: int = _p(7 * _DAY, 60, 1, 90 * _DAY, "term of a jailed node")
    # governance
    voting_delay_s: int = _p(2 * _DAY, 3, 0, 30 * _DAY, "between proposal and vote")
    voting_period_s: int = _p(7 * _DAY, 12, 2, 30 * _DAY, "length of a vote")
    late_extension_s: int = _p(2 * _DAY, 3, 0, 30 * _DAY, "extension after a late quorum")
    timelock_s: int = _p(2 * _DAY, 4, 1, 60 * _DAY, "between queue and execution")
    proposal_threshold_ppm: int = _p(
        2500, 2500, 100, 10**5, "share of the supply needed to propose"
    )
    quorum_ppm: int = _p(40_000, 40_000, 10_000, 10**6, "share of the supply that must take part")

    def __post_init__(self) -> None:
        """Refuse values outside their bounds.

        Raises:
            ConfigError: the field and its bounds.
        """
        for name, bounds in BOUNDS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise ConfigError(f"parameter {name} is not an integer")
            if not bounds.low <= value <= bounds.high:
                raise ConfigError(
                    f"parameter {name} = {value} is out of bounds",
                    why=f"it must lie between {bounds.low} and {bounds.high}",
                )

    @classmethod
    def profile(cls, name: Profile) -> Self:
        """Return the defaults of the main network or of a devnet."""
        return cls(**{key: getattr(bounds, name) for key, bounds in BOUNDS.items()})

    @classmethod
    def from_map(cls, values: dict[str, int]) -> Self:
        """Build from a complete map.

        Raises:
            DecodeError: keys are missing or unknown, or a value is out of bounds.
        """
        if set(values) != set(BOUNDS):
            odd = sorted(set(values) ^ set(BOUNDS))[:3]
            raise DecodeError(f"parameters do not match this version: {', '.join(odd)}")
        try:
            return cls(**values)
        except ConfigError as error:
            raise DecodeError(error.message, why=error.why) from error

    def to_map(self) -> dict[str, int]:
        """Return name → value in declared order."""
        return {name: getattr(self, name) for name in BOUNDS}

    def with_value(self, name: str, value: int) -> Self:
        """Return a copy with one value replaced.

        Raises:
            NotFoundError: no such parameter.
            UsageError: the value is out of bounds.
        """
        if name not in BOUNDS:
            raise NotFoundError(f"no parameter {name!r}", try_=("qnet gov params",))
        try:
            return replace(self, **{name: value})
        except ConfigError as error:
            raise UsageError(error.message, why=error.why) from error

    def hash(self) -> bytes:
        """keccak256(abi.encode(bytes32[] keys, uint256[] values)), as `Parameters` computes it."""
        keys = b"".join(parameter_key(name) for name in BOUNDS)
        values = b"".join(getattr(self, name).to_bytes(32, "big") for name in BOUNDS)
        count = len(BOUNDS).to_bytes(32, "big")
        offsets = (64).to_bytes(32, "big") + (96 + len(keys)).to_bytes(32, "big")
        return keccak256(offsets + count + keys + count + values)

    def check_chain(self, chain_id: int) -> None:
        """Refuse scaled-down periods on any chain but the devnet's.

        Raises:
            ConfigError: a period is shorter than the chain allows.
        """
        for name, bounds in BOUNDS.items():
            if getattr(self, name) < bounds.low_on(chain_id):
                raise ConfigError(
                    f"the devnet profile is refused on chain {chain_id}",
                    why=f"{name} must be at least {bounds.low_on(chain_id)} there",
                )


MAIN_PERIOD_DIVISOR: Final = 4
BOUNDS: Final[dict[str, Bounds]] = {
    item.name: replace(item.metadata["bounds"], is_period=item.name.endswith("_s"))
    for item in fields(NetworkParameters)
}


def parameter_key(name: str) -> bytes:
    """On-chain key of a parameter: its ASCII name, padded with zeros to 32 bytes."""
    return name.encode("ascii").ljust(32, b"\x00")
