"""Free money, on a local network only."""

from qnet.address import checksum_address, parse_address
from qnet.chain.anvil import EmbeddedChain
from qnet.chain.client import ChainClient
from qnet.chain.contracts import Contracts
from qnet.chain.deployment import Deployment
from qnet.chain.sender import KeySigner, Sender
from tools.devnet.accounts import open_account
from tools.devnet.chain import TREASURY
from tools.devnet.config import DEVNET_CHAIN_ID
from tools.devnet.state import State


async def give(state: State, to: str, *, tokens_wei: int, coins_wei: int) -> tuple[str, str]:
    """Give an account tokens from the treasury and coins out of thin air.

    Args:
        state: the network.
        to: address, or the name of one of the network's accounts.
        tokens_wei: QNET.
        coins_wei: the chain's own coin, added to what the account has.

    Returns:
        The full address and the transaction id.

    Raises:
        FundsError: the treasury is empty.
        UsageError: not an address.
    """
    names = {account.name: account.address for account in state.accounts}
    target = parse_address(names.get(to, to))
    treasury = open_account(state.account(TREASURY), state.config.passphrase_file)
    async with ChainClient.connect(state.config.rpc, expected_chain_id=DEVNET_CHAIN_ID) as client:
        contracts = await Contracts.open(client, Deployment.load(state.config.deployment))
        held = await client.balance(target)
        await EmbeddedChain(client).set_balance(target, held + coins_wei)
        sender = Sender(client, KeySigner(treasury.key))
        result = await sender.send(contracts.token.transfer(target, tokens_wei))
    return checksum_address(target), "0x" + result.tx_hash.hex()
