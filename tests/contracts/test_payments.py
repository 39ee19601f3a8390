"""A user pays relays through a channel; relays and users settle, with and without the committee."""

import pytest
from brownie import accounts
from eth_account import Account
from eth_utils import keccak
from issuance import EPOCH, HOUR, LOG, TOKEN_CLASS, UNIT, Issuance, curve, packed_credit
from typed_data import CLOSING, SWAP
from world import DAY, ESCROW, EXECUTED, NEVER, QNET, bytes32, now, refused

BOND = QNET
DEPOSIT = 1_000 * QNET
NO_PATH = [bytes(32)] * 10
OPEN, REFUTED, DONE = 1, 2, 3
PAYEE = "0x" + "77" * 20


@pytest.fixture(scope="module")
def paying(world):
    """Keys of issuance epoch 1, a relay, and a user with a channel."""
    world.bond_committee()
    world.relay = world.bonded_node(world.operators[0], "relay")
    world.advance_to(world.genesis + 1)
    world.issuance = Issuance(world)
    world.issuance.register()
    user = accounts.add(keccak(text="user"))
    user.key = user.private_key
    world.token.transfer(user, 2 * DEPOSIT, {"from": world.holder})
    for contract in (world.channels, world.redeemer):
        world.token.approve(contract, NEVER, {"from": user})
    world.channels.open(DEPOSIT, {"from": user})
    world.user = user
    return world


def points(count):
    """Blinded points with signatures of the largest credits."""
    found = curve(*((6, bytes32(f"point {i}")) for i in range(count)))
    return found["points"], b"".join(found["signed"])


def bought(world, count=10):
    """Collect a voucher over so many points; return it with them and their signatures."""
    batch, signed = points(count)
    voucher, signature = world.issuance.voucher(world.user, 1, 64 * count * UNIT, batch)
    world.channels.collect([voucher], [signature], {"from": accounts[9]})
    return voucher, batch, signed


