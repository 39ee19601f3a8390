import asyncio
import contextlib

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from qnet.chain.client import GAS_MARGIN_CALL, ChainClient
from qnet.chain.errors import (
    ChainBusyError,
    ChainRestartedError,
    ChainUnreachableError,
    ContractError,
    NonceSpentError,
    WrongChainError,
)
from qnet.chain.rpc import BoundedProvider
from qnet.chain.values import Call
from qnet.crypto.keys import ReceiptKey, keccak256
from qnet.errors import ChainUnrecoverableError, FundsError, QnetError

pytestmark = pytest.mark.chain
HEXES = ["0x", "0x1", "0x" + "11" * 20, "0x" + "22" * 32, "0xzz", "0x" + "ff" * 40]
NAMES = [
    "number",
    "hash",
    "parentHash",
    "timestamp",
    "baseFeePerGas",
    "address",
    "topics",
    "data",
    "blockNumber",
    "blockHash",
    "transactionHash",
    "logIndex",
    "status",
    "gasUsed",
    "effectiveGasPrice",
    "logs",
    "code",
    "message",
]
SINK = bytes(18) + b"\x77\x07"


async def test_reads_the_chain(chain):
    assert chain.client.chain_id == 31337
    latest = await chain.client.block()
    assert latest.number > 0
    assert (await chain.client.block(latest.number)).hash == latest.hash
    assert (await chain.client.block(latest.number - 1)).hash == latest.parent_hash
    assert await chain.client.balance(chain.network.holders[0].address) == 1000 * 10**18
    assert await chain.client.code(bytes(20)) == b""


async def test_another_chain_is_refused(network):
    with pytest.raises(WrongChainError, match="serves chain 31337, not 1"):
        async with ChainClient.connect(network.url, expected_chain_id=1):
            pass


async def test_a_missing_block_says_that_the_chain_may_have_restarted(chain):
    with pytest.raises(ChainRestartedError, match="no block 99999999"):
        await chain.client.block(99_999_999)


async def test_nobody_at_the_address(free_port):
    with pytest.raises(ChainUnreachableError) as raised:
        async with ChainClient.connect(f"http://127.0.0.1:{free_port}"):
            pass
    assert raised.value.exit_code == 8


async def test_custom_errors_come_with_name_and_arguments(chain):
    with pytest.raises(ContractError) as raised:
        await chain.contracts.registry.node(77)
    assert raised.value.name == "UnknownNode"
    assert raised.value.arguments == {"index": 77}
    assert "UnknownNode(index=77)" in raised.value.message
    assert "NodeRegistry.node" in raised.value.why


async def test_errors_of_openzeppelin_are_decoded_too(chain):
    poor = await chain.new_account()
    call = chain.contracts.token.transfer(SINK, 5)
    with pytest.raises(ContractError) as raised:
        await chain.client.call(call, sender=poor.address)
    assert raised.value.name == "ERC20InsufficientBalance"
    assert raised.value.arguments == {"sender": poor.address, "balance": 0, "needed": 5}


async def test_estimates_carry_a_margin(chain):
    call = chain.contracts.token.transfer(SINK, 5)
    estimate = await chain.client.estimate_gas(call, chain.network.deployer.address)
    result = await chain.send(chain.network.deployer, call)
    assert result.gas_used < estimate < 2 * result.gas_used + GAS_MARGIN_CALL
    payment = await chain.client.estimate_gas(
        Call(SINK, value_wei=1), chain.network.deployer.address
    )
    assert 21_000 < payment < 30_000


async def test_broadcasting_twice_is_harmless_and_a_spent_nonce_is_told(chain):
    sender = chain.sender(chain.network.holders[0])
    first = await sender.prepare(Call(SINK, value_wei=1))
    other = await sender.prepare(Call(SINK, value_wei=2))
    assert first.nonce == other.nonce
    await chain.client.broadcast(first.raw)
    await sender.outcome(first)
    with pytest.raises(NonceSpentError):
        await chain.client.broadcast(other.raw)


async def test_an_account_without_coins_cannot_send(chain):
    with pytest.raises(FundsError):
        await chain.send(ReceiptKey.generate(), Call(SINK, value_wei=1))


async def test_the_node_s_own_refusal_is_told(chain):
    with pytest.raises(ChainUnrecoverableError, match="refused no_such_method"):
        await chain.client.request("no_such_method")


async def test_logs_of_a_range(chain):
    result = await chain.send(chain.network.deployer, chain.contracts.token.transfer(SINK, 5))
    topic = chain.contracts.token.abi.event("Transfer").hash
    logs = await chain.client.logs(
        [chain.contracts.token.address],
        from_block=result.block_number,
        to_block=result.block_number,
        topics=[topic],
    )
    assert [log.tx_hash for log in logs] == [result.tx_hash]
    event = chain.contracts.decode(logs[0])
    assert event is not None
    assert event.arguments == {
        "from": chain.network.deployer.address,
        "to": SINK,
        "value": 5,
    }


