"""Step: a node signs two receipts for one tuple, somebody proves it, and it pays.

The node is registered and bonded for this and never runs; its receipt key is the demo's own, as no
honest program signs twice.
"""

import asyncio
import secrets
import time
from dataclasses import dataclass, replace
from pathlib import Path

from qnet.address import parse_address
from qnet.chain.anvil import EmbeddedChain
from qnet.chain.contracts import Contracts
from qnet.chain.disputes import SlashState
from qnet.chain.sender import KeySigner, Sender
from qnet.chain.staking import NodeState, Role
from qnet.crypto.keys import ReceiptKey
from qnet.eip712 import qnet_domain
from qnet.messages.evidence_file import EvidenceFile
from qnet.messages.proofs import ReceiptsProof
from qnet.messages.receipt import NO_SAMPLE, LinkReceipt, Side
from qnet.units import PPM, WEI_PER_QNET, format_qnet
from tools.devnet.accounts import open_account
from tools.devnet.chain import COINS_WEI, TREASURY, send_all
from tools.devnet.demo.context import Demo
from tools.devnet.demo.journal import CheckFailedError

CHALLENGER = "carol"
BOND_WEI = 5000 * WEI_PER_QNET
TICKET_WEI = 1000 * WEI_PER_QNET
PATIENCE_S = 60.0
POLL_S = 0.5
PROOF_S = 600


@dataclass(frozen=True, slots=True)
class Culprit:
    """The spare node and the slash against it.

    Attributes:
        index: registry index.
        owner: its account, 20 bytes.
        receipt_key: signs whatever it is told to.
        epoch: in which it signs twice, active since its first second.
        slash_id: number of the slash; 0 before it is queued.
    """

    index: int
    owner: bytes
    receipt_key: ReceiptKey
    epoch: int
    slash_id: int = 0


async def catch_a_cheat(demo: Demo) -> Culprit:
    """Let a spare node sign twice and a challenger prove it; check what waits in escrow."""
    journal = demo.journal
    with journal.step("two receipts"):
        async with demo.contracts() as contracts:
            culprit = await _enter(demo, contracts)
            evidence = await _sign_twice(demo, contracts, culprit)
            slash_id = await _prove(demo, evidence)
            culprit = replace(culprit, slash_id=slash_id)
            await _check_escrow(demo, contracts, culprit)
    return culprit


async def _enter(demo: Demo, contracts: Contracts) -> Culprit:
    """Register and bond a node of the mix role, which nothing in this network depends on."""
    owner, receipt_key = ReceiptKey.generate(), ReceiptKey.generate()
    await EmbeddedChain(contracts.client).set_balance(owner.address, COINS_WEI)
    treasury = open_account(demo.state.account(TREASURY), demo.config.passphrase_file)
    registry, hub, token = contracts.registry, contracts.hub, contracts.token
    fee_wei = await contracts.parameters.get("register_fee_wei")
    await send_all(contracts.client, treasury, [token.transfer(owner.address, BOND_WEI + fee_wei)])
    node_id, deadline = secrets.token_bytes(32), int(time.time()) + PROOF_S
    digest = registry.key_proof_digest(owner.address, node_id, receipt_key.address, deadline)
    sender = Sender(contracts.client, KeySigner(owner))
    await sender.send(token.approve(registry.address, fee_wei))
    await sender.send(
        registry.register(
            Role.MIX,
            node_id=node_id,
            identity_key=secrets.token_bytes(32),
            receipt_key=receipt_key.address,
            payout=owner.address,
            deadline_s=deadline,
            proof=receipt_key.sign(digest),
        )
    )
    index = await registry.index_of(node_id)
    demo.journal.require(
        await token.balance_of(owner.address) == BOND_WEI,
        f"registering spare node {index} burned the fee, and no more",
        f"{format_qnet(fee_wei)} QNET",
    )
    await sender.send(token.approve(hub.address, BOND_WEI))
    await sender.send(hub.bond(index, BOND_WEI))
    epoch = await _await_next_epoch(contracts)
    # not before: a ticket answers only for epochs up to the one in which it was made
    await sender.send(hub.unbond(index, TICKET_WEI))
    entered = await registry.node(index)
    demo.journal.require(
        entered.state is NodeState.ACTIVE,
        f"a spare node {index} is bonded, and tries to leave with a part",
        f"{format_qnet(BOND_WEI)} QNET, a ticket of {format_qnet(TICKET_WEI)} QNET",
    )
    return Culprit(index, owner.address, receipt_key, epoch)


async def _sign_twice(demo: Demo, contracts: Contracts, culprit: Culprit) -> Path:
    """Sign two receipts for one tuple and write the evidence as a file."""
    domain = qnet_domain(contracts.client.chain_id, contracts.oracle.address)
    first = LinkReceipt(culprit.epoch, 0, culprit.index, 1, Side.SENDER, 64, NO_SAMPLE)
    second = replace(first, packets=1024)
    proof = ReceiptsProof(
        first.sign(culprit.receipt_key, domain), second.sign(culprit.receipt_key, domain)
    )
    path = demo.work / "evidence.json"
    file = EvidenceFile(contracts.client.chain_id, contracts.court.address, proof)
    path.write_bytes(file.encode())
    return path


