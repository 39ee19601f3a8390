"""Strategies and small networks for the tests of the reward rules."""

from dataclasses import replace

from coincurve import PrivateKey
from coincurve._libsecp256k1 import ffi
from hypothesis import strategies as st

from ledger.domain.blob import EpochData
from ledger.domain.state import (
    ChainSnapshot,
    NetworkState,
    NodeRecord,
    NodeState,
    NodeView,
)
from qnet.crypto.keys import ReceiptKey, keccak256
from qnet.eip712 import qnet_domain
from qnet.messages.audit import AuditResult, AuditReveal, CapacityResult
from qnet.messages.descriptor import Role
from qnet.messages.receipt import LinkReceipt, Side, SignedReceipt, bucket_round
from qnet.parameters import NetworkParameters

DEVNET = NetworkParameters.profile("devnet")
MAIN = NetworkParameters.profile("main")
CHAIN_ID = 31337
ORACLE = b"\x0a" * 20
DOMAIN = qnet_domain(CHAIN_ID, ORACLE)
QNET = 10**18
MEMBERS = tuple(ReceiptKey(bytes([0x40 + n]) * 32) for n in range(4))
SIGNERS = tuple(key.address for key in MEMBERS)


def node_key(index: int) -> ReceiptKey:
    return ReceiptKey(index.to_bytes(32, "big"))


def view(index: int, role: Role, bond_wei: int = 1000 * QNET, **changes: object) -> NodeView:
    node = NodeView(
        index=index,
        owner=bytes([index]) * 20,
        role=role,
        state=NodeState.ACTIVE,
        slot=True,
        receipt_key=node_key(index).address,
        bond_start_wei=bond_wei,
        bond_end_wei=bond_wei,
    )
    return replace(node, **changes)  # type: ignore[arg-type]


def small_network() -> tuple[NodeView, ...]:
    roles = (Role.ENTRY, Role.RELAY, Role.EXIT) * 2
    return tuple(view(index, role) for index, role in enumerate(roles, start=1))


def mixed_network() -> tuple[NodeView, ...]:
    """Entry, relay, exit, and mixes from 4 to 7."""
    roles = (Role.ENTRY, Role.RELAY, Role.EXIT, *(Role.MIX,) * 4)
    return tuple(view(index, role) for index, role in enumerate(roles, start=1))


def signed(epoch: int, slot: int, left: int, right: int, side: Side, cells: int) -> SignedReceipt:
    body = LinkReceipt(epoch, slot, left, right, side, bucket_round(cells), bytes(32))
    return body.sign(node_key(body.signer), DOMAIN)


def another_signature(key: ReceiptKey, digest: bytes) -> bytes:
    """A second signature of the same digest: ECDSA has one for every nonce."""
    nonce = (ffi.NULL, ffi.new("unsigned char [32]", b"\x05" * 32))
    found = PrivateKey(key.secret).sign_recoverable(digest, hasher=None, custom_nonce=nonce)
    return bytes(found[:64]) + bytes([found[64] + 27])


def both_sides(epoch: int, slot: int, left: int, right: int, cells: int) -> list[SignedReceipt]:
    return [signed(epoch, slot, left, right, side, cells) for side in Side]


def beacons(slots: int, seed: bytes = b"\x09" * 32) -> tuple[bytes, ...]:
    chain = [seed]
    for _ in range(slots - 1):
        chain.append(keccak256(chain[-1]))
    return tuple(reversed(chain))


def reveal(epoch: int, slot: int, auditor: int, found: dict[int, tuple[int, int]]) -> AuditReveal:
    """`found`: target → (sent, returned)."""
    key = MEMBERS[auditor]
    results = tuple(
        AuditResult(epoch, slot, auditor, target, sent, back, 12, bytes(32)).sign(key, DOMAIN)
        for target, (sent, back) in sorted(found.items())
    )
    bursts = tuple(
        CapacityResult(epoch, auditor, target, 1 << 20, 400_000 + auditor).sign(key, DOMAIN)
        for target in sorted(found)
    )
    return AuditReveal(epoch, slot, auditor, bytes([auditor]) * 32, results, bursts)


def epoch_data(
    receipts: list[SignedReceipt],
    reveals: list[AuditReveal],
    *,
    epoch: int = 3,
    attempt: int = 0,
    before: NetworkState | None = None,
    nodes: tuple[NodeView, ...] | None = None,
    parameters: NetworkParameters = DEVNET,
) -> EpochData:
    state = before or NetworkState()
    chain = beacons(parameters.slots_per_epoch)
    snapshot = ChainSnapshot(
        chain_id=CHAIN_ID,
        oracle=ORACLE,
        block_number=77,
        block_hash=b"\x0b" * 32,
        epoch=epoch,
        attempt=attempt,
        params_hash=parameters.hash(),
        reveal=chain[-1],
        budget_wei=parameters.emission_wei,
        prev_report_hash=state.report_hash,
        members=SIGNERS,
        nodes=nodes or small_network(),
    )
    return EpochData(snapshot, parameters, chain, tuple(receipts), tuple(reveals), state)


ppm = st.integers(0, 10**6)
records = st.builds(
    NodeRecord,
    rho_ppm=ppm,
    last_p=st.integers(0, 1000),
    history_ppm=st.lists(ppm, max_size=7).map(tuple),
    kbps=st.integers(0, 10**7),
)
stakes = st.one_of(st.just(0), st.integers(0, 12_000 * QNET))
pools = st.one_of(st.just(0), st.integers(0, 120_000 * QNET))


@st.composite
def networks(draw: st.DrawFn) -> tuple[tuple[NodeView, ...], NetworkState]:
    roles = draw(st.lists(st.sampled_from(list(Role)), min_size=1, max_size=9))
    nodes = tuple(
        view(
            index,
            role,
            owner=bytes([draw(st.integers(1, 6))]) * 20,
            slot=draw(st.booleans()),
            state=draw(st.sampled_from([NodeState.ACTIVE] * 4 + [NodeState.JAILED])),
            bond_start_wei=draw(stakes),
            bond_end_wei=draw(stakes),
            pool_start_wei=draw(pools),
            pool_end_wei=draw(pools),
            cost_wei=draw(st.integers(0, 2 * DEVNET.cost_max_wei)),
            margin_ppm=draw(st.integers(0, 2 * 10**6)),
        )
        for index, role in enumerate(roles, start=1)
    )
    state = NetworkState(
        epoch=4,
        n_hat_cells=draw(st.integers(0, 10**6)),
        n_hat_packets=draw(st.integers(0, 10**6)),
        records={node.index: draw(records) for node in nodes if draw(st.booleans())},
    )
    return nodes, state


@st.composite
def traffic(draw: st.DrawFn, count: int) -> dict[tuple[int, int], int]:
    indexes = st.integers(1, count)
    pairs = st.tuples(indexes, indexes).filter(lambda pair: pair[0] < pair[1])
    if count < 2:
        return {}
    return draw(st.dictionaries(pairs, st.integers(0, 10**6), max_size=20))