@pytest.mark.parametrize(
    ("answer", "status"),
    [(b"", 200), (b"<html>", 502), (b"[]", 200), (b'{"jsonrpc":"2.0"}', 200), (b"[" * 9000, 200)],
)
async def test_nonsense_instead_of_json_rpc(serve, answer, status):
    async def handle(_request):
        return web.Response(body=answer, status=status)

    with pytest.raises(ChainUnreachableError):
        async with ChainClient.connect(await serve(handle)):
            pass


async def test_an_endless_answer_is_cut(serve):
    async def handle(request):
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(100):
            await response.write(b"x" * 1000)
        return response

    with pytest.raises(ChainUnreachableError) as raised:
        async with ChainClient.connect(await serve(handle), max_answer_bytes=5000):
            pass
    assert "longer than 5000 bytes" in raised.value.why


async def test_a_silent_node_meets_the_deadline(serve):
    async def handle(_request):
        await asyncio.Event().wait()

    with pytest.raises(ChainUnreachableError):
        async with ChainClient.connect(await serve(handle), timeout_s=0.2):
            pass


@pytest.fixture
async def node_that_says(serve):
    """A client of a node that answers the handshake and then reports one error."""

    async def connect(message, *, drops=0):
        left = drops

        async def handle(request):
            nonlocal left
            asked = await request.json()
            if asked["method"] == "eth_chainId":
                return web.json_response({"jsonrpc": "2.0", "id": 1, "result": "0x1"})
            if asked["params"][:1] == ["0x0"]:
                return web.json_response({"jsonrpc": "2.0", "id": 1, "result": GENESIS})
            if left:
                left -= 1
                request.transport.close()
                return web.Response()
            error = {"code": -32000, "message": message}
            return web.json_response({"jsonrpc": "2.0", "id": 1, "error": error})

        return await serve(handle)

    return connect


GENESIS = {
    "number": "0x0",
    "hash": "0x" + "11" * 32,
    "parentHash": "0x" + "00" * 32,
    "timestamp": "0x1",
}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("replacement transaction underpriced", ChainBusyError),
        ("max fee per gas less than block base fee: 1", ChainBusyError),
        ("daily request limit exceeded", ChainBusyError),
        ("nonce too low: next nonce 5", NonceSpentError),
        ("insufficient funds for gas * price + value", FundsError),
        ("something else", ChainUnrecoverableError),
    ],
)
async def test_what_nodes_say_becomes_typed(node_that_says, message, expected):
    async with ChainClient.connect(await node_that_says(message)) as client:
        with pytest.raises(expected):
            await client.broadcast(b"\1")
        with pytest.raises(expected):
            await client.estimate_gas(Call(SINK), SINK)
        with pytest.raises(expected):
            await client.call(Call(SINK))
        with pytest.raises(expected):
            await client.balance(SINK)
        with pytest.raises(expected):
            await client.tx_receipt(bytes(32))
        with pytest.raises(expected):
            await client.block(5)


@pytest.mark.parametrize("message", ["already known", "ALREADY_EXISTS: already known"])
async def test_a_transaction_the_node_knows_counts_as_sent(node_that_says, message):
    async with ChainClient.connect(await node_that_says(message)) as client:
        await client.broadcast(b"\1")


async def test_a_connection_closed_meanwhile_is_opened_again(node_that_says):
    url = await node_that_says("already known", drops=1)
    async with ChainClient.connect(url) as client:
        await client.broadcast(b"\1")
    url = await node_that_says("already known", drops=2)
    async with ChainClient.connect(url) as client:
        with pytest.raises(ChainUnreachableError):
            await client.broadcast(b"\1")


async def test_a_closed_client_says_so(network):
    async with ChainClient.connect(network.url) as client:
        pass
    with pytest.raises(ChainUnreachableError, match="closed"):
        await client.block()


async def test_storage_of_a_proxy_names_its_code(chain):
    slot = int.from_bytes(keccak256(b"eip1967.proxy.implementation"), "big") - 1
    word = await chain.client.storage(chain.contracts.registry.address, slot)
    assert await chain.client.code(word[12:]) != b""


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(HEXES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner),
    max_leaves=12,
)


class NonsenseProvider(BoundedProvider):
    """Answers every request with what hypothesis thinks of."""

    def __init__(self, answer):
        super().__init__("http://nowhere")
        self._answer = answer

    async def make_request(self, method, params):
        return self._answer


@given(json_values, st.sampled_from(["result", "error"]))
def test_no_answer_of_a_node_breaks_the_client(value, kind):
    provider = NonsenseProvider({"jsonrpc": "2.0", "id": 1, kind: value})
    client = ChainClient(provider, chain_id=1, genesis_hash=bytes(32))

    async def ask_everything():
        for question in (
            client.block(),
            client.balance(SINK),
            client.code(SINK),
            client.storage(SINK, 0),
            client.transaction_count(SINK),
            client.call(Call(SINK)),
            client.estimate_gas(Call(SINK), SINK),
            client.fees(),
            client.logs([SINK], from_block=0, to_block=1),
            client.tx_receipt(bytes(32)),
            client.broadcast(b"\1"),
        ):
            with contextlib.suppress(QnetError):
                await question

    asyncio.run(ask_everything())
