"""A relay against a real chain: keys by their hash, and what nobody attested, redeemed."""

import pytest

from node.payments.chain_view import RpcChain
from node.payments.keys import ShownKeys
from node.payments.relay.claiming import Claiming
from node.payments.relay.relay_chain import RelayRpc, Shown
from node.payments.relay.toll_keys import TollKeys
from node.payments.relay.toll_store import TollStore, UnitRow
from node.payments.relay.tolls import earnings
from qnet.chain.errors import ContractError
from qnet.chain.sender import KeySigner
from qnet.crypto.points import G2
from qnet.messages.instruments import TOKEN_CLASS, Opening
from tests.support.issuer import EPOCH, bought, issuance_clock, register

pytestmark = pytest.mark.chain
WEI = 10**18
SPENT = (64, 56, 1)


class Silent:
    """A committee that is gone."""

    members = ("a", "b", "c", "d")

    async def submit_claims(self, member, body):
        return False

    async def leaves(self, epoch, relay):
        return []


class Scene:
    """A relay with tokens that nobody attests, and the chain."""

    def __init__(self, chain, issuer, node, clock, folder, owner):
        self.chain, self.issuer, self.now = chain, issuer, 0.0
        rpc = RpcChain(chain.network.url, chain.network.manifest)
        place = chain.contracts.channels.place
        self.onchain = RelayRpc(rpc, place, None if owner is None else KeySigner(owner))
        self.store = TollStore(folder / "tolls.db")
        self.keys = TollKeys(self.onchain, clock, 4, self.shown, lambda: self.now)
        self.claiming = Claiming(
            *(node.index, node.receipt_key, 3, self.store, self.keys, self.onchain),
            *(Silent(), clock, lambda: self.now),
        )

    async def shown(self, epoch):
        shares = tuple((G2.generator().encode(),) for _ in range(8))
        return [ShownKeys(tuple(self.issuer.keys), shares, 3).encode()]

    def earn(self, relay):
        for k in SPENT:
            held = self.issuer.token(relay)
            token = held.spent(k)
            opening = Opening(EPOCH, token.top, token.refund, token.signature)
            self.store.write([opening], [UnitRow(token.token_id, token.unit)])

    async def at(self, offset_s):
        _, end = self.keys.clock.bounds(EPOCH)
        await self.chain.control.warp(end + offset_s)
        self.now = float(end + offset_s)
        await self.claiming.look()


async def made(chain, folder, *, with_owner):
    contracts = chain.contracts
    payer, owner = chain.network.holders[0], chain.network.holders[1]
    await chain.send(payer, contracts.token.approve(contracts.channels.address, 10**24))
    issuer = await register(chain)
    await chain.send(payer, contracts.channels.open(50 * WEI))
    await bought(chain, payer, 4)
    node = await chain.register_node(owner, bond_wei=2000 * WEI)
    clock = await issuance_clock(chain)
    scene = Scene(chain, issuer, node, clock, folder, owner if with_owner else None)
    scene.earn(node.index)
    return scene, node, owner


async def test_keys_and_terms_come_from_the_chain(chain, tmp_path):
    scene, _, _ = await made(chain, tmp_path, with_owner=False)
    assert await scene.onchain.terms() == scene.keys.clock.terms
    assert await scene.onchain.issuance(99) is None
    keys = await scene.keys.keys_of(EPOCH)
    assert [key.encode_eip2537() for key in keys.keys] == scene.issuer.keys
    scene.now = float(scene.keys.clock.bounds(EPOCH)[0])
    await scene.keys.look()
    issued = scene.keys.issued[EPOCH]
    assert issued.key.encode_eip2537() == scene.issuer.keys[TOKEN_CLASS]
    scene.store.close()


async def test_a_relay_redeems_by_itself_what_nobody_attested(chain, tmp_path):
    scene, node, owner = await made(chain, tmp_path, with_owner=True)
    token, terms = chain.contracts.token, scene.keys.clock.terms
    before = await token.balance_of(owner.address)
    await scene.at(terms.attest_s)
    units = sum(SPENT)
    gained = await token.balance_of(owner.address) - before
    assert gained == units * terms.unit_wei * 4 // 5
    assert (await scene.onchain.shown(EPOCH, node.index)).credited_units == units
    (found,) = await earnings(scene.claiming)
    assert (found["settled_units"], found["pending_units"]) == (units, 0)
    assert await scene.onchain.paid_units(node.index) == 0
    await scene.claiming.look()  # nothing is shown twice
    assert await token.balance_of(owner.address) - before == gained
    scene.store.close()


async def test_without_its_owner_it_warns_and_the_owner_redeems(chain, tmp_path):
    scene, node, owner = await made(chain, tmp_path, with_owner=False)
    terms = scene.keys.clock.terms
    await scene.at(terms.attest_s)
    assert scene.claiming.problems == {
        EPOCH: f"{sum(SPENT)} units are not attested: qnet node redeem"
    }
    assert await scene.onchain.shown(EPOCH, node.index) == Shown()
    stranger = RelayRpc(scene.onchain.rpc, scene.onchain.place, KeySigner(chain.network.holders[2]))
    scene.claiming.chain = stranger
    with pytest.raises(ContractError, match="NotRelayOwner"):
        await scene.claiming.redeem(EPOCH)
    scene.claiming.chain = RelayRpc(scene.onchain.rpc, scene.onchain.place, KeySigner(owner))
    assert await scene.claiming.redeem(EPOCH) == sum(SPENT)
    scene.store.close()
