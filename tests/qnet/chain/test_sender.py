import asyncio

import pytest

from qnet.chain.errors import ContractError, TransactionFailedError, TransactionTimeoutError
from qnet.chain.values import Call

pytestmark = pytest.mark.chain
SINK = bytes(18) + b"\x77\x07"


async def test_a_sent_transaction_is_mined_and_paid_for(chain):
    holder = chain.network.holders[0]
    before = await chain.client.balance(holder.address)
    result = await chain.send(holder, Call(SINK, value_wei=5))
    assert result.succeeded
    assert await chain.client.balance(holder.address) == before - 5 - result.fee_wei


async def test_the_prepared_cost_is_an_upper_bound(chain):
    sender = chain.sender(chain.network.holders[0])
    prepared = await sender.submit(Call(SINK, value_wei=5))
    result = await sender.outcome(prepared)
    assert result.tx_hash == prepared.tx_hash
    assert 5 + result.fee_wei <= prepared.max_cost_wei


async def test_many_tasks_share_one_account(chain):
    holder = chain.network.holders[0]
    start = await chain.client.transaction_count(holder.address)
    results = await asyncio.gather(
        *(chain.send(holder, Call(SINK, value_wei=1)) for _ in range(12))
    )
    assert len({result.tx_hash for result in results}) == 12
    assert await chain.client.transaction_count(holder.address) == start + 12
    assert await chain.client.balance(SINK) == 12


async def test_waiting_for_finality(chain):
    result = await chain.send(chain.network.holders[0], Call(SINK, value_wei=1), wait="final")
    finalized = await chain.client.block("finalized")
    assert finalized.number >= result.block_number
    assert (await chain.client.block(result.block_number)).hash == result.block_hash


async def test_a_refused_call_is_not_sent(chain):
    holder = chain.network.holders[0]
    nonce = await chain.client.transaction_count(holder.address)
    with pytest.raises(ContractError) as raised:
        await chain.send(holder, chain.contracts.hub.bond(1, 5))
    assert raised.value.name == "UnknownNode"
    assert raised.value.confirmed
    assert await chain.client.transaction_count(holder.address) == nonce


async def test_a_refusal_that_finality_does_not_know_yet_is_told_apart(chain):
    owner, token = chain.network.member_owners[0], chain.contracts.token
    spender = chain.network.holders[1]
    await chain.send(chain.network.holders[0], token.approve(spender.address, 5))
    await chain.control.finalize()
    take = token.abi.function("transferFrom").encode_call(
        [chain.network.holders[0].address, owner.address, 5]
    )
    call = Call(token.address, take)
    await chain.send(spender, call)
    with pytest.raises(ContractError) as raised:
        await chain.sender(spender).check(call)
    assert raised.value.name == "ERC20InsufficientAllowance"
    assert not raised.value.confirmed


async def test_a_transaction_that_reverts_in_its_block_is_diagnosed(chain):
    holder, token = chain.network.holders[0], chain.contracts.token
    sender = chain.sender(holder)
    everything = await token.balance_of(holder.address)
    await chain.client.request("evm_setAutomine", False)  # noqa: FBT003 - a JSON-RPC parameter
    await chain.client.request("evm_setIntervalMining", 0)
    try:
        first = await sender.prepare(token.transfer(SINK, everything))
        late = token.transfer(SINK, 1)
        gas_limit = await sender.check(late)
        await chain.client.broadcast(first.raw)
        await chain.control.mine()
        await chain.client.broadcast(_sign(chain, holder, first.nonce + 1, late, gas_limit))
        await chain.control.mine()
    finally:
        await chain.client.request("evm_setAutomine", True)  # noqa: FBT003
        await chain.client.request("evm_setIntervalMining", 1)
    from qnet.chain.sender import PreparedTransaction
    from qnet.crypto.keys import keccak256

    raw = _sign(chain, holder, first.nonce + 1, late, gas_limit)
    prepared = PreparedTransaction(
        raw, keccak256(raw), first.nonce + 1, late, gas_limit, first.fees
    )
    with pytest.raises(TransactionFailedError) as raised:
        await sender.outcome(prepared)
    assert raised.value.reason is not None
    assert raised.value.reason.name == "ERC20InsufficientBalance"


def _sign(chain, key, nonce, call, gas_limit):
    from qnet.address import checksum_address
    from qnet.chain.sender import KeySigner

    return KeySigner(key).sign_transaction(
        {
            "type": 2,
            "chainId": chain.client.chain_id,
            "nonce": nonce,
            "gas": gas_limit,
            "maxFeePerGas": 10**11,
            "maxPriorityFeePerGas": 10**9,
            "to": checksum_address(call.to),
            "value": 0,
            "data": "0x" + call.data.hex(),
        }
    )


async def test_a_transaction_nobody_mines_times_out_and_names_itself(chain):
    sender = chain.sender(chain.network.holders[0])
    prepared = await sender.prepare(Call(SINK, value_wei=1))
    with pytest.raises(TransactionTimeoutError) as raised:
        await sender.outcome(prepared, timeout_s=0.2)
    assert raised.value.tx_hash == prepared.tx_hash
    assert raised.value.exit_code == 8


async def test_an_estimate_still_suffices_when_the_second_has_changed(chain):
    """A vote checkpoint of the same second is overwritten; a second later a new one costs more."""
    owner = chain.network.holders[0]
    node = await chain.register_node(owner, bond_wei=5000 * 10**18)
    sender = chain.sender(owner)
    prepared = await sender.prepare(chain.contracts.hub.unbond(node.index, 10**18))
    await chain.control.warp(await chain.control.now() + 10)
    await chain.client.broadcast(prepared.raw)
    assert (await sender.outcome(prepared)).succeeded
