import asyncio
import secrets

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnet.chain.anvil import Anvil, AnvilOptions, EmbeddedChain
from qnet.chain.client import ChainClient
from qnet.chain.confirmations import Cursor, FinalizedLogs, final_receipt, wait_final, wait_mined
from qnet.chain.errors import ChainRestartedError, FinalityBrokenError, TransactionTimeoutError
from qnet.chain.sender import KeySigner, Sender
from qnet.chain.values import BlockMark, Call
from qnet.crypto.keys import ReceiptKey

pytestmark = pytest.mark.chain
SINK = bytes(18) + b"\x77\x07"
MANUAL = AnvilOptions(block_time_s=0)


def reader(chain, cursor=None, span_blocks=2000, start_block=None):
    token = chain.contracts.token
    return FinalizedLogs(
        chain.client,
        [token.address],
        start_block=start_block or chain.network.deployment.start_block,
        cursor=cursor,
        topics=[token.abi.event("Transfer").hash],
        span_blocks=span_blocks,
    )


async def read_all(logs):
    found = []
    while True:
        before = logs.cursor
        batch = await logs.poll()
        found += batch.logs
        if batch.cursor == before:
            return found


async def test_events_are_read_once_and_only_when_final(chain):
    logs = reader(chain)
    await chain.control.finalize()
    await read_all(logs)
    result = await chain.send(
        chain.network.holders[0], chain.contracts.token.transfer(SINK, 5), wait="final"
    )
    assert [log.tx_hash for log in await read_all(logs)] == [result.tx_hash]
    assert await read_all(logs) == []


async def test_small_steps_and_restarts_read_the_same_events(chain):
    # from here on: of blocks before, which other tests took back, anvil sometimes loses one
    start = (await chain.client.block()).number
    for amount in range(1, 6):
        await chain.send(chain.network.holders[0], chain.contracts.token.transfer(SINK, amount))
    await chain.control.finalize()
    whole = await read_all(reader(chain, start_block=start))
    pieces, cursor = [], None
    for _ in range(1000):
        logs = reader(chain, cursor, span_blocks=3, start_block=start)
        batch = await logs.poll()
        pieces += batch.logs
        if batch.cursor == cursor:
            break
        cursor = batch.cursor
    assert [(log.block_number, log.index) for log in pieces] == sorted(
        (log.block_number, log.index) for log in pieces
    )
    assert pieces[: len(whole)] == whole
    assert len({(log.block_number, log.index) for log in pieces}) == len(pieces)


async def test_an_event_in_a_reorganised_block_is_never_read(anvil_by_hand):
    client, control, sender, token = anvil_by_hand
    start = (await client.block()).number
    logs = FinalizedLogs(client, [token], start_block=start)
    result = await sender.send(Call(token, b"", value_wei=1))
    assert (await logs.poll()).cursor.next_block <= result.block_number
    await control.reorganise(1)
    assert await client.tx_receipt(result.tx_hash) is None
    await control.finalize()
    assert await read_all(logs) == []


async def test_waiting_for_finality_survives_a_reorganisation(anvil_by_hand):
    client, control, sender, token = anvil_by_hand
    prepared = await sender.submit(Call(token, value_wei=1))
    first = await sender.outcome(prepared)
    await control.reorganise(1)
    assert await final_receipt(client, prepared.tx_hash) is None
    with pytest.raises(TransactionTimeoutError):
        await wait_final(client, prepared.tx_hash, timeout_s=0.2)
    await control.mine()
    await client.broadcast(prepared.raw)
    waiting = asyncio.create_task(wait_final(client, prepared.tx_hash, timeout_s=10))
    await wait_mined(client, prepared.tx_hash, timeout_s=5)
    await control.finalize()
    second = await waiting
    assert second.block_hash != first.block_hash
    assert second.block_number > first.block_number


