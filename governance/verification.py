"""Are the contracts on the chain those of the manifest and of this program?

Every address of the manifest is compared: code with the committed artifacts (constants of the
constructor left out), the code behind proxies, owners and links, parameters with their hash and
bounds, and who holds which role of the timelock.

Source: docs/reference/contracts.md.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from qnet.address import checksum_address
from qnet.chain.artifact import load_artifact
from qnet.chain.contract import Contract
from qnet.chain.contracts import Contracts
from qnet.chain.errors import ContractError
from qnet.chain.layout import (
    APPOINTED,
    JUDGE_LINKS,
    LINKS,
    OWNED,
    PINNED_PARAMETERS,
    PROXIED,
    PROXY,
    REDEEMER_LINKS,
)
from qnet.crypto.keys import keccak256
from qnet.errors import DecodeError
from qnet.parameters import BOUNDS

IMPLEMENTATION_SLOT: Final = int.from_bytes(keccak256(b"eip1967.proxy.implementation"), "big") - 1
"""Source: ERC-1967."""
NOBODY: Final = bytes(20)
_ADMIN: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class Finding:
    """One comparison.

    Attributes:
        contract: name in the manifest.
        subject: what was compared.
        expected: as the manifest or this program says.
        found: as the chain says.
    """

    contract: str
    subject: str
    expected: str
    found: str

    @property
    def ok(self) -> bool:
        """Whether the two agree."""
        return self.expected == self.found


async def implementation_of(contracts: Contracts, contract: Contract) -> bytes:
    """Address (20 bytes) of the code behind a proxy."""
    return (await contracts.client.storage(contract.address, IMPLEMENTATION_SLOT))[-20:]


async def verify_contracts(contracts: Contracts) -> AsyncIterator[Finding]:
    """Compare everything; yields each comparison as it is made."""
    for contract in contracts.all():
        async for finding in _code(contracts, contract):
            yield finding
        async for finding in _links(contracts, contract):
            yield finding
    async for finding in _judge(contracts):
        yield finding
    async for finding in _redeemer(contracts):
        yield finding
    async for finding in _parameters(contracts):
        yield finding
    async for finding in _roles(contracts):
        yield finding


async def _code(contracts: Contracts, contract: Contract) -> AsyncIterator[Finding]:
    name, client = contract.NAME, contracts.client
    listed = contracts.deployment.contracts[name].code_hash
    code = await client.code(contract.address)
    yield Finding(name, "code hash of the manifest", _hex(listed), _hex(keccak256(code)))
    proxied = name in PROXIED
    yield _compiled(name, PROXY if proxied else name, code)
    if proxied:
        behind = await implementation_of(contracts, contract)
        yield _compiled(name, name, await client.code(behind), f" at {checksum_address(behind)}")


def _compiled(name: str, artifact: str, code: bytes, where: str = "") -> Finding:
    """Compare code with an artifact, constants of the constructor set to zero on both sides."""
    compiled = load_artifact(artifact)
    expected, found = compiled.masked_hash(compiled.runtime_code), compiled.masked_hash(code)
    return Finding(name, f"compiled {artifact}{where}", _hex(expected), _hex(found))


async def _judge(contracts: Contracts) -> AsyncIterator[Finding]:
    """Compare the judge that the court made for itself, and what it asks."""
    judge = await contracts.court.judge()
    where = f" at {checksum_address(judge.address)}"
    yield _compiled("DisputeCourt", judge.NAME, await contracts.client.code(judge.address), where)
    for getter, target in JUDGE_LINKS.items():
        expected = checksum_address(contracts.deployment.address(target))
        subject = f"judge's {getter} = {target}"
        yield Finding("DisputeCourt", subject, expected, await _asked(judge, getter))


async def _redeemer(contracts: Contracts) -> AsyncIterator[Finding]:
    """Compare the redeemer that the channels made for themselves, and what it asks."""
    name, redeemer = "PremiumChannels", contracts.redeemer
    expected, found = redeemer.address, await _asked(contracts.channels, "redeemer")
    yield Finding(name, "redeemer", checksum_address(expected), found)
    where = f" at {checksum_address(expected)}"
    yield _compiled(name, redeemer.NAME, await contracts.client.code(expected), where)
    for getter, target in REDEEMER_LINKS.items():
        wanted = checksum_address(contracts.deployment.address(target))
        subject = f"redeemer's {getter} = {target}"
        yield Finding(name, subject, wanted, await _asked(redeemer, getter))


async def _links(contracts: Contracts, contract: Contract) -> AsyncIterator[Finding]:
    """Compare owner and links."""
    links = {**LINKS.get(contract.NAME, {}), **APPOINTED.get(contract.NAME, {})}
    if contract.NAME in OWNED:
        links["owner"] = "QNetTimelock"
    for getter, target in links.items():
        expected = checksum_address(contracts.deployment.address(target))
        found = await _asked(contract, getter)
        yield Finding(contract.NAME, f"{getter} = {target}", expected, found)


async def _asked(contract: Contract, getter: str) -> str:
    """Address that a getter returns, or why it does not."""
    try:
        return checksum_address(await contract.address_from(getter))
    except (ContractError, DecodeError) as error:
        return error.message


async def _parameters(contracts: Contracts) -> AsyncIterator[Finding]:
    """Compare the hash with the values, and the bounds with this program's."""
    parameters, chain_id = contracts.parameters, contracts.client.chain_id
    values = await parameters.all()
    told = await parameters.hash()
    yield Finding("Parameters", "hash of the values", _hex(values.hash()), _hex(told))
    for name, value in values.to_map().items():
        bounds = BOUNDS[name]
        pinned = name in PINNED_PARAMETERS
        expected = (value, value) if pinned else (bounds.low_on(chain_id), bounds.high)
        found = await parameters.bounds(name)
        yield Finding("Parameters", f"bounds of {name}", _range(expected), _range(found))


