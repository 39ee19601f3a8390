// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {INodeRegistry} from "../../interfaces/INodeRegistry.sol";
import {IPremiumChannels} from "../../interfaces/IPremiumChannels.sol";
import {IRedeemer} from "../../interfaces/IRedeemer.sol";
import {BLS12381} from "../libraries/BLS12381.sol";
import {Instruments} from "../libraries/Instruments.sol";

/// @title What all parts of the redeemer share
/// @dev Documented in IRedeemer. Made by PremiumChannels, whose money it disposes of; bonds lie here.
abstract contract RedeemerStore is IRedeemer, ReentrancyGuardTransient {
    /// @inheritdoc IRedeemer
    IERC20 public immutable override token;
    /// @inheritdoc IRedeemer
    IPremiumChannels public immutable override channels;
    /// @inheritdoc IRedeemer
    INodeRegistry public immutable override registry;

    uint256 internal immutable UNIT_WEI;
    uint256 internal immutable BOND_WEI;
    uint32 internal immutable ATTEST_S;
    uint32 internal immutable REDEEM_S;
    uint32 internal immutable TOKEN_S;
    uint32 internal immutable EXIT_S;
    uint32 internal immutable CHALLENGE_S;
    uint32 internal immutable DELIVER_S;

    constructor(
        IERC20 token_,
        INodeRegistry registry_,
        IPremiumChannels.Clock memory clock,
        uint256 unitWei,
        uint256 bondWei
    ) {
        token = token_;
        channels = IPremiumChannels(msg.sender);
        registry = registry_;
        UNIT_WEI = unitWei;
        BOND_WEI = bondWei;
        ATTEST_S = clock.attestS;
        REDEEM_S = clock.redeemS;
        TOKEN_S = clock.tokenS;
        EXIT_S = clock.exitS;
        CHALLENGE_S = clock.challengeS;
        DELIVER_S = clock.deliverS;
    }

    modifier whenNotPaused() {
        if (channels.isPaused()) revert ChannelsPaused();
        _;
    }

    /// @dev Digest in the domain of the channels.
    function _digest(bytes32 structHash) internal view returns (bytes32) {
        return MessageHashUtils.toTypedDataHash(channels.domainSeparator(), structHash);
    }

    function _checkSigner(bytes32 digest, bytes calldata signature, address expected) internal pure {
        (address signer,,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (signer != expected || signer == address(0)) revert WrongSigner(expected, signer);
    }

    /// @dev Revert unless these are all keys registered for an epoch that is known.
    function _checkKeys(uint32 epoch, bytes calldata keys) internal view {
        _checkHashes(epoch, Instruments.hashesOf(keys));
    }

    /// @dev Revert unless the key is that of a class in an epoch that is known; behind it stand the hashes of all keys.
    function _checkKey(uint32 epoch, uint256 class, bytes calldata key) internal view {
        if (key.length != Instruments.SHOWN_BYTES) {
            revert BLS12381.WrongLength(Instruments.SHOWN_BYTES, key.length);
        }
        bytes calldata hashes = key[BLS12381.G2_BYTES:];
        bytes32 own = bytes32(hashes[class * 32:(class + 1) * 32]);
        if (keccak256(key[:BLS12381.G2_BYTES]) != own) revert WrongKeys(epoch);
        _checkHashes(epoch, hashes);
    }

    function _checkHashes(uint32 epoch, bytes memory hashes) private view {
        bytes32 expected = channels.issuanceOf(epoch).keysHash;
        if (Instruments.keysHash(address(channels), epoch, hashes) != expected) revert WrongKeys(epoch);
    }

    /// @dev Revert unless `from <= elapsed < until`, in seconds after the epoch.
    function _checkTime(uint32 epoch, uint256 from, uint256 until) internal view {
        if (_checkFrom(epoch, from) >= until) revert TooLate(until);
    }

    /// @dev Seconds after the epoch; revert if they are fewer than `from`.
    function _checkFrom(uint32 epoch, uint256 from) internal view returns (uint256 elapsed) {
        elapsed = channels.elapsedSince(epoch);
        if (elapsed < from) revert TooEarly(from);
    }

    /// @dev When something ends that began at a moment and takes a time in which nothing is paused.
    function _endOf(uint256 startedAt, uint256 period) internal view returns (uint256) {
        return startedAt + period + channels.pausedSince(startedAt);
    }

    function _checkOpen(bytes32 id, Status status) internal pure {
        if (status != Status.Open) revert WrongStatus(id, status);
    }
}
