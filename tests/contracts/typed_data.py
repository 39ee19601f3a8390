"""Fields of what is signed or hashed, written for these tests alone."""

KEY_PROOF = [
    {"name": "owner", "type": "address"},
    {"name": "nodeId", "type": "bytes32"},
    {"name": "receiptKey", "type": "address"},
    {"name": "deadline", "type": "uint256"},
]
CONSENSUS = [{"name": "validAfter", "type": "uint64"}, {"name": "hash", "type": "bytes32"}]
REPORT = [
    {"name": "epoch", "type": "uint32"},
    {"name": "attempt", "type": "uint32"},
    {"name": "paramsHash", "type": "bytes32"},
    {"name": "nodesRoot", "type": "bytes32"},
    {"name": "evidenceRoot", "type": "bytes32"},
    {"name": "auditRoot", "type": "bytes32"},
    {"name": "totalReward", "type": "uint128"},
    {"name": "nodeCount", "type": "uint32"},
    {"name": "dataHash", "type": "bytes32"},
    {"name": "prevReportHash", "type": "bytes32"},
]
RECEIPT = [
    {"name": "epoch", "type": "uint32"},
    {"name": "slot", "type": "uint16"},
    {"name": "nodeFrom", "type": "uint32"},
    {"name": "nodeTo", "type": "uint32"},
    {"name": "side", "type": "uint8"},
    {"name": "packets", "type": "uint64"},
    {"name": "sampleRoot", "type": "bytes32"},
]
PERMIT = [
    {"name": "owner", "type": "address"},
    {"name": "spender", "type": "address"},
    {"name": "value", "type": "uint256"},
    {"name": "nonce", "type": "uint256"},
    {"name": "deadline", "type": "uint256"},
]
NODE_LEAF = (1, "(uint32,uint32,uint256,uint256,uint256,uint32,uint32,uint256,uint256,uint256)")
LINK_LEAF = (2, "(uint32,uint16,uint32,uint32,uint64,uint64,uint64,bytes32,bytes32)")
AUDIT_LEAF = (3, "(uint32,uint16,uint32,uint32[],uint32[],uint32[])")
VOUCHER = [
    {"name": "channel", "type": "address"},
    {"name": "cumulative", "type": "uint128"},
    {"name": "nonce", "type": "uint64"},
    {"name": "epoch", "type": "uint32"},
    {"name": "batchHash", "type": "bytes32"},
]
ISSUANCE_KEYS = [{"name": "epoch", "type": "uint32"}, {"name": "keysHash", "type": "bytes32"}]
CLOSING = [
    {"name": "epoch", "type": "uint32"},
    {"name": "issuedUnits", "type": "uint128"},
    {"name": "logRoot", "type": "bytes32"},
]
ATTESTATION = [
    {"name": "epoch", "type": "uint32"},
    {"name": "root", "type": "bytes32"},
    {"name": "units", "type": "uint128"},
    {"name": "tokens", "type": "uint64"},
    {"name": "logRoot", "type": "bytes32"},
]
EXIT = [
    {"name": "message", "type": "bytes32"},
    {"name": "spent", "type": "uint8"},
    {"name": "to", "type": "address"},
]
SWAP = [
    {"name": "epoch", "type": "uint32"},
    {"name": "inputsHash", "type": "bytes32"},
    {"name": "outputsHash", "type": "bytes32"},
]
CLAIM_LEAF = ["uint8", "uint256", "address", "uint32", "uint32", "uint64", "uint128", "uint32"]
