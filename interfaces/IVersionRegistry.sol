// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IEpochs} from "./IEpochs.sol";
import {IOwned} from "./IOwned.sol";

/// @title Versions of the protocol
/// @notice What holders vote on and nodes obey: each version by its specification and its artifact.
interface IVersionRegistry is IOwned {
    /// @param semver Version as text, at most 32 bytes.
    /// @param specHash keccak256 of the specification.
    /// @param artifactHash keccak256 of the released artifact.
    /// @param minimum Whether nodes below this version are left out from the activation on.
    /// @param activationEpoch First epoch in which it counts.
    /// @param publishedAt In Unix seconds.
    struct Version {
        string semver;
        bytes32 specHash;
        bytes32 artifactHash;
        bool minimum;
        uint32 activationEpoch;
        uint64 publishedAt;
    }

    /// @notice A version was published.
    event VersionPublished(
        uint256 indexed index,
        string semver,
        bytes32 specHash,
        bytes32 artifactHash,
        bool minimum,
        uint32 activationEpoch
    );

    /// @notice The text is empty, too long, or was published before.
    error InvalidVersion(string semver);
    /// @notice A hash is empty.
    error EmptyHash();
    /// @notice A version activates in a future epoch, and no minimum before the one published last.
    error ActivationTooEarly(uint32 activationEpoch, uint32 earliest);

    function epochs() external view returns (IEpochs);

    /// @notice Publish a version. Only the owner.
    function publish(
        string calldata semver,
        bytes32 specHash,
        bytes32 artifactHash,
        bool minimum,
        uint32 activationEpoch
    ) external returns (uint256 index);

    /// @notice Versions published.
    function count() external view returns (uint256);
    /// @notice A version by number, from 0.
    function versions(uint256 index) external view returns (Version memory);
    /// @notice Least version nodes must run in an epoch; empty text if there is none.
    function minimumVersion(uint32 epoch) external view returns (string memory);
}
