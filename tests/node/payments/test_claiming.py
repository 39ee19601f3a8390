"""Claims of a relay: sent until a quorum has them, compared with the root, redeemed if need be."""

import json
import secrets
from dataclasses import dataclass, field

import pytest

from node.payments.claiming import REDEEM_BATCH, Claiming
from node.payments.earnings import earnings_of, earnings_rows, fee_wei, net_wei
from node.payments.relay_chain import Issuance, Shown
from node.payments.toll_keys import TollKeys
from node.payments.toll_store import TollStore, UnitRow
from node.payments.tolls import earnings
from qnet.crypto.keys import ReceiptKey
from qnet.eip712 import qnet_domain
from qnet.epochs import EpochClock
from qnet.errors import RejectedError, UsageError
from qnet.issuance import IssuanceClock, PaymentTerms
from qnet.messages.claims import CLAIMS_MAX, Claims
from qnet.messages.instruments import TOKEN_CLASS
from qnet.messages.settlement import ClaimLeaf, ClaimTree
from tools.bench.issuer import LocalIssuer

ISSUER = LocalIssuer.draw()
PLACE = ISSUER.place
DOMAIN = qnet_domain(PLACE.chain_id, PLACE.channels)
TERMS = PaymentTerms.profile("devnet")
CLOCK = IssuanceClock(EpochClock(1_000_000, 5, 6), TERMS)
EPOCH, RELAY, QUORUM = 3, 7, 3
END = CLOCK.bounds(EPOCH)[1]

pytestmark = pytest.mark.asyncio


@dataclass
class Chain:
    """The chain as tests want it."""

    root: bytes | None = None
    may_redeem: bool = False
    paid: int = 0
    attested: int = 0
    shown_tokens: list = field(default_factory=list)
    fails: bool = False
    since: int = 0

    place = PLACE

    async def terms(self):
        return TERMS

    async def issuance(self, epoch):
        if self.fails:
            raise UsageError("no answer")
        return Issuance(PLACE.keys_hash(epoch, ISSUER.shown.encoded), self.root)

    async def elapsed(self, epoch):
        return self.since

    async def shown(self, epoch, relay):
        proven = sum(token.unit.k for token in self.shown_tokens)
        last = self.shown_tokens[-1].token_id[:16] if self.shown_tokens else bytes(16)
        return Shown(proven, max(0, proven - self.attested), last)

    async def paid_units(self, relay):
        return self.paid

    async def redeem(self, shown, proven, keys):
        assert len(shown.tokens) <= REDEEM_BATCH
        assert tuple(keys) == ISSUER.shown.encoded
        ids = [token.token_id[:16] for token in (*self.shown_tokens[-1:], *shown.tokens)]
        assert ids == sorted(ids)
        self.shown_tokens += shown.tokens


@dataclass
class Ledger:
    """Members that keep what they get, as long as they are up."""

    members: tuple[str, ...] = ("a", "b", "c", "d")
    up: set = field(default_factory=lambda: {"a", "b", "c", "d"})
    got: dict = field(default_factory=dict)
    shown: list = field(default_factory=list)
    sent: int = 0

    async def submit_claims(self, member, body):
        self.sent += 1
        if member not in self.up:
            return False
        claims = Claims.decode(body)
        claims.verify(DOMAIN, KEY.address)
        self.got.setdefault(member, {}).update({t.token_id: t.unit.k for t in claims.tokens})
        return True

    async def leaves(self, epoch, relay):
        return self.shown

    async def keys(self, epoch):
        return [b"junk", ISSUER.shown.encode()]


KEY = ReceiptKey.generate()


