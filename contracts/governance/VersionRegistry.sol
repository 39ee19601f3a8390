// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IEpochs} from "../../interfaces/IEpochs.sol";
import {IVersionRegistry} from "../../interfaces/IVersionRegistry.sol";
import {Owned} from "./Owned.sol";

/// @title Implementation of IVersionRegistry
/// @dev Documented in IVersionRegistry.
contract VersionRegistry is IVersionRegistry, Owned {
    uint256 private constant SEMVER_BYTES_MAX = 32;

    /// @inheritdoc IVersionRegistry
    IEpochs public immutable override epochs;

    Version[] private _versions;
    /// @dev Numbers of minimum versions; their activation epochs never fall.
    uint256[] private _minimums;
    mapping(bytes32 semverHash => bool) private _known;

    constructor(address owner_, IEpochs epochs_) Owned(owner_) {
        epochs = epochs_;
    }

    /// @inheritdoc IVersionRegistry
    function publish(
        string calldata semver,
        bytes32 specHash,
        bytes32 artifactHash,
        bool minimum,
        uint32 activationEpoch
    ) external override onlyOwner returns (uint256 index) {
        bytes32 semverHash = keccak256(bytes(semver));
        uint256 length = bytes(semver).length;
        if (length == 0 || length > SEMVER_BYTES_MAX || _known[semverHash]) revert InvalidVersion(semver);
        if (specHash == bytes32(0) || artifactHash == bytes32(0)) revert EmptyHash();
        uint32 earliest = _earliest(minimum);
        if (activationEpoch < earliest) revert ActivationTooEarly(activationEpoch, earliest);

        _known[semverHash] = true;
        index = _versions.length;
        _versions.push(Version(semver, specHash, artifactHash, minimum, activationEpoch, uint64(block.timestamp)));
        if (minimum) _minimums.push(index);
        emit VersionPublished(index, semver, specHash, artifactHash, minimum, activationEpoch);
    }

    /// @inheritdoc IVersionRegistry
    function count() external view override returns (uint256) {
        return _versions.length;
    }

    /// @inheritdoc IVersionRegistry
    function versions(uint256 index) external view override returns (Version memory) {
        return _versions[index];
    }

    /// @inheritdoc IVersionRegistry
    function minimumVersion(uint32 epoch) external view override returns (string memory) {
        for (uint256 i = _minimums.length; i > 0; --i) {
            Version storage version = _versions[_minimums[i - 1]];
            if (version.activationEpoch <= epoch) return version.semver;
        }
        return "";
    }

    function _earliest(bool minimum) private view returns (uint32 earliest) {
        earliest = epochs.currentEpoch() + 1;
        uint256 minimums = _minimums.length;
        if (minimum && minimums != 0) {
            uint32 last = _versions[_minimums[minimums - 1]].activationEpoch;
            if (last > earliest) earliest = last;
        }
    }
}
