"""`qnet stake`: delegations, terms and slots as people type them, against a real chain."""

import asyncio
import json

import pytest

from governance.calculator import estimate
from governance.terms import in_force
from ledger.domain.rewards import reward, role_budget, role_slots, split
from qnet.chain.anvil import EmbeddedChain
from qnet.chain.client import ChainClient
from qnet.chain.contracts import Contracts
from qnet.chain.deployment import Deployment
from qnet.chain.hub import Terms
from qnet.chain.sender import KeySigner, Sender
from qnet.chain.staking import Role
from qnet.crypto.keys import ReceiptKey
from qnet.messages.descriptor import Role as NodeRole
from qnet.parameters import NetworkParameters

pytestmark = pytest.mark.chain
QNET = 10**18


def on_chain(world, action):
    """Run a coroutine over the contracts, as `action(contracts)`."""

    async def work():
        async with ChainClient.connect(world.url) as client:
            return await action(Contracts.bind(client, Deployment.load(world.manifest)))

    return asyncio.run(work())


def register(world, name, *, role=Role.RELAY, bond=0, receipt_key=None):
    """Register a node of a named account; returns its index."""

    async def work(contracts):
        owner, key = world.keys[name], receipt_key or ReceiptKey.generate()
        sender = Sender(contracts.client, KeySigner(owner))
        fee_wei = await contracts.parameters.get("register_fee_wei")
        await sender.send(contracts.token.approve(contracts.registry.address, fee_wei))
        node_id, deadline = key.address.rjust(32, b"\1"), 2**40
        digest = contracts.registry.key_proof_digest(owner.address, node_id, key.address, deadline)
        call = contracts.registry.register(
            role,
            node_id=node_id,
            identity_key=node_id,
            receipt_key=key.address,
            payout=owner.address,
            deadline_s=deadline,
            proof=key.sign(digest),
        )
        await sender.send(call)
        index = await contracts.registry.index_of(node_id)
        if bond:
            await sender.send(contracts.token.approve(contracts.hub.address, bond * QNET))
            await sender.send(contracts.hub.bond(index, bond * QNET))
        return index

    return on_chain(world, work)


def pass_time(world, seconds):
    async def work(contracts):
        chain = EmbeddedChain(contracts.client)
        await chain.warp(await chain.now() + seconds)

    on_chain(world, work)


def code_of(err):
    return json.loads(err.strip().splitlines()[-1])["error"]["code"]


@pytest.fixture
def relay(world):
    """A relay of the operator with a bond of 5,000 QNET, after genesis."""
    pass_time(world, 10)
    return register(world, "operator", bond=5000)


def test_a_delegation_from_shares_to_tokens(world, type_in, relay):
    bob = world.words("bob")
    code, (_, made), err = type_in("stake", "delegate", relay, "700", *bob)
    assert code == 0
    assert made["schema"] == "qnet.stake.delegate/1"
    assert made["data"]["shares"] == str(700_000 * QNET)
    assert made["data"]["pool"] == {"amount": "700", "unit": "QNET"}
    assert "0.5 % of them are lost" in err
    assert f"node {relay} (relay) of 0x" in err
    _, (shown,), _ = type_in("stake", "positions", *bob)
    (row,) = shown["data"]["positions"]
    assert (row["node"], row["put_in"], row["of_pool_percent"]) == (relay, "700", "100.00")
    code, (left,), _ = type_in("stake", "undelegate", relay, "200", *bob)
    assert code == 0
    assert left["data"]["ticket"] == 0
    _, (listed,), _ = type_in("stake", "list", *bob)
    assert listed["data"]["tickets"][0]["from"] == "pool"
    code, _, err = type_in("stake", "withdraw", *bob)
    assert (code, code_of(err)) == (9, "Q0944")
    assert type_in("stake", "undelegate", relay, "600", *bob)[0] == 7
    assert type_in("stake", "undelegate", relay, "all", *bob)[0] == 0
    pass_time(world, 24 * 3600)
    code, paid, _ = type_in("stake", "withdraw", *bob)
    assert code == 0
    assert [item["data"]["ticket"] for item in paid] == [0, 1]
    _, (shown,), _ = type_in("stake", "positions", *bob)
    assert shown["data"] == {"positions": [], "liens": []}


def test_a_move_binds_what_was_moved(world, type_in, relay):
    other = register(world, "alice", bond=5000)
    bob = world.words("bob")
    assert type_in("stake", "delegate", relay, "100", *bob)[0] == 0
    code, (moved,), err = type_in("stake", "move", relay, other, "all", *bob)
    assert code == 0
    assert moved["data"]["bound_until"]
    assert "stay slashable" in err
    _, (shown,), _ = type_in("stake", "positions", *bob)
    assert shown["data"]["liens"][0]["source"] == relay
    code, _, err = type_in("stake", "undelegate", other, "all", *bob)
    assert code == 7
    assert "bound after a move" in err
    assert type_in("stake", "move", other, other, "all", *bob)[0] == 2
    assert type_in("stake", "poke", other, *bob)[0] == 0


