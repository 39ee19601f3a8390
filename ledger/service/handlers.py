"""What nodes and readers ask of a member: descriptors, receipts, results."""

from collections.abc import Sequence
from typing import Any, Final

from ledger.domain.receipts import ReceiptStatus, check_time
from ledger.domain.report import recompute
from ledger.errors import NoConsensusError, NoReportError
from ledger.service.member import Member
from ledger.storage.results import ReportRow
from qnet.epochs import consensus_period
from qnet.errors import CryptoError, DecodeError
from qnet.merkle import StandardTree
from qnet.messages.assembly import DESCRIPTOR_INTERVALS
from qnet.messages.descriptor import SignedDescriptor
from qnet.messages.errors import DescriptorRefusedError
from qnet.messages.receipt import SignedReceipt
from qnet.messages.report import NodeLeaf

FUTURE_S: Final = 300
"""A descriptor dated further ahead than this (or an interval, if shorter) is refused."""


class Handlers:
    """The member's side of the public interface.

    Args:
        member: ours.
    """

    def __init__(self, member: Member) -> None:
        self._member = member
        self._trees: dict[bytes, tuple[list[NodeLeaf], StandardTree]] = {}

    async def submit_descriptor(self, data: bytes) -> bool:
        """Store a node's descriptor; False if it is known.

        Raises:
            RemoteProtocolError: malformed or badly signed.
            DescriptorRefusedError: it does not belong to a registered node of this network.
        """
        signed = SignedDescriptor.decode(data)
        node, member = signed.descriptor, self._member
        network = member.facts.network
        now = member.now()
        if (node.chain_id, node.registry) != (network.chain_id, network.registry):
            raise DescriptorRefusedError(node.index, "it names another chain or registry")
        if node.published > now + min(FUTURE_S, member.parameters.consensus_interval_s):
            raise DescriptorRefusedError(node.index, "it was published in the future")
        registered = await member.reader.registered(node.index)
        if registered is None:
            raise DescriptorRefusedError(node.index, "its index is not registered")
        if (registered.identity_key, registered.owner) != (node.identity, node.owner):
            raise DescriptorRefusedError(node.index, "its identity or owner is not the registered")
        async with member.work() as rows:
            return await rows.descriptors.add(signed, now)

    async def descriptors(self, after: int | None = None) -> list[bytes]:
        """Newest descriptor of each node, as far as it may still be listed.

        Args:
            after: leaves out the nodes up to this index.
        """
        member = self._member
        interval = member.parameters.consensus_interval_s
        since = consensus_period(member.now(), interval) - DESCRIPTOR_INTERVALS * interval
        async with member.work() as rows:
            return [wire for wire, _ in await rows.descriptors.newest(since, after or 0)]

    async def consensus(self, valid_after: int | None) -> bytes:
        """Signed consensus of a period, or the newest.

        Raises:
            NoConsensusError: there is none.
        """
        async with self._member.work() as rows:
            found = await rows.consensuses.get(valid_after)
        if found is None:
            raise NoConsensusError("there is no such consensus yet")
        return found[1]

    async def submit_receipts(self, items: Sequence[bytes]) -> list[int]:
        """Take receipts; everything stored is on disk before the answer leaves.

        Raises:
            DecodeError: one is malformed.
        """
        receipts = [SignedReceipt.decode(item) for item in items]
        verdicts = [await self._judge(signed) for signed in receipts]
        now = self._member.now()
        codes = []
        async with self._member.work() as rows:
            for signed, verdict in zip(receipts, verdicts, strict=True):
                code = verdict
                if code is None and not await rows.receipts.add(signed, now):
                    code = ReceiptStatus.DUPLICATE
                elif code is None and await rows.receipts.bodies(signed.receipt.key) > 1:
                    code = ReceiptStatus.EQUIVOCATION
                codes.append(int(ReceiptStatus.STORED if code is None else code))
        return codes

    async def _judge(self, signed: SignedReceipt) -> ReceiptStatus | None:
        """Why a receipt is not taken, None if it is."""
        member, body = self._member, signed.receipt
        grace = member.parameters.receipt_grace_s
        timing = check_time(body, member.clock, grace, member.now())
        if timing is not None:
            return timing
        key = await member.reader.receipt_key(body.signer, body.epoch)
        other = await member.reader.receipt_key(body.counterpart, body.epoch)
        if key is None or other is None:
            return ReceiptStatus.UNKNOWN_NODE
        try:
            signed.verify(member.oracle_domain, key)
        except CryptoError:
            return ReceiptStatus.BAD_SIGNATURE
        return None

    # ---- results -----------------------------------------------------------------------------

    async def report_row(self, epoch: int) -> ReportRow:
        """The live report of an epoch.

        Raises:
            NoReportError: there is none.
        """
        async with self._member.work() as rows:
            found = await rows.reports.of_epoch(epoch)
        if len(found) > 1:
            on_chain = await self._member.reader.contracts.oracle.report(epoch)
            found = [row for row in found if row.digest == on_chain.hash] or found
        if not found:
            raise NoReportError(epoch)
        return found[0]

    async def report(self, epoch: int) -> dict[str, Any]:
        """JSON of an epoch's report."""
        row = await self.report_row(epoch)
        result = recompute(row.data)
        return {
            "epoch": epoch,
            "hash": "0x" + row.digest.hex(),
            "report": result.report.to_json(),
            "bitmap": row.bitmap,
            "signatures": "0x" + row.signatures.hex(),
            "slots_per_epoch": self._member.clock.slots_per_epoch,
            "n_hat_cells": result.after.n_hat_cells,
            "n_hat_packets": result.after.n_hat_packets,
            "audits_counted": len(result.audits),
            "pairs": [[low, high, cells] for (low, high), cells in result.matched.items()],
            "leaves": [leaf.to_json() for leaf in result.leaves],
        }

    async def leaf(self, epoch: int, index: int) -> dict[str, Any]:
        """JSON of a node's leaf with its proof.

        Raises:
            NoReportError: no report, or the node is not in it.
        """
        row = await self.report_row(epoch)
        found = await self.proven_leaf(row.digest, index)
        if found is None:
            raise NoReportError(epoch)
        leaf, proof = found
        _, tree = self._trees[row.digest]
        return {
            "report_hash": "0x" + row.digest.hex(),
            "nodes_root": "0x" + tree.root.hex(),
            "leaf": leaf.to_json(),
            "proof": ["0x" + item.hex() for item in proof],
        }

    async def proven_leaf(
        self, report_hash: bytes, index: int
    ) -> tuple[NodeLeaf, list[bytes]] | None:
        """A node's leaf of a stored report with its proof; None if there is none."""
        kept = self._trees.get(report_hash)
        if kept is None:
            chain_id, oracle = self._member.trust.chain_id, self._member.facts.oracle
            async with self._member.work() as rows:
                leaves = await rows.reports.leaves(report_hash)
            if not leaves:
                return None
            kept = leaves, StandardTree([leaf.hash(chain_id, oracle) for leaf in leaves])
            self._trees = {report_hash: kept}
        leaves, tree = kept
        if not 1 <= index <= len(leaves):
            return None
        return leaves[index - 1], tree.proof(index - 1)

    async def status(self) -> dict[str, Any]:
        """JSON of where this member stands."""
        member, now = self._member, self._member.now()
        epoch, slot = member.clock.slot_at(now)
        async with member.work() as rows:
            consensus = await rows.consensuses.get()
            newest = await rows.reports.newest()
            waiting = await rows.outbox.open_rows()
            receipts = await rows.receipts.count(epoch) if epoch >= 0 else 0
        return {
            "member": member.index,
            "signer": "0x" + member.key.address.hex(),
            "members": member.size,
            "quorum": member.trust.quorum,
            "time": int(now),
            "epoch": epoch,
            "slot": slot,
            "receipts_this_epoch": receipts,
            "last_consensus": None if consensus is None else consensus[0],
            "last_report": None if newest is None else newest.epoch,
            "outbox": [
                {"what": row.label, "state": row.state, "note": row.note} for row in waiting
            ],
        }


def parse_receipts(value: object, limit: int) -> list[bytes]:
    """Check the list of a receipts request.

    Raises:
        DecodeError: not a list of byte strings, or too long.
    """
    if not isinstance(value, list) or len(value) > limit:
        raise DecodeError(f"not a list of at most {limit} receipts")
    if not all(isinstance(item, bytes) for item in value):
        raise DecodeError("a receipt is not a byte string")
    return value
