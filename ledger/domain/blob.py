"""The data blob: everything a report depends on, in one deterministic encoding.

Source: docs/spec/rewards.md, QN-REW-072.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, cast

from ledger.domain.state import (
    P_HISTORY,
    P_ONE,
    ChainSnapshot,
    M,
    NetworkState,
    NodeRecord,
    NodeState,
    NodeView,
)
from qnet import cbor
from qnet.crypto.keys import ADDRESS_BYTES
from qnet.errors import DecodeError
from qnet.messages.audit import AuditReveal
from qnet.messages.descriptor import Role
from qnet.messages.fields import U32_MAX, U64_MAX, Fields
from qnet.messages.receipt import RECEIPT_BYTES, SignedReceipt
from qnet.messages.trust import MAX_MEMBERS
from qnet.parameters import BOUNDS, NetworkParameters

BLOB_VERSION: Final = 3
MAX_BLOB_BYTES: Final = 15 << 20
MAX_NODES: Final = 20_000
MAX_SLOTS: Final = 24
_HASH: Final = 32
_KEYS: Final = frozenset(
    {"v", "chain", "oracle", "block", "block_hash", "epoch", "attempt", "params_hash"}
    | {"params", "reveal", "budget", "prev", "members", "beacons", "nodes", "receipts", "audits"}
    | {"state"}
)
_NODE_VALUES: Final = 12
_STATE_KEYS: Final = frozenset({"epoch", "hash", "n_hat", "n_hat_mix", "records"})


@dataclass(frozen=True, slots=True)
class EpochData:
    """Everything a report depends on.

    Args:
        snapshot: chain at one finalized block.
        parameters: whose hash is `snapshot.params_hash`.
        beacons: of the epoch's slots in order, 32 bytes each.
        receipts: every receipt of the epoch, evidence included.
        reveals: audit reveals whose commitment came in time.
        before: state before the epoch.
    """

    snapshot: ChainSnapshot
    parameters: NetworkParameters
    beacons: tuple[bytes, ...]
    receipts: tuple[SignedReceipt, ...]
    reveals: tuple[AuditReveal, ...]
    before: NetworkState

    def encode(self) -> bytes:
        """The data blob."""
        snapshot = self.snapshot
        return cbor.dumps(
            {
                "v": BLOB_VERSION,
                "chain": snapshot.chain_id,
                "oracle": snapshot.oracle,
                "block": snapshot.block_number,
                "block_hash": snapshot.block_hash,
                "epoch": snapshot.epoch,
                "attempt": snapshot.attempt,
                "params_hash": snapshot.params_hash,
                "params": {name: _word(value) for name, value in self.parameters.to_map().items()},
                "reveal": snapshot.reveal,
                "budget": _word(snapshot.budget_wei),
                "prev": snapshot.prev_report_hash,
                "members": list(snapshot.members),
                "beacons": list(self.beacons),
                "nodes": [_node_row(node) for node in snapshot.nodes],
                "receipts": sorted({receipt.encode() for receipt in self.receipts}),
                "audits": sorted({reveal.encode() for reveal in self.reveals}),
                "state": encode_state(self.before),
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> "EpochData":
        """Read a data blob.

        Raises:
            DecodeError: malformed, out of bounds or not in canonical order.
        """
        value = cbor.loads(data, max_bytes=MAX_BLOB_BYTES)
        fields = Fields(value, _KEYS, "data blob")
        values = cast("dict[str, object]", value)
        fields.uint("v", BLOB_VERSION, minimum=BLOB_VERSION)
        nodes = tuple(map(_parse_node, fields.items("nodes", MAX_NODES)))
        if [node.index for node in nodes] != list(range(1, len(nodes) + 1)):
            raise DecodeError("data blob: nodes are not every index in order")
        snapshot = ChainSnapshot(
            chain_id=fields.uint("chain", U64_MAX, minimum=1),
            oracle=fields.octets("oracle", ADDRESS_BYTES),
            block_number=fields.uint("block", U64_MAX),
            block_hash=fields.octets("block_hash", _HASH),
            epoch=fields.uint("epoch", U32_MAX),
            attempt=fields.uint("attempt", U32_MAX),
            params_hash=fields.octets("params_hash", _HASH),
            reveal=fields.octets("reveal", _HASH),
            budget_wei=_int(values["budget"]),
            prev_report_hash=fields.octets("prev", _HASH),
            members=_octet_list(fields.items("members", MAX_MEMBERS, minimum=1), ADDRESS_BYTES),
            nodes=nodes,
        )
        parameters = {
            str(name): _int(word) for name, word in fields.mapping("params", len(BOUNDS)).items()
        }
        limit = len(data)
        receipts = _sorted_octets(fields.items("receipts", limit), "receipts")
        audits = _sorted_octets(fields.items("audits", limit), "audits")
        return cls(
            snapshot=snapshot,
            parameters=NetworkParameters.from_map(parameters),
            beacons=_octet_list(fields.items("beacons", MAX_SLOTS, minimum=1), _HASH),
            receipts=tuple(SignedReceipt.decode(item) for item in receipts),
            reveals=tuple(AuditReveal.decode(item) for item in audits),
            before=parse_state(values["state"]),
        )


def encode_state(state: NetworkState) -> dict[str, object]:
    """CBOR map of a network state; epoch is counted from 1, 0 before the first report."""
    return {
        "epoch": state.epoch + 1,
        "hash": state.report_hash,
        "n_hat": state.n_hat_cells,
        "n_hat_mix": state.n_hat_packets,
        "records": [
            [
                index,
                record.rho_ppm,
                record.last_p,
                list(record.history_ppm),
                record.kbps,
                _word(record.cum_operator_wei),
                _word(record.cum_pool_wei),
            ]
            for index, record in sorted(state.records.items())
        ],
    }


def parse_state(value: object) -> NetworkState:
    """Read what :func:`encode_state` wrote.

    Raises:
        DecodeError: malformed or out of bounds.
    """
    fields = Fields(value, _STATE_KEYS, "state")
    records: dict[int, NodeRecord] = {}
    last = 0
    for row in fields.items("records", MAX_NODES):
        if not isinstance(row, list) or len(row) != 7:
            raise DecodeError("state: a record does not have 7 values")
        index = _bounded(row[0], U32_MAX)
        if index <= last:
            raise DecodeError("state: records are not ascending")
        last = index
        if not isinstance(row[3], list) or len(row[3]) > P_HISTORY:
            raise DecodeError("state: a history is too long")
        records[index] = NodeRecord(
            rho_ppm=_bounded(row[1], M),
            last_p=_bounded(row[2], P_ONE),
            history_ppm=tuple(_bounded(item, M) for item in row[3]),
            kbps=_bounded(row[4], U64_MAX),
            cum_operator_wei=_int(row[5]),
            cum_pool_wei=_int(row[6]),
        )
    return NetworkState(
        epoch=fields.uint("epoch", U32_MAX) - 1,
        report_hash=fields.octets("hash", _HASH),
        n_hat_cells=fields.uint("n_hat", U64_MAX),
        n_hat_packets=fields.uint("n_hat_mix", U64_MAX),
        records=records,
    )


def _node_row(node: NodeView) -> list[object]:
    return [
        node.index,
        node.owner,
        int(node.role),
        int(node.state),
        node.slot,
        node.receipt_key,
        _word(node.bond_start_wei),
        _word(node.bond_end_wei),
        _word(node.pool_start_wei),
        _word(node.pool_end_wei),
        _word(node.cost_wei),
        node.margin_ppm,
    ]


def _parse_node(row: object) -> NodeView:
    if not isinstance(row, list) or len(row) != _NODE_VALUES or not isinstance(row[4], bool):
        raise DecodeError(f"data blob: a node does not have {_NODE_VALUES} values")
    return NodeView(
        index=_bounded(row[0], U32_MAX),
        owner=_octets(row[1], ADDRESS_BYTES),
        role=Role(max(1, _bounded(row[2], max(Role)))),
        state=NodeState(_bounded(row[3], max(NodeState))),
        slot=row[4],
        receipt_key=_octets(row[5], ADDRESS_BYTES),
        bond_start_wei=_int(row[6]),
        bond_end_wei=_int(row[7]),
        pool_start_wei=_int(row[8]),
        pool_end_wei=_int(row[9]),
        cost_wei=_int(row[10]),
        margin_ppm=_bounded(row[11], U32_MAX),
    )


def _word(value: int) -> bytes:
    """A uint256 as 32 bytes: CBOR integers end at 64 bits."""
    return value.to_bytes(_HASH, "big")


def _int(value: object) -> int:
    return int.from_bytes(_octets(value, _HASH), "big")


def _octets(value: object, size: int) -> bytes:
    if not isinstance(value, bytes) or len(value) != size:
        raise DecodeError(f"data blob: a value is not {size} bytes")
    return value


def _octet_list(items: Sequence[object], size: int) -> tuple[bytes, ...]:
    return tuple(_octets(item, size) for item in items)


def _sorted_octets(items: Iterable[object], what: str) -> list[bytes]:
    found: list[bytes] = []
    for item in items:
        if not isinstance(item, bytes) or (what == "receipts" and len(item) != RECEIPT_BYTES):
            raise DecodeError(f"data blob: {what} hold something else")
        if found and item <= found[-1]:
            raise DecodeError(f"data blob: {what} are not strictly ascending")
        found.append(item)
    return found


def _bounded(value: object, maximum: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= maximum:
        raise DecodeError(f"data blob: a value is outside [0, {maximum}]")
    return value