def _range(bounds: tuple[int, int]) -> str:
    return f"{bounds[0]} to {bounds[1]}"


async def _roles(contracts: Contracts) -> AsyncIterator[Finding]:
    """Compare who holds the roles of the timelock, as its events tell."""
    governor, timelock = contracts.governor.address, contracts.timelock.address
    expected: Mapping[str, tuple[bytes, set[bytes]]] = {
        "proposer": (keccak256(b"PROPOSER_ROLE"), {governor}),
        "canceller": (keccak256(b"CANCELLER_ROLE"), {governor}),
        "executor": (keccak256(b"EXECUTOR_ROLE"), {NOBODY}),
        "admin": (_ADMIN, {timelock}),
    }
    held = await _holders(contracts)
    known = {role for role, _ in expected.values()}
    for name, (role, accounts) in expected.items():
        words = _accounts(contracts)
        yield Finding("QNetTimelock", f"role {name}", words(accounts), words(held.pop(role, set())))
    for role, accounts in held.items():
        assert role not in known
        yield Finding(
            "QNetTimelock", f"role {_hex(role)}", "nobody", _accounts(contracts)(accounts)
        )


async def _holders(contracts: Contracts) -> dict[bytes, set[bytes]]:
    """Holders of each role (32 bytes), from all events since the deployment."""
    timelock = contracts.timelock
    topics = [timelock.abi.event(name).hash for name in ("RoleGranted", "RoleRevoked")]
    held: dict[bytes, set[bytes]] = {}
    last = (await contracts.client.block("latest")).number
    for log in await contracts.client.logs(
        [timelock.address],
        from_block=contracts.deployment.start_block,
        to_block=last,
        topics=topics,
    ):
        event = timelock.event(log)
        assert event is not None
        role, account = event.arguments["role"], event.arguments["account"]
        holders = held.setdefault(role, set())
        if event.name == "RoleGranted":
            holders.add(account)
        else:
            holders.discard(account)
    return {role: holders for role, holders in held.items() if holders}


def _accounts(contracts: Contracts) -> Callable[[set[bytes]], str]:
    """A writer of accounts for people: contracts by name, the zero address as anyone."""
    names = {c.address: name for name, c in contracts.deployment.contracts.items()}
    names[NOBODY] = "anyone"

    def words(accounts: set[bytes]) -> str:
        found = sorted(names.get(account, checksum_address(account)) for account in accounts)
        return ", ".join(found) or "nobody"

    return words


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