async def _await_next_epoch(contracts: Contracts) -> int:
    """Wait for the first epoch for which what was done by now counts; its number.

    The court hears only of receipts of nodes that were active when the receipt's epoch began.
    """
    clock = await contracts.epochs.clock()
    now = (await contracts.client.block()).timestamp
    epoch = clock.epoch_at(now) + 1 if now >= clock.genesis_s else 0
    start_s, _ = clock.epoch_bounds(epoch)
    while (left_s := start_s - now) > 0:
        await asyncio.sleep(left_s)
        now = (await contracts.client.block()).timestamp
    return epoch


async def _prove(demo: Demo, evidence: Path) -> int:
    """Let the challenger commit and prove, as anybody would; number of the slash."""
    signed = demo.signed_by(CHALLENGER)
    opened = await asyncio.to_thread(demo.qnet, "court", "open", evidence, *signed)
    proven = (await asyncio.to_thread(demo.qnet, "court", "prove", evidence, *signed))[-1]
    demo.journal.require(
        not proven["moot"],
        f"{CHALLENGER} committed to the evidence, then proved it; the bond came back",
        f"challenge {opened[-1]['challenge']}, tx {proven['tx'][:18]}…",
    )
    return int(proven["slash"])


async def _check_escrow(demo: Demo, contracts: Contracts, culprit: Culprit) -> None:
    slash = await contracts.slasher.slash(culprit.slash_id)
    state = (await contracts.registry.node(culprit.index)).state
    frozen = await contracts.hub.freezes_of(culprit.index)
    demo.journal.require(
        slash.state is SlashState.ESCROW and state is NodeState.JAILED and frozen == 1,
        "in escrow: the node is jailed and its ticket is frozen",
        f"{slash.executable_at_s - slash.queued_at_s} s for a veto",
    )


async def carry_out_the_slash(demo: Demo, culprit: Culprit) -> None:
    """Execute the slash after its escrow; check who lost and who got what, to the last wei."""
    journal = demo.journal
    with journal.step("slash"):
        async with demo.contracts() as contracts:
            await _await_escrow(contracts, culprit)
            challenger = parse_address(demo.state.account(CHALLENGER).address)
            before = await _amounts(contracts, culprit, challenger)
            words = ("court", "execute", culprit.slash_id, *demo.signed_by(CHALLENGER))
            await asyncio.to_thread(demo.qnet, *words)
            after = await _amounts(contracts, culprit, challenger)
            parameters = await contracts.parameters.all()
            rate, share = parameters.slash_receipts_ppm, parameters.challenger_ppm
            _check_amounts(demo, before, after, rate, share)
            entered = await contracts.registry.node(culprit.index)
            frozen = await contracts.hub.freezes_of(culprit.index)
            journal.require(
                entered.state is NodeState.TOMBSTONED and frozen == 0,
                f"node {culprit.index} is excluded for good; what is left of its ticket is free",
                entered.state.name.lower(),
            )


@dataclass(frozen=True, slots=True)
class Amounts:
    """Who has what, in wei."""

    bond: int
    ticket: int
    challenger: int
    supply: int


async def _amounts(contracts: Contracts, culprit: Culprit, challenger: bytes) -> Amounts:
    (ticket,) = await contracts.hub.tickets_of(culprit.owner)
    return Amounts(
        bond=await contracts.hub.bond_of(culprit.index),
        ticket=ticket.amount_wei,
        challenger=await contracts.token.balance_of(challenger),
        supply=await contracts.token.total_supply(),
    )


def _check_amounts(
    demo: Demo, before: Amounts, after: Amounts, rate_ppm: int, share_ppm: int
) -> None:
    """Compare what left bond and ticket with what came to the challenger and was burned."""
    journal = demo.journal
    lost = before.bond - after.bond
    journal.require(
        lost == before.bond * rate_ppm // PPM,
        f"its bond lost {rate_ppm * 100 // PPM} %",
        f"{format_qnet(before.bond)} -> {format_qnet(after.bond)} QNET",
    )
    from_ticket = before.ticket - after.ticket
    journal.require(
        from_ticket == before.ticket * rate_ppm // PPM,
        "so did the ticket with which it tried to leave",
        f"{format_qnet(before.ticket)} -> {format_qnet(after.ticket)} QNET",
    )
    taken = lost + from_ticket
    paid = after.challenger - before.challenger
    journal.require(
        paid == taken * share_ppm // PPM,
        f"{CHALLENGER} got {share_ppm * 100 // PPM} % of what was taken",
        f"{format_qnet(paid)} QNET",
    )
    burned = before.supply - after.supply
    journal.require(
        burned == taken - paid, "the rest was burned from the supply", f"{format_qnet(burned)} QNET"
    )


async def _await_escrow(contracts: Contracts, culprit: Culprit) -> None:
    """Wait for the end of the escrow.

    Raises:
        CheckFailedError: it does not end within a minute.
    """
    end = (await contracts.slasher.slash(culprit.slash_id)).executable_at_s
    deadline = time.monotonic() + PATIENCE_S
    while (await contracts.client.block()).timestamp < end:
        if time.monotonic() > deadline:
            raise CheckFailedError(f"the escrow is not over after {PATIENCE_S:.0f} s")
        await asyncio.sleep(POLL_S)