class Scene:
    def __init__(self, folder):
        self.now = float(END)
        self.path = folder / "tolls.db"
        self.chain, self.ledger = Chain(), Ledger()
        self.start()

    def start(self):
        """A life of the node."""
        self.store = TollStore(self.path)
        keys = TollKeys(self.chain, CLOCK, 4, self.ledger.keys, lambda: self.now)
        self.claiming = Claiming(
            RELAY, KEY, QUORUM, self.store, keys, self.chain, self.ledger, CLOCK, lambda: self.now
        )

    def restart(self):
        self.store.close()
        self.start()

    def earn(self, count, k=3):
        tokens = [ISSUER.token(RELAY, EPOCH) for _ in range(count)]
        self.store.write(
            [token.opening for token in tokens],
            [UnitRow(token.opening.token_id, token.unit(k)) for token in tokens],
        )
        return {token.opening.token_id: k for token in tokens}

    def fake(self, count):
        """Many tokens, quickly: nobody verifies them here."""
        one = ISSUER.token(RELAY, EPOCH)
        openings = [
            type(one.opening)(EPOCH, secrets.token_bytes(32), bytes(20), one.opening.signature)
            for _ in range(count)
        ]
        units = [UnitRow(opening.token_id, one.unit(1)) for opening in openings]
        self.store.write(openings, units)

    def attest(self, units, cum=None):
        """The committee attests so many units to us; its members show the leaf."""
        leaf = ClaimLeaf(RELAY, units, units if cum is None else cum, 1)
        others = [ClaimLeaf(RELAY + 1, 5, 5, 1)]
        tree = ClaimTree(
            [leaf, *others], chain_id=PLACE.chain_id, channels=PLACE.channels, epoch=EPOCH
        )
        self.chain.root, self.chain.attested = tree.root, units
        self.ledger.shown = [b"junk", json.dumps(tree.prove(RELAY).to_json()).encode()]

    async def at(self, offset_s):
        self.now = END + offset_s
        await self.claiming.look()


@pytest.fixture
def scene(tmp_path):
    made = Scene(tmp_path)
    yield made
    made.store.close()


async def test_claims_go_to_all_members_once_the_epoch_takes_no_tokens(scene):
    expected = scene.earn(5)
    await scene.at(TERMS.spend_s - 1)
    assert scene.ledger.got == {}
    await scene.at(TERMS.spend_s + 1)
    assert scene.ledger.got == dict.fromkeys("abcd", expected)
    await scene.at(TERMS.spend_s + 2)
    assert scene.ledger.sent == 4
    assert await scene.claiming.takers(EPOCH) == 4


async def test_claims_are_sent_again_until_a_quorum_has_them(scene):
    scene.earn(2)
    scene.ledger.up = {"a"}
    await scene.at(TERMS.spend_s + 1)
    assert scene.claiming.problems == {EPOCH: "1 of 3 members took our claims"}
    scene.restart()  # what was delivered stays delivered
    scene.ledger.up = {"b", "c"}
    await scene.at(TERMS.spend_s + 2)
    assert scene.ledger.sent == 4 + 3
    assert scene.claiming.problems == {}
    await scene.at(TERMS.spend_s + 3)
    assert scene.ledger.sent == 7


async def test_nobody_is_asked_after_claim_s(scene):
    scene.earn(1)
    await scene.at(TERMS.claim_s)
    assert scene.ledger.sent == 0


async def test_many_tokens_go_in_parts(scene):
    scene.fake(CLAIMS_MAX + 3)
    await scene.at(TERMS.spend_s + 1)
    assert scene.ledger.sent == 8
    assert len(scene.ledger.got["a"]) == CLAIMS_MAX + 3


async def test_what_was_attested_is_compared(scene):
    scene.earn(4)
    scene.attest(12, cum=30)
    await scene.at(TERMS.claim_s + 1)
    (row,) = scene.store.epochs()
    assert (row.attested_units, row.cum_units) == (12, 30)
    assert scene.claiming.problems == {}
    await scene.at(TERMS.attest_s)
    assert scene.chain.shown_tokens == []


async def test_what_is_missing_is_redeemed(scene):
    scene.earn(4)
    scene.chain.may_redeem = True
    scene.attest(7)
    await scene.at(TERMS.attest_s - 1)
    assert scene.chain.shown_tokens == []
    await scene.at(TERMS.attest_s)
    (row,) = scene.store.epochs()
    assert (row.attested_units, row.redeemed_units) == (7, 5)
    await scene.at(TERMS.attest_s + 1)
    assert len(scene.chain.shown_tokens) == 4


async def test_without_a_root_everything_is_redeemed_in_batches(scene):
    scene.fake(REDEEM_BATCH + 6)
    scene.chain.may_redeem = True
    await scene.at(TERMS.attest_s)
    assert len(scene.chain.shown_tokens) == REDEEM_BATCH + 6
    assert scene.store.epochs()[0].redeemed_units == REDEEM_BATCH + 6


