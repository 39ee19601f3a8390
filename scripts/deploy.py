"""Deploy QNet's contracts from the committed artifacts: `brownie run scripts/deploy.py`.

The order and the arguments are those of docs/reference/contracts.md. Called without arguments it
deploys the devnet profile with four members to the connected chain and prints the addresses.
"""

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import rlp
from brownie import Contract, accounts, chain, web3
from eth_abi import encode
from eth_utils import keccak, to_canonical_address, to_checksum_address

ROOT = Path(__file__).resolve().parent.parent
ARTIFACTS = ROOT / "qnet" / "chain" / "artifacts"
QNET = 10**18
BEACON_SLOTS = 10_000
PINNED = ("slot_s", "slots_per_epoch")
PROXIES = {"NodeRegistry": 6, "StakeHub": 8, "ReportOracle": 10, "DisputeCourt": 16}
OFFSETS = {
    "QNetToken": 0,
    "Parameters": 1,
    "QNetTimelock": 2,
    "Epochs": 3,
    "Committee": 4,
    "RewardVault": 11,
    "QNetGovernor": 12,
    "VersionRegistry": 13,
    "Slasher": 14,
    "PremiumChannels": 17,
} | PROXIES
# Parameters and terms live in the product, which has an environment of its own.
PARAMETERS_PROGRAM = (
    "import json, sys; from qnet.parameters import BOUNDS; chain_id = int(sys.argv[1]); "
    "print(json.dumps({n: {'main': b.main, 'devnet': b.devnet, 'low': b.low_on(chain_id), 'high': b.high} "
    "for n, b in BOUNDS.items()}))"
)
TERMS_PROGRAM = (
    "import json, sys; from dataclasses import asdict; from qnet.issuance import PaymentTerms; "
    "print(json.dumps(asdict(PaymentTerms.profile(sys.argv[1]))))"
)


@dataclass(frozen=True)
class Plan:
    """What to deploy.

    Args:
        parameters: name -> (value, low, high), in declared order.
        terms: deadlines and values of premium payments, by name, in the order of the contract.
        members: (owner, signer, url) of each founding member.
        genesis: Unix time at which epoch 0 starts.
        anchor: 32 bytes, head of the beacon's hash chain.
        holder: gets the whole supply.
        supply: in wei.
    """

    parameters: dict
    terms: dict
    members: list
    genesis: int
    anchor: bytes
    holder: str
    supply: int


def artifact(name):
    """Return the committed artifact of a contract."""
    return json.loads((ARTIFACTS / f"{name}.json").read_text())


def profile_parameters(profile):
    """Return name -> (value, low, high) of a profile, the calendar pinned."""
    parameters = {}
    for name, entry in ask_product(PARAMETERS_PROGRAM, str(chain.id)).items():
        value = entry[profile]
        low, high = (value, value) if name in PINNED else (entry["low"], entry["high"])
        parameters[name] = (value, low, high)
    return parameters


def profile_terms(profile):
    """Return the terms of premium payments of a profile, by name."""
    return ask_product(TERMS_PROGRAM, profile)


