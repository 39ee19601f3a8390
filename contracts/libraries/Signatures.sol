// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {IDisputeCourt} from "../../interfaces/IDisputeCourt.sol";

/// @title Signatures that are evidence
library Signatures {
    bytes32 private constant RECEIPT_TYPEHASH = keccak256(
        "LinkReceipt(uint32 epoch,uint16 slot,uint32 nodeFrom,uint32 nodeTo,uint8 side,uint64 packets,"
        "bytes32 sampleRoot)"
    );

    /// @dev Digest of a receipt in the domain of the report oracle.
    function receiptDigest(bytes32 domain, IDisputeCourt.LinkReceipt calldata receipt)
        internal
        pure
        returns (bytes32)
    {
        return MessageHashUtils.toTypedDataHash(domain, keccak256(abi.encode(RECEIPT_TYPEHASH, receipt)));
    }

    /// @dev Whether 65 bytes r, s, v with low s are of a key. Nothing is of the empty address.
    function isBy(bytes32 digest, bytes calldata signature, address expected) internal pure returns (bool) {
        (address signer, ECDSA.RecoverError problem,) = ECDSA.tryRecoverCalldata(digest, signature);
        return problem == ECDSA.RecoverError.NoError && signer == expected;
    }
}
