"""EIP-712 digests as eth-account computes them: the oracle for ours."""

from eth_account.messages import encode_typed_data
from eth_utils import keccak


def oracle_digest(
    type_string: str, values: tuple[object, ...], *, chain_id: int, contract: bytes
) -> bytes:
    """Digest of a flat structure, its type given as in the standard."""
    name, _, rest = type_string.partition("(")
    members = [part.split(" ") for part in rest.rstrip(")").split(",")]
    signable = encode_typed_data(
        domain_data={
            "name": "QNet",
            "version": "1",
            "chainId": chain_id,
            "verifyingContract": "0x" + contract.hex(),
        },
        message_types={name: [{"name": field, "type": kind} for kind, field in members]},
        message_data={
            field: "0x" + value.hex() if kind == "address" and isinstance(value, bytes) else value
            for (kind, field), value in zip(members, values, strict=True)
        },
    )
    return keccak(b"\x19\x01" + signable.header + signable.body)