def ask_product(program, *words):
    """Run a program in the product's environment; return the JSON it prints."""
    python = ROOT / ".venv" / "bin" / "python"
    result = subprocess.run(
        [python, "-c", program, *words], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return json.loads(result.stdout)


def parameter_key(name):
    """Return the on-chain key of a parameter."""
    return name.encode().ljust(32, b"\x00")


def beacon_chain(seed, slots):
    """Return the anchor and the values of all slots of a hash chain, first slot first."""
    values = [seed]
    for _ in range(slots):
        values.append(keccak(values[-1]))
    anchor = values.pop()
    return anchor, values[::-1]


def create_address(deployer, nonce):
    """Return the address of the contract an account creates with a nonce."""
    return to_checksum_address(keccak(rlp.encode([to_canonical_address(deployer), nonce]))[12:])


def initialiser(name, *arguments):
    """Return the call that sets up a proxy."""
    entry = next(e for e in artifact(name)["abi"] if e.get("name") == "initialize")
    types = [item["type"] for item in entry["inputs"]]
    return keccak(f"initialize({','.join(types)})".encode())[:4] + encode(types, arguments)


def creations(plan, at):
    """Return (artifact, constructor arguments) in the order of their nonces."""
    names = list(plan.parameters)
    values, lows, highs = (list(column) for column in zip(*plan.parameters.values(), strict=True))
    keys = [parameter_key(name) for name in names]
    owner = at("QNetTimelock")
    links = {
        name: [at(link) for link in found]
        for name, found in (
            ("QNetTimelock", ("Parameters", "QNetGovernor")),
            ("Epochs", ("Parameters", "NodeRegistry", "ReportOracle", "RewardVault")),
            ("Committee", ("QNetToken", "Parameters", "Epochs", "Slasher")),
            ("NodeRegistry", ("Parameters", "Epochs", "StakeHub")),
            (
                "StakeHub",
                (
                    "QNetToken",
                    "Parameters",
                    "Epochs",
                    "NodeRegistry",
                    "ReportOracle",
                    "RewardVault",
                    "Slasher",
                    "DisputeCourt",
                ),
            ),
            ("ReportOracle", ("Parameters", "Epochs", "Committee", "QNetToken", "DisputeCourt")),
            ("RewardVault", ("QNetToken", "Epochs", "StakeHub")),
            ("QNetGovernor", ("QNetToken", "StakeHub", "RewardVault", "QNetTimelock", "Parameters")),
            ("VersionRegistry", ("Epochs",)),
            (
                "Slasher",
                (
                    "QNetToken",
                    "Parameters",
                    "NodeRegistry",
                    "StakeHub",
                    "Committee",
                    "DisputeCourt",
                    "RewardVault",
                    "PremiumChannels",
                ),
            ),
            (
                "DisputeCourt",
                (
                    "QNetToken",
                    "Parameters",
                    "Epochs",
                    "NodeRegistry",
                    "StakeHub",
                    "ReportOracle",
                    "Committee",
                    "Slasher",
                ),
            ),
            ("PremiumChannels", ("QNetToken", "Epochs", "Committee", "NodeRegistry")),
        )
    }
    length, *deadlines, unit_wei, bond_wei = plan.terms.values()
    return [
        ("QNetToken", (plan.holder, plan.supply)),
        ("Parameters", (owner, keys, values, lows, highs)),
        ("QNetTimelock", links["QNetTimelock"]),
        ("Epochs", (owner, *links["Epochs"], plan.genesis, plan.anchor)),
        ("Committee", (owner, *links["Committee"], plan.members)),
        ("NodeRegistry", (owner, *links["NodeRegistry"])),
        ("ERC1967Proxy", (at(5), initialiser("NodeRegistry", at("Slasher")))),
        ("StakeHub", (owner, *links["StakeHub"])),
        ("ERC1967Proxy", (at(7), initialiser("StakeHub"))),
        ("ReportOracle", (owner, *links["ReportOracle"])),
        ("ERC1967Proxy", (at(9), initialiser("ReportOracle"))),
        ("RewardVault", links["RewardVault"]),
        ("QNetGovernor", links["QNetGovernor"]),
        ("VersionRegistry", (owner, *links["VersionRegistry"])),
        ("Slasher", (owner, *links["Slasher"])),
        ("DisputeCourt", (owner, *links["DisputeCourt"])),
        ("ERC1967Proxy", (at(15), initialiser("DisputeCourt"))),
        (
            "PremiumChannels",
            (owner, *links["PremiumChannels"], tuple(deadlines), length, unit_wei, bond_wei),
        ),
    ]


def deploy(deployer, plan):
    """Deploy everything; return name -> Brownie contract (proxies under their own names)."""
    first = deployer.nonce

    def at(place):
        return create_address(deployer.address, first + OFFSETS.get(place, place))

    for offset, (name, arguments) in enumerate(creations(plan, at)):
        compiled = artifact(name)
        factory = web3.eth.contract(abi=compiled["abi"], bytecode=compiled["bytecode"])
        data = factory.constructor(*arguments).data_in_transaction
        made = deployer.transfer(data=data, silent=True).contract_address
        if made != at(offset):
            raise RuntimeError(f"{name} stands at {made}, expected {at(offset)}")
    return {name: Contract.from_abi(name, at(name), artifact(name)["abi"]) for name in OFFSETS}


def main():
    """Deploy the devnet profile with four members, and print where everything stands."""
    anchor, _ = beacon_chain(web3.keccak(text="brownie"), BEACON_SLOTS)
    members = [
        (accounts[i].address, accounts[i].address, f"http://127.0.0.1:{18701 + i}")
        for i in range(4)
    ]
    plan = Plan(
        parameters=profile_parameters("devnet"),
        terms=profile_terms("devnet"),
        members=members,
        genesis=int(time.time()),
        anchor=anchor,
        holder=accounts[0].address,
        supply=100_000_000 * QNET,
    )
    for name, contract in deploy(accounts[0], plan).items():
        print(f"{name:<16} {contract.address}")