async def test_a_replaced_final_block_is_told_and_can_be_rewound(anvil_by_hand):
    client, control, _, token = anvil_by_hand
    logs = FinalizedLogs(client, [token])
    await control.mine(5)
    early = (await logs.poll()).cursor
    await control.mine(10)
    await logs.poll()
    await control.reorganise(8)
    with pytest.raises(FinalityBrokenError) as raised:
        await logs.poll()
    assert raised.value.common == early.marks[-1]
    assert logs.rewind(raised.value.common) == early
    await logs.poll()


async def test_nothing_in_common_rewinds_to_the_start(anvil_by_hand):
    client, control, _, token = anvil_by_hand
    await control.mine(10)
    finalized = await client.block("finalized")
    cursor = Cursor(client.genesis_hash, (BlockMark(finalized.number, bytes(32)),))
    logs = FinalizedLogs(client, [token], cursor=cursor)
    with pytest.raises(FinalityBrokenError) as raised:
        await logs.poll()
    assert raised.value.common is None
    assert logs.rewind(None).next_block == 0


async def test_a_chain_that_went_back_is_told(anvil_by_hand):
    client, control, _, token = anvil_by_hand
    snapshot = await control.snapshot()
    logs = FinalizedLogs(client, [token])
    await control.mine(10)
    await logs.poll()
    await control.revert(snapshot)
    with pytest.raises(ChainRestartedError, match="went back"):
        await logs.poll()


async def test_a_restarted_chain_is_told(anvil_by_hand):
    client, control, _, token = anvil_by_hand
    logs = FinalizedLogs(client, [token])
    await control.mine(4)
    cursor = (await logs.poll()).cursor
    with Anvil(AnvilOptions(block_time_s=0, timestamp_s=1_000_000_000)) as fresh:
        async with ChainClient.connect(fresh.url) as other:
            await EmbeddedChain(other).mine(20)
            with pytest.raises(ChainRestartedError, match="first block is another"):
                await FinalizedLogs(other, [token], cursor=cursor).poll()


@pytest.fixture
async def anvil_by_hand():
    """A chain of its own whose blocks come only when a test mines them or sends something."""
    with Anvil(MANUAL) as running:
        async with ChainClient.connect(running.url) as client:
            control = EmbeddedChain(client)
            key = ReceiptKey.generate()
            await control.set_balance(key.address, 10**20)
            await control.mine(3)
            yield client, control, Sender(client, KeySigner(key)), SINK


LOGGER_CODE = "0x60006000a000"
"""PUSH1 0 PUSH1 0 LOG0 STOP: every call makes one event."""

walks = st.lists(
    st.sampled_from(["send", "send", "mine", "reorganise 1", "reorganise 2", "poll", "restart"]),
    max_size=12,
)


@pytest.fixture(scope="module")
def shared_anvil():
    with Anvil(MANUAL) as running:
        yield running


@settings(max_examples=25)
@given(walks)
def test_whatever_happens_each_final_event_is_read_once(shared_anvil, walk):
    """Sending, reorganising what is not final, polling and restarting in any order."""
    asyncio.run(take_walk(shared_anvil.url, walk))


async def take_walk(url, walk):
    async with ChainClient.connect(url) as client:
        control, key, contract = (
            EmbeddedChain(client),
            ReceiptKey.generate(),
            secrets.token_bytes(20),
        )
        await control.set_balance(key.address, 10**20)
        await client.request("anvil_setCode", "0x" + contract.hex(), LOGGER_CODE)
        await control.mine(3)
        start = (await client.block()).number
        logs = FinalizedLogs(client, [contract], start_block=start)
        read = []
        for step in walk:
            match step.split():
                case ["send"]:
                    await Sender(client, KeySigner(key)).send(Call(contract))
                case ["mine"]:
                    await control.mine()
                case ["reorganise", depth]:
                    await control.reorganise(int(depth))
                case ["poll"]:
                    read += (await logs.poll()).logs
                case _:
                    logs = FinalizedLogs(client, [contract], start_block=start, cursor=logs.cursor)
        await control.finalize()
        read += await read_all(logs)
        latest = (await client.block("finalized")).number
        assert read == await client.logs([contract], from_block=start, to_block=latest)