def settled(world, units=100):
    """Close the epoch and attest so much to the relay; return its leaf."""
    issuance = world.issuance
    bought(world)
    issuance.after(HOUR // 2)
    issuance.close(640)
    issuance.after(25 * HOUR)
    root, leaves = issuance.tree([(world.relay, units, units, 2), (9, 5, 5, 1)])
    issuance.attest(root, units + 5, 3)
    return leaves[0]


def test_a_channel_is_opened_used_and_closed(paying):
    world, channels, user = paying, paying.channels, paying.user
    with refused("ChannelIsOpen", user.address):
        channels.open(1, {"from": user})
    channels.topUp(QNET, {"from": user})
    bought(world)
    assert channels.channelOf(user).dict()["collected"] == 640 * UNIT
    assert channels.money()[0] == 640 * UNIT
    assert channels.issuanceOf(EPOCH).dict()["issued"] == 640
    channels.startClose({"from": user})
    with refused("ChannelClosing", user.address):
        channels.topUp(1, {"from": user})
    closes = now() + 9 * DAY
    with refused("NotClosable"):
        channels.finalizeClose(user, {"from": accounts[9]})
    world.advance_to(closes)
    before = world.token.balanceOf(user)
    channels.finalizeClose(user, {"from": accounts[9]})
    assert world.token.balanceOf(user) - before == DEPOSIT + QNET - 640 * UNIT


def test_a_relay_claims_what_was_attested(paying):
    world, channels = paying, paying.channels
    leaf = settled(world)
    with refused("TooEarly"):
        channels.claim(EPOCH, [leaf], {"from": accounts[9]})
    world.issuance.after(60 * HOUR)
    with refused("InvalidProof", EPOCH, world.relay):
        channels.claim(EPOCH, [(*leaf[:2], leaf[2] + 1, *leaf[3:])], {"from": accounts[9]})
    before = world.token.balanceOf(world.operators[0])
    claimed = channels.claim(EPOCH, [leaf], {"from": accounts[9]})
    assert claimed.events["Claimed"]["amount"] == 80 * UNIT
    assert world.token.balanceOf(world.operators[0]) - before == 80 * UNIT
    again = channels.claim(EPOCH, [leaf], {"from": accounts[9]})
    assert "Claimed" not in again.events
    supply = world.token.totalSupply()
    channels.flushBurn({"from": accounts[9]})
    assert supply - world.token.totalSupply() == 20 * UNIT


def test_a_withheld_leaf_sends_relays_to_the_redeemer(paying):
    world, channels, issuance = paying, paying.channels, paying.issuance
    leaf = settled(world)
    demander = world.user
    for position in (world.relay, 9):
        channels.demandLeaf(EPOCH, position, {"from": demander})
    before = world.token.balanceOf(accounts[7])
    channels.answerLeaf(EPOCH, leaf, {"from": accounts[7]})
    assert world.token.balanceOf(accounts[7]) - before == BOND
    deadline = channels.demandOf(EPOCH, 9)[1]
    issuance.after(60 * HOUR)
    with refused("DemandsOpen", EPOCH, 1):
        channels.claim(EPOCH, [leaf], {"from": accounts[9]})
    world.advance_to(deadline)
    channels.expireDemand(EPOCH, 9, {"from": accounts[9]})
    with refused("InvalidProof", EPOCH, world.relay):
        channels.claim(EPOCH, [leaf], {"from": accounts[9]})
    redeem(world, issuance.tokens(world.relay, (56, 40)))
    assert channels.issuanceOf(EPOCH).dict()["redeemed"] == 96


def redeem(world, tokens, leaf=None, sender=None):
    leaf = leaf or (world.relay, 0, 0, 0, NO_PATH)
    key = world.issuance.key(TOKEN_CLASS)
    sender = sender or world.operators[0]
    return world.redeemer.redeem(EPOCH, world.relay, tokens, leaf, key, b"", {"from": sender})


def test_a_relay_redeems_without_the_committee(paying):
    world, redeemer = paying, paying.redeemer
    bought(world)
    tokens = world.issuance.tokens(world.relay, (64, 56, 1))
    world.issuance.after(47 * HOUR)
    with refused("TooEarly", 48 * HOUR):
        redeem(world, tokens)
    world.issuance.after(48 * HOUR)
    with refused("NotRelayOwner"):
        redeem(world, tokens, sender=accounts[9])
    before = world.token.balanceOf(world.operators[0])
    redeem(world, tokens)
    assert world.token.balanceOf(world.operators[0]) - before == 121 * UNIT * 4 // 5
    assert redeemer.redemptionOf(EPOCH, world.relay).dict()["proven"] == 121
    with refused("NotAscending"):
        redeem(world, tokens)


def test_a_relay_redeems_what_was_not_attested(paying):
    world = paying
    leaf = settled(world, 100)
    world.issuance.after(48 * HOUR)
    redeem(world, world.issuance.tokens(world.relay, (64, 56)), leaf)
    assert world.channels.issuanceOf(EPOCH).dict()["redeemed"] == 20


def exit_credit(world, key):
    message, signature = world.issuance.credit(key)
    signed = world.issuance.exit_signature(key, message, 0, PAYEE)
    shown = world.issuance.key(6)
    world.redeemer.startCreditExit(
        EPOCH, 6, key.address, signature, PAYEE, signed, shown, {"from": world.user}
    )
    return message


def test_a_credit_is_exited(paying):
    world, redeemer = paying, paying.redeemer
    bought(world)
    message = exit_credit(world, Account.create())
    assert redeemer.exitOf(message).dict()["status"] == OPEN
    world.advance(7 * DAY)
    with refused("TooEarly", 96 * HOUR):
        redeemer.finalizeExit(message, {"from": accounts[9]})
    world.issuance.after(96 * HOUR)
    before = world.token.balanceOf(PAYEE)
    redeemer.finalizeExit(message, {"from": accounts[9]})
    assert world.token.balanceOf(PAYEE) - before == 64 * UNIT
    assert redeemer.exitOf(message).dict()["status"] == DONE


def test_the_exit_of_a_swapped_credit_is_refuted(paying):
    world, redeemer, key = paying, paying.redeemer, Account.create()
    bought(world)
    message = exit_credit(world, key)
    found = curve((7, bytes32("token")))
    (full, compressed), inputs = found["points"][0], packed_credit(key)
    hashes = keccak(inputs), keccak(b"\x07" + compressed)
    signed = world.sign(key, world.channels, "Swap", SWAP, (EPOCH, *hashes))
    swap = (EPOCH, inputs, b"\x07", full, signed)
    keys = b"".join(world.issuance.keys)
    with refused("InvalidSignature"):
        redeemer.challengeBySwap(message, swap, full, keys, {"from": accounts[7]})
    before = world.token.balanceOf(accounts[7])
    redeemer.challengeBySwap(message, swap, found["signed"][0], keys, {"from": accounts[7]})
    assert world.token.balanceOf(accounts[7]) - before == BOND
    assert redeemer.exitOf(message).dict()["status"] == REFUTED


def test_the_rest_of_a_token_is_exited_unless_more_was_spent(paying):
    world, redeemer, issuance = paying, paying.redeemer, paying.issuance
    bought(world)
    issuance.after(96 * HOUR)
    (admitted,) = issuance.tokens(world.relay, (10,))
    (spent,) = issuance.tokens(world.relay, (40,))
    refund = Account.from_key(keccak(text="refund 0"))
    message = bytes(redeemer.tokenMessage(EPOCH, world.relay, *admitted[:2]))
    signed = issuance.exit_signature(refund, message, 10, PAYEE)
    redeemer.startTokenExit(
        EPOCH, world.relay, admitted, PAYEE, signed, issuance.key(7), {"from": world.user}
    )
    with refused("NotDeeper", 10, 10):
        redeemer.challengeByPreimage(message, 10, admitted[3], {"from": accounts[7]})
    redeemer.challengeByPreimage(message, 40, spent[3], {"from": accounts[7]})
    assert redeemer.exitOf(message).dict()["status"] == REFUTED


def test_paid_and_not_served(paying):
    world, redeemer, user = paying, paying.redeemer, paying.user
    voucher, batch, _ = bought(world, 4)
    full = b"".join(point for point, _ in batch)
    redeemer.disputeIssuance(voucher, full, {"from": user})
    dispute = bytes(world.channels.voucherDigest(voucher))
    world.issuance.after(96 * HOUR)
    before = world.channels.channelOf(user).dict()["deposit"]
    redeemer.refundIssuance(dispute, {"from": accounts[9]})
    assert world.channels.channelOf(user).dict()["deposit"] - before == 256 * UNIT
    with refused("AlreadyDisputed", 0, 256 * UNIT):
        redeemer.disputeIssuance(voucher, full, {"from": user})


def test_what_is_disputed_is_delivered(paying):
    world, redeemer, user = paying, paying.redeemer, paying.user
    voucher, batch, signed = bought(world, 4)
    full = b"".join(point for point, _ in batch)
    redeemer.disputeIssuance(voucher, full, {"from": user})
    dispute = bytes(world.channels.voucherDigest(voucher))
    arguments = (dispute, voucher, b"", full)
    with refused("InvalidSignature"):
        redeemer.deliver(*arguments, full, world.issuance.key(6), {"from": accounts[7]})
    delivered = redeemer.deliver(*arguments, signed, world.issuance.key(6), {"from": accounts[7]})
    assert delivered.events["IssuanceDelivered"]["deliverer"] == accounts[7]
    with refused("WrongStatus"):
        redeemer.refundIssuance(dispute, {"from": accounts[9]})


def test_a_member_that_closes_twice_loses_its_bond(paying):
    world, channels = paying, paying.channels
    closings = [(EPOCH, units, LOG) for units in (1, 640)]
    signed = [world.sign(world.signers[2], channels, "Closing", CLOSING, c) for c in closings]
    shown = [part for both in zip(closings, signed, strict=True) for part in both]
    channels.proveTwoClosings(2, *shown, {"from": accounts[7]})
    slash = world.slasher.slashOf(1).dict()
    assert (slash["state"], slash["isPremium"]) == (ESCROW, True)
    assert slash["refill"] == 640 * UNIT
    world.execute_slash(1)
    assert world.slasher.slashOf(1).dict()["state"] == EXECUTED
    assert channels.money()[0] == 640 * UNIT
    assert world.committee.bondOf(2) == 0