def test_what_a_pool_does_not_take(world, type_in, relay):
    bob = world.words("bob")
    code, _, err = type_in("stake", "delegate", relay, "45001", *bob)
    assert (code, code_of(err)) == (9, "Q0945")
    assert "45000 QNET more" in err
    assert type_in("stake", "delegate", 99, "1", *bob)[0] == 3
    assert type_in("stake", "delegate", relay, "1000000", *bob)[0] == 7
    assert type_in("stake", "undelegate", relay, "1", *bob)[0] == 7


def test_dry_runs_send_nothing(world, type_in, relay):
    bob = [word for word in world.words("bob") if word != "--yes"]
    code, _, err = type_in("stake", "delegate", relay, "100", *bob, "--dry-run")
    assert code == 0
    assert "let the hub take 100 QNET" in err
    _, (shown,), _ = type_in("stake", "positions", *bob)
    assert shown["data"]["positions"] == []


def test_terms_are_shown_set_and_refused(world, type_in, relay):
    operator = world.words("operator")
    _, (shown,), _ = type_in("stake", "terms", "--node", relay, *world.reader(), "--json")
    assert (shown["data"]["cost"]["amount"], shown["data"]["margin_ppm"]) == ("0", 100_000)
    assert shown["data"]["next"] is None
    code, (made,), err = type_in("stake", "terms", "--cost", "2", "--margin", "15", *operator)
    assert code == 0
    assert made["data"]["from_epoch"] >= 1
    assert "2 QNET an epoch, then 15 %" in err
    _, (shown,), _ = type_in("stake", "terms", *operator)
    assert shown["data"]["next"]["margin_ppm"] == 150_000
    for wrong in (("--margin", "5"), ("--cost", "51")):
        assert type_in("stake", "terms", *wrong, *operator)[0] == 2
    assert type_in("stake", "terms", "--margin", "15", *world.words("bob"))[0] == 3


def test_slots_are_taken_from_the_weakest(world, type_in):
    pass_time(world, 10)
    slots = NetworkParameters.profile("devnet").slots_exit
    weak = [register(world, "alice", role=Role.EXIT, bond=2000 + place) for place in range(slots)]
    late = register(world, "operator", role=Role.EXIT, bond=2100)
    operator = world.words("operator")
    code, _, err = type_in("stake", "slot", *operator)
    assert (code, code_of(err)) == (9, "Q0946")
    assert "2200 are needed" in err
    assert type_in("stake", "bond", "100", *operator)[0] == 0
    code, (made,), _ = type_in("stake", "slot", *operator)
    assert code == 0
    assert made["data"]["rival"] == weak[0]
    code, _, err = type_in("stake", "slot", *operator)
    assert "holds a paid slot already" in err
    assert late > weak[-1]


def test_an_idle_node_takes_no_slot(world, type_in):
    register(world, "operator")
    code, _, err = type_in("stake", "slot", *world.words("operator"))
    assert (code, code_of(err)) == (9, "Q0946")
    assert "only active nodes" in err


def test_without_a_final_report_nothing_is_settled(world, type_in, relay):
    assert type_in("stake", "settle", relay, *world.words("bob"))[0] == 3
    assert type_in("stake", "settle", 99, *world.words("bob"))[0] == 3


def test_calc_tells_the_split(world, type_in):
    words = ("relay", "5000", "--pool", "5000", "--cost", "1", "--margin", "20")
    code, (told,), _ = type_in("stake", "calc", *words, *world.reader(), "--json")
    assert code == 0
    data = told["data"]
    assert data["stake"]["amount"] == "10000"
    assert float(data["operator"]["amount"]) + float(data["delegators"]["amount"]) == pytest.approx(
        float(data["reward"]["amount"])
    )
    code, (text,), _ = type_in("stake", "calc", *words, *world.reader())
    assert "keeps 1 QNET an epoch, then 20 %" in text


@pytest.mark.parametrize("profile", ["main", "devnet"])
@pytest.mark.parametrize(("bond", "pool"), [(10_000, 0), (12_345, 54_321), (3000, 10**6)])
@pytest.mark.parametrize(("p_ppm", "w_ppm"), [(10**6, 10**6), (912_345, 765_432), (0, 10**6)])
def test_the_estimate_is_the_ledgers_formula(profile, bond, pool, p_ppm, w_ppm):
    parameters = NetworkParameters.profile(profile)
    terms = in_force(Terms(2 * QNET, 150_000), parameters)
    bond_wei, pool_wei = bond * QNET, pool * QNET
    stake_wei = bond_wei + min(pool_wei, parameters.delegation_factor * bond_wei)
    earned = reward(
        role_budget(parameters.emission_wei, NodeRole.RELAY, parameters),
        role_slots(NodeRole.RELAY, parameters),
        stake_wei,
        bond_wei,
        p_ppm,
        w_ppm,
        parameters,
    )
    operator, shared = split(
        earned, p_ppm, w_ppm, terms.cost_wei, terms.margin_ppm, bond_wei, stake_wei, parameters
    )
    found = estimate(
        parameters,
        parameters.emission_wei,
        role="relay",
        bond_wei=bond_wei,
        pool_wei=pool_wei,
        terms=terms,
        performance_ppm=p_ppm,
        work_ppm=w_ppm,
    )
    assert (found.stake_wei, found.reward_wei) == (stake_wei, earned)
    assert (found.operator_wei, found.pool_wei) == (operator, shared)
