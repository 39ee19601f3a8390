"""Typed wrapper of PremiumChannels: deposits, what the committee issued, what relays are paid.

What is signed for it stands in `qnet.messages`; settling without the committee in `redeemer`.

Source: docs/spec/payments.md; IPremiumChannels.sol.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from qnet.chain.contract import vrs
from qnet.chain.errors import ContractError
from qnet.chain.pausing import PausingContract
from qnet.chain.redeemer import Redeemer
from qnet.chain.values import BlockTag, Call
from qnet.eip712 import qnet_domain
from qnet.issuance import PaymentTerms
from qnet.messages.instruments import Place
from qnet.messages.settlement import Attestation, Closing, ProvenLeaf
from qnet.messages.voucher import Voucher


@dataclass(frozen=True, slots=True)
class ChannelState:
    """A channel. Its sums outlive its closing.

    Args:
        deposit_wei: all that was ever deposited and not paid back.
        collected_wei: highest sum collected.
        closing_since_s: unix time of `startClose`; 0 while it is not closing.
        is_open: whether it is open or closing.
    """

    deposit_wei: int
    collected_wei: int
    closing_since_s: int
    is_open: bool


@dataclass(frozen=True, slots=True)
class IssuanceState:
    """What the chain knows about an issuance epoch; amounts in units.

    Args:
        epoch: its number.
        end: first second after it, unix time.
        is_closed: whether the committee stated what it issued.
        is_attested: whether a root was attested, though it may be disabled since.
        open_demands: demands that wait.
        tokens: attested tokens.
        cap: what it may cost at most.
        issued: stated to be issued, or collected so far, and collected since.
        attested: of the root.
        redeemed: shown by relays themselves.
        exited: paid to users.
        keys_hash: of its eight keys, 32 bytes.
        root: attested root, 32 bytes; zero if there is none, or it was disabled.
        log_root: root of the log, 32 bytes; zero before it is stated.
    """

    epoch: int
    end: int
    is_closed: bool
    is_attested: bool
    open_demands: int
    tokens: int
    cap: int
    issued: int
    attested: int
    redeemed: int
    exited: int
    keys_hash: bytes
    root: bytes
    log_root: bytes


@dataclass(frozen=True, slots=True)
class Money:
    """What the contract holds beside deposits and bonds.

    Args:
        pool_wei: pays relays and exits.
        to_burn_wei: fees set aside.
        unclaimed_units: attested and not claimed yet.
    """

    pool_wei: int
    to_burn_wei: int
    unclaimed_units: int


class PremiumChannels(PausingContract):
    """Holds all money of premium payments."""

    NAME: ClassVar[str] = "PremiumChannels"

    @property
    def domain(self) -> bytes:
        """EIP-712 domain of everything signed for premium payments, 32 bytes."""
        return qnet_domain(self.client.chain_id, self.address)

    @property
    def place(self) -> Place:
        """Where instruments of this deployment are valid."""
        return Place(self.client.chain_id, self.address)

    async def redeemer(self) -> Redeemer:
        """The contract that settles without the committee; made by the constructor."""
        return Redeemer(self.client, await self.address_from("redeemer"))

    async def terms(self) -> PaymentTerms:
        """Deadlines and values, which never change."""
        length, deadlines = await self._read("issuanceEpochs"), await self._read("clock")
        values = await self._read("unitWei"), await self._read("bondWei")
        return PaymentTerms(*(length, *deadlines, *values))

    # -- what is known -----------------------------------------------------------------------

    async def channel_of(self, account: bytes, at: BlockTag = "latest") -> ChannelState:
        """Channel of an account; all zero if it never had one."""
        return ChannelState(*await self._read("channelOf", account, at=at))

    async def issuance_of(self, epoch: int, at: BlockTag = "latest") -> IssuanceState | None:
        """What is known about an issuance epoch; None before its keys, and 16 epochs later."""
        try:
            return IssuanceState(*await self._read("issuanceOf", epoch, at=at))
        except ContractError as error:
            if error.name == "UnknownIssuance":
                return None
            raise

    async def elapsed_since(self, epoch: int, at: BlockTag = "latest") -> int:
        """Seconds since the end of an issuance epoch, pauses left out; 0 before it."""
        return int(await self._read("elapsedSince", epoch, at=at))

    async def left_of(self, epoch: int, at: BlockTag = "latest") -> int:
        """Units that may still be paid for an epoch."""
        return int(await self._read("leftOf", epoch, at=at))

    async def cap_of(self, epoch: int, at: BlockTag = "latest") -> int:
        """Units an epoch would be capped at if its keys were registered now."""
        return int(await self._read("capOf", epoch, at=at))

    async def money(self, at: BlockTag = "latest") -> Money:
        """Pool, fees to burn, and attested units that wait."""
        return Money(*await self._read("money", at=at))

    async def paid_units_of(self, relay: int, at: BlockTag = "latest") -> int:
        """Units of attested claims a relay was paid."""
        return int(await self._read("paidUnitsOf", relay, at=at))

    async def demand_of(
        self, epoch: int, position: int, at: BlockTag = "latest"
    ) -> tuple[bytes, int]:
        """Who waits for a leaf (20 bytes), and until when (unix time); zero if nobody does."""
        demander, deadline = await self._read("demandOf", epoch, position, at=at)
        return demander, deadline

    async def attested_of(self, epoch: int, proven: ProvenLeaf, at: BlockTag = "latest") -> int:
        """Units attested to a relay in an epoch, as its leaf proves; 0 without a root.

        Raises:
            ContractError: the leaf is not in the tree.
        """
        return int(await self._read("attestedOf", epoch, proven.values(), at=at))

    # -- channels ----------------------------------------------------------------------------

    def open(self, amount_wei: int) -> Call:
        """Open the sender's channel with tokens approved before."""
        return self._write("open", amount_wei)

    def open_with_permit(self, amount_wei: int, deadline_s: int, permit: bytes) -> Call:
        """Open with a signed permit (65 bytes) instead of an approval."""
        return self._write("openWithPermit", amount_wei, deadline_s, *vrs(permit))

    def top_up(self, amount_wei: int) -> Call:
        """Deposit more into the sender's channel."""
        return self._write("topUp", amount_wei)

    def collect(self, vouchers: Sequence[Voucher], signatures: Sequence[bytes]) -> Call:
        """Collect vouchers with the signatures of their channels, 65 bytes each."""
        return self._write("collect", [v.values() for v in vouchers], list(signatures))

    def start_close(self) -> Call:
        """Begin to close the sender's channel."""
        return self._write("startClose")

    def finalize_close(self, account: bytes) -> Call:
        """Pay back what was not collected."""
        return self._write("finalizeClose", account)

    # -- what the committee states -----------------------------------------------------------

    def register_keys(self, epoch: int, keys_hash: bytes, bitmap: int, signatures: bytes) -> Call:
        """Register the keys of the next issuance epoch; fixes its cap.

        Args:
            epoch: issuance epoch.
            keys_hash: 32 bytes.
            bitmap: bit i for member i.
            signatures: 65 bytes of each, in order.
        """
        return self._write("registerKeys", epoch, keys_hash, bitmap, signatures)

    def close_epoch(self, closing: Closing, bitmap: int, signatures: bytes) -> Call:
        """State what was issued; bitmap and signatures as in `register_keys`."""
        return self._write("closeEpoch", closing.values(), bitmap, signatures)

    def attest(self, attestation: Attestation, bitmap: int, signatures: bytes) -> Call:
        """Attest the claims of relays; bitmap and signatures as in `register_keys`."""
        return self._write("attest", attestation.values(), bitmap, signatures)

    def prove_two_attestations(
        self,
        member: int,
        first: tuple[Attestation, bytes],
        second: tuple[Attestation, bytes],
    ) -> Call:
        """Show that a member signed two attestations of one epoch, with its signatures."""
        shown = [part for it, signature in (first, second) for part in (it.values(), signature)]
        return self._write("proveTwoAttestations", member, *shown)

    def prove_two_closings(
        self, member: int, first: tuple[Closing, bytes], second: tuple[Closing, bytes]
    ) -> Call:
        """Show that a member signed two closings of one epoch, with its signatures."""
        shown = [part for it, signature in (first, second) for part in (it.values(), signature)]
        return self._write("proveTwoClosings", member, *shown)

    # -- what relays are paid ----------------------------------------------------------------

    def claim(self, epoch: int, proven: Sequence[ProvenLeaf]) -> Call:
        """Pay relays what was attested to them; anybody may send it."""
        return self._write("claim", epoch, [leaf.values() for leaf in proven])

    def flush_burn(self) -> Call:
        """Burn the fees set aside."""
        return self._write("flushBurn")

    def demand_leaf(self, epoch: int, position: int) -> Call:
        """Demand to see a leaf of the attested tree, with a bond (approved before)."""
        return self._write("demandLeaf", epoch, position)

    def answer_leaf(self, epoch: int, proven: ProvenLeaf) -> Call:
        """Show a demanded leaf; the bond goes to the sender."""
        return self._write("answerLeaf", epoch, proven.values())

    def expire_demand(self, epoch: int, position: int) -> Call:
        """Disable a root whose leaf was not shown in time."""
        return self._write("expireDemand", epoch, position)
