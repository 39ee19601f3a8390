"""Typed wrapper of QNetToken."""

from typing import ClassVar, Final

from qnet.chain.contract import Contract
from qnet.chain.values import BlockTag, Call
from qnet.eip712 import digest, qnet_domain

PERMIT_TYPE: Final = (
    "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
)


class QNetToken(Contract):
    """The ERC-20 that operators bond and holders vote with."""

    NAME: ClassVar[str] = "QNetToken"

    async def balance_of(self, account: bytes, at: BlockTag = "latest") -> int:
        """Balance in wei."""
        return int(await self._read("balanceOf", account, at=at))

    async def total_supply(self, at: BlockTag = "latest") -> int:
        """All tokens that exist, in wei."""
        return int(await self._read("totalSupply", at=at))

    async def allowance(self, owner: bytes, spender: bytes) -> int:
        """What `spender` may take from `owner`, in wei."""
        return int(await self._read("allowance", owner, spender))

    async def nonce(self, owner: bytes) -> int:
        """Next permit nonce of an account."""
        return int(await self._read("nonces", owner))

    async def votes(self, account: bytes, at: BlockTag = "latest") -> int:
        """Votes that count for an account now, without staked ones, in wei."""
        return int(await self._read("getVotes", account, at=at))

    async def past_votes(self, account: bytes, timestamp_s: int) -> int:
        """Votes that counted at a time in the past, without staked ones, in wei."""
        return int(await self._read("getPastVotes", account, timestamp_s))

    async def delegate_of(self, account: bytes) -> bytes:
        """Whom an account lets vote; the zero address if nobody."""
        return bytes(await self._read("delegates", account))

    async def permit_digest(
        self, owner: bytes, spender: bytes, amount_wei: int, deadline_s: int
    ) -> bytes:
        """Return the 32 bytes an owner signs to let `spender` take `amount_wei`."""
        nonce = await self.nonce(owner)
        domain = qnet_domain(self.client.chain_id, self.address)
        return digest(domain, PERMIT_TYPE, (owner, spender, amount_wei, nonce, deadline_s))

    def transfer(self, to: bytes, amount_wei: int) -> Call:
        """Pay `amount_wei` to an account."""
        return self._write("transfer", to, amount_wei)

    def approve(self, spender: bytes, amount_wei: int) -> Call:
        """Let `spender` take up to `amount_wei`."""
        return self._write("approve", spender, amount_wei)

    def delegate(self, delegatee: bytes) -> Call:
        """Let `delegatee` vote with the sender's tokens."""
        return self._write("delegate", delegatee)
