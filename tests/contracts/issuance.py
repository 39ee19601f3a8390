"""Premium payments as these tests need them: keys, instruments, vouchers, trees.

The curve's arithmetic is asked of the product, which has an environment of its own; everything else
is written for these tests alone.
"""

import json

from brownie import accounts, web3
from eth_abi import encode
from eth_abi.packed import encode_packed
from eth_account import Account
from eth_utils import keccak
from typed_data import ATTESTATION, CLAIM_LEAF, CLOSING, EXIT, ISSUANCE_KEYS, VOUCHER
from world import bytes32, deployment

EPOCH = 1
TOKEN_CLASS = 7
UNIT = 5 * 10**14
LOG = bytes32("log")
HOUR = 3600
PATH_WORDS = 16
CURVE = """
import json, sys
from qnet.crypto import bls
from qnet.crypto.points import G1, G2
from qnet.crypto.scalars import reduce_wide
asked = json.loads(sys.argv[1])
secrets = [reduce_wide(bytes([class_ + 1]) * 64) for class_ in range(8)]
messages = [(class_, bls.hash_to_g1(bytes.fromhex(text))) for class_, text in asked]
print(json.dumps({
    "keys": [(G2.generator() * secret).encode_eip2537().hex() for secret in secrets],
    "points": [[point.encode_eip2537().hex(), point.encode().hex()] for _, point in messages],
    "signed": [(point * secrets[class_]).encode_eip2537().hex() for class_, point in messages],
}))
"""


def curve(*asked):
    """Hash messages, given as (class, 32 bytes), to the curve and sign the points."""
    words = json.dumps([[class_, message.hex()] for class_, message in asked])
    return {
        name: [
            tuple(map(bytes.fromhex, item)) if isinstance(item, list) else bytes.fromhex(item)
            for item in items
        ]
        for name, items in deployment.ask_product(CURVE, words).items()
    }


def words_of(point):
    """A point of G1 as four words."""
    return [point[at : at + 32] for at in range(0, 128, 32)]


def hash_times(value, times):
    for _ in range(times):
        value = keccak(value)
    return value


class Issuance:
    """The committee's part of issuance epoch 1, and instruments of it."""

    def __init__(self, world):
        self.world, self.channels, self.redeemer = world, world.channels, world.redeemer
        self.keys = curve()["keys"]
        self.end = world.genesis + 2 * 7 * 24 * HOUR

    @property
    def hashes(self):
        return b"".join(keccak(key) for key in self.keys)

    def key(self, class_):
        """The key of a class, with the hashes of all."""
        return self.keys[class_] + self.hashes

    def after(self, seconds):
        self.world.advance_to(self.end + seconds)

    # what the committee states

    def state(self, call, name, fields, values):
        """Send a statement with the signatures of a quorum."""
        bitmap, signed = self.world.quorum_signatures(
            self.channels, name, fields, values, (0, 1, 2)
        )
        arguments = values if name == "IssuanceKeys" else (values,)
        return call(*arguments, bitmap, signed, {"from": accounts[9]})

    def register(self):
        head = ["bytes32", "uint256", "address", "uint32"]
        domain = keccak(text="QNet premium payments 1")
        place = encode(head, [domain, web3.eth.chain_id, self.channels.address, EPOCH])
        values = (EPOCH, keccak(place + self.hashes))
        return self.state(self.channels.registerKeys, "IssuanceKeys", ISSUANCE_KEYS, values)

    def close(self, units):
        return self.state(self.channels.closeEpoch, "Closing", CLOSING, (EPOCH, units, LOG))

    def attest(self, root, units, tokens):
        values = (EPOCH, root, units, tokens, LOG)
        return self.state(self.channels.attest, "Attestation", ATTESTATION, values)

    # users

    def voucher(self, account, nonce, cumulative, points):
        """A voucher over points, and its signature."""
        batch = keccak(b"".join(compressed for _, compressed in points))
        values = (account.address, cumulative, nonce, EPOCH, batch)
        return values, self.world.sign(account, self.channels, "Voucher", VOUCHER, values)

    def exit_signature(self, key, message, spent, to):
        return self.world.sign(key, self.channels, "Exit", EXIT, (message, spent, to))

    def credit(self, key, class_=6):
        """Message and signature of a credit."""
        message = bytes(self.redeemer.creditMessage(EPOCH, class_, key.address))
        return message, words_of(curve((class_, message))["signed"][0])

    # relays

    def tokens(self, relay, spent):
        """Tokens of a relay, each spent so far, in the order in which they are redeemed."""
        made = []
        for number, units in enumerate(spent):
            end = keccak(text=f"chain of token {number}")
            top, refund = hash_times(end, 64), Account.from_key(keccak(text=f"refund {number}"))
            made.append((top, refund.address, units, hash_times(end, 64 - units)))
        made.sort(key=lambda token: keccak(encode(["bytes32", "address"], token[:2])))
        messages = [
            (TOKEN_CLASS, bytes(self.redeemer.tokenMessage(EPOCH, relay, top, refund)))
            for top, refund, _, _ in made
        ]
        signed = curve(*messages)["signed"]
        return [(*token, words_of(point)) for token, point in zip(made, signed, strict=True)]

    def tree(self, leaves):
        """Root of a tree of (relay, units, sum, tokens), and each with its path."""
        level = {}
        for leaf in leaves:
            values = (4, web3.eth.chain_id, self.channels.address, EPOCH, *leaf)
            level[leaf[0]] = keccak(keccak(encode(CLAIM_LEAF, values)))
        paths, empty = {leaf[0]: [] for leaf in leaves}, bytes(32)
        for height in range(PATH_WORDS):
            for relay, path in paths.items():
                path.append(level.get((relay >> height) ^ 1, empty))
            level = {
                at // 2: keccak(level.get(at // 2 * 2, empty) + level.get(at // 2 * 2 + 1, empty))
                for at in level
            }
            empty = keccak(empty + empty)
        return level[0], [(*leaf, paths[leaf[0]]) for leaf in leaves]


def packed_credit(key, class_=6):
    """A credit as an input of a swap."""
    return encode_packed(["uint8", "uint32", "uint8", "address"], [0, EPOCH, class_, key.address])
