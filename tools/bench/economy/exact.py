"""Claims that need no year: checked on the reward code itself with exact integers."""

from __future__ import annotations

from typing import Final

from ledger.domain.receipts import match_receipts, pair_totals
from ledger.domain.rewards import reward, role_budget, role_slots
from ledger.domain.state import M
from qnet.crypto.keys import ReceiptKey
from qnet.eip712 import qnet_domain
from qnet.messages.descriptor import Role
from qnet.messages.receipt import NO_SAMPLE, LinkReceipt, Side, SignedReceipt, bucket_round
from qnet.parameters import NetworkParameters

SPLITS: Final = {1: 100, 2: 88, 4: 83, 10: 79}
"""Per cent of one node's pay that the same stake earns when split (docs/spec/rewards.md)."""
_DOMAIN: Final = qnet_domain(31337, b"\x0a" * 20)
_EPOCH: Final = 1


def split_pays(parts: int, parameters: NetworkParameters) -> float:
    """Pay of Z bonded over several nodes against Z bonded on one; P and W are one."""
    role = Role.RELAY
    budget, slots = (
        role_budget(parameters.emission_wei, role, parameters),
        role_slots(role, parameters),
    )
    whole = parameters.stake_reference_wei

    def pay(stake_wei: int) -> int:
        return reward(budget, slots, stake_wei, stake_wei, M, M, parameters)

    return parts * pay(whole // parts) / pay(whole)


def one_sided_lie(truth_cells: int, told_cells: int, *, sender_lies: bool) -> int:
    """Cells credited when one of two neighbours signs another count than the truth."""
    keys = {1: ReceiptKey(b"\x01" * 32), 2: ReceiptKey(b"\x02" * 32)}

    def signed(side: Side, cells: int) -> SignedReceipt:
        body = LinkReceipt(_EPOCH, 0, 1, 2, side, bucket_round(cells), NO_SAMPLE)
        return body.sign(keys[body.signer], _DOMAIN)

    sent = told_cells if sender_lies else truth_cells
    received = truth_cells if sender_lies else told_cells
    matched = match_receipts(
        [signed(Side.SENDER, sent), signed(Side.RECEIVER, received)],
        epoch=_EPOCH,
        slots=1,
        keys={index: key.address for index, key in keys.items()},
        domain=_DOMAIN,
    )
    return pair_totals(matched).get((1, 2), 0)


def two_receipts(cells: int, other_cells: int) -> int:
    """Cells credited when the sender signs two counts for one tuple."""
    keys = {1: ReceiptKey(b"\x01" * 32), 2: ReceiptKey(b"\x02" * 32)}
    bodies = [
        LinkReceipt(_EPOCH, 0, 1, 2, Side.SENDER, bucket_round(cells), NO_SAMPLE),
        LinkReceipt(_EPOCH, 0, 1, 2, Side.SENDER, bucket_round(other_cells), NO_SAMPLE),
        LinkReceipt(_EPOCH, 0, 1, 2, Side.RECEIVER, bucket_round(cells), NO_SAMPLE),
    ]
    matched = match_receipts(
        [body.sign(keys[body.signer], _DOMAIN) for body in bodies],
        epoch=_EPOCH,
        slots=1,
        keys={index: key.address for index, key in keys.items()},
        domain=_DOMAIN,
    )
    return pair_totals(matched).get((1, 2), 0)