async def test_a_redemption_that_broke_off_goes_on_behind_the_last_token(scene):
    scene.earn(3)
    scene.chain.shown_tokens = scene.store.spent(EPOCH)[:1]
    scene.chain.may_redeem = True
    await scene.at(TERMS.attest_s)
    assert scene.chain.shown_tokens == scene.store.spent(EPOCH)


async def test_without_the_owners_key_it_says_so(scene):
    scene.earn(4)
    scene.attest(7)
    await scene.at(TERMS.attest_s)
    assert scene.claiming.problems == {EPOCH: "5 units are not attested: qnet node redeem"}
    await scene.at(TERMS.redeem_s)
    assert scene.chain.shown_tokens == []


@pytest.mark.parametrize(
    ("since", "state"),
    [
        (0, "later"),
        (TERMS.attest_s - 1, "later"),
        (TERMS.attest_s, "redeemed"),
        (TERMS.redeem_s - 1, "redeemed"),
        (TERMS.redeem_s, "over"),
    ],
)
async def test_tokens_are_shown_to_the_chain_in_their_time(scene, since, state):
    scene.chain.since = since
    assert await scene.claiming.redemption(EPOCH) == state


async def test_a_leaf_that_is_not_under_the_root_proves_nothing(scene):
    scene.earn(4)
    scene.attest(12)
    scene.chain.root = secrets.token_bytes(32)
    scene.chain.may_redeem = True
    await scene.at(TERMS.attest_s)
    assert scene.store.epochs()[0].attested_units is None
    assert "no member shows our leaf" in scene.claiming.problems[EPOCH]
    with pytest.raises(RejectedError):
        await scene.claiming.redeem(EPOCH)


async def test_a_chain_that_does_not_answer_is_asked_again(scene):
    scene.earn(4)
    scene.chain.fails = True
    await scene.at(TERMS.attest_s)
    assert scene.claiming.problems == {EPOCH: "no answer"}
    scene.chain.fails, scene.chain.may_redeem = False, True
    await scene.at(TERMS.attest_s + 1)
    assert scene.claiming.problems == {}


async def test_epochs_are_forgotten(scene):
    scene.earn(1)
    await scene.at(TERMS.keep_s)
    assert scene.store.epochs() == []


async def test_keys_are_learnt_in_their_time_and_only_by_their_hash(scene):
    keys = scene.claiming.keys
    scene.now = CLOCK.bounds(EPOCH)[0] + 1
    await keys.look()
    assert sorted(keys.issued) == [EPOCH - 1, EPOCH, EPOCH + 1]
    assert keys.issued[EPOCH].key.encode_eip2537() == ISSUER.shown.encoded[TOKEN_CLASS]
    assert keys.issued[EPOCH].until_s == END + TERMS.spend_s
    scene.now = CLOCK.bounds(EPOCH + 3)[0] + TERMS.spend_s
    await keys.look()
    assert EPOCH not in keys.issued
    other = LocalIssuer.draw()
    keys.ask = scene.ledger.__class__(members=()).keys
    wrong = TollKeys(scene.chain, CLOCK, 4, _shows(other), lambda: scene.now)
    await wrong.look()
    assert wrong.issued == {}


def _shows(issuer):
    async def ask(_epoch):
        return [issuer.shown.encode()]

    return ask


async def test_earnings_add_up_to_the_last_unit(scene):
    scene.earn(10, k=49)
    scene.attest(480, cum=1000)
    scene.chain.may_redeem = True
    await scene.at(TERMS.attest_s)
    scene.chain.paid = 520 + 100  # claims of epochs before, and a part of this one
    (found,) = await earnings(scene.claiming)
    assert found["units"] == 490
    assert (found["settled_units"], found["pending_units"]) == (100 + 10, 380)
    (one,) = earnings_of(scene.store.epochs(), {EPOCH: 4}, 520 + 100)
    assert one.settled + one.pending == one.row.units
    unit = TERMS.unit_wei
    assert net_wei(unit) + fee_wei(unit) == unit
    (row,) = earnings_rows([one], unit, {})
    assert row["gross"] == "4.9"
    assert row["fees"] == "0.98"
    assert row["net"] == "3.92"
    assert (row["settled"], row["pending"]) == ("0.88", "3.04")
