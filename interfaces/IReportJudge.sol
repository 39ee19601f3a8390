// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IDisputeCourt} from "./IDisputeCourt.sol";
import {IEpochs} from "./IEpochs.sol";
import {INodeRegistry} from "./INodeRegistry.sol";
import {IParameters} from "./IParameters.sol";
import {IReportOracle} from "./IReportOracle.sol";
import {IStakeHub} from "./IStakeHub.sol";

/// @title What a report must be
/// @notice Tells whether proofs against reports hold. It keeps nothing and changes nothing: the court, which makes it,
/// hands it the calls for such proofs as they came (number of the challenge and salt do not matter here) and decides
/// what follows.
/// @dev A function returns if its proof holds, and reverts with an error of IDisputeCourt if not. `refill` is what the
/// report pays too much as far as the proof shows it, in wei. Source: docs/spec/disputes.md.
interface IReportJudge {
    function parameters() external view returns (IParameters);
    function epochs() external view returns (IEpochs);
    function registry() external view returns (INodeRegistry);
    function hub() external view returns (IStakeHub);
    function oracle() external view returns (IReportOracle);

    /// @notice See IDisputeCourt.proveBadLeaf.
    function proveBadLeaf(
        uint256 id,
        bytes32 salt,
        uint32 epoch,
        IDisputeCourt.ProvenLeaf calldata current,
        IDisputeCourt.ProvenLeaf calldata previous,
        uint256[] calldata values
    ) external view returns (uint256 refill);

    /// @notice See IDisputeCourt.proveBadLink.
    function proveBadLink(
        uint256 id,
        bytes32 salt,
        uint32 epoch,
        IDisputeCourt.LinkLeaf calldata leaf,
        bytes32[] calldata proof,
        IDisputeCourt.LinkReceipt calldata sent,
        bytes calldata sentSignature,
        IDisputeCourt.LinkReceipt calldata received,
        bytes calldata receivedSignature
    ) external view returns (uint256 refill);

    /// @notice See IDisputeCourt.proveBadMedian.
    function proveBadMedian(
        uint256 id,
        bytes32 salt,
        uint32 epoch,
        IDisputeCourt.AuditLeaf calldata audit,
        bytes32[] calldata proof,
        IDisputeCourt.ProvenLeaf calldata current,
        IDisputeCourt.ProvenLeaf calldata previous
    ) external view returns (uint256 refill);

    /// @notice See IDisputeCourt.proveDuplicateNode.
    function proveDuplicateNode(
        uint256 id,
        bytes32 salt,
        uint32 epoch,
        IDisputeCourt.ProvenLeaf calldata a,
        IDisputeCourt.ProvenLeaf calldata b
    ) external view returns (uint256 refill);

    /// @notice See IDisputeCourt.proveDuplicateLink.
    function proveDuplicateLink(
        uint256 id,
        bytes32 salt,
        uint32 epoch,
        IDisputeCourt.LinkLeaf calldata a,
        bytes32[] calldata proofA,
        IDisputeCourt.LinkLeaf calldata b,
        bytes32[] calldata proofB
    ) external view returns (uint256 refill);

    /// @notice See IDisputeCourt.proveDuplicateAudit.
    function proveDuplicateAudit(
        uint256 id,
        bytes32 salt,
        uint32 epoch,
        IDisputeCourt.AuditLeaf calldata a,
        bytes32[] calldata proofA,
        IDisputeCourt.AuditLeaf calldata b,
        bytes32[] calldata proofB
    ) external view returns (uint256 refill);

    /// @notice See IDisputeCourt.proveRegression.
    function proveRegression(
        uint256 id,
        bytes32 salt,
        uint32 epoch,
        IDisputeCourt.ProvenLeaf calldata current,
        IDisputeCourt.ProvenLeaf calldata previous
    ) external view returns (uint256 refill);

    /// @notice See IDisputeCourt.jail: the node, and the first and last of the epochs shown.
    function jail(IDisputeCourt.ProvenLeaf[5] calldata leaves)
        external
        view
        returns (uint32 node, uint32 first, uint32 last);

    /// @notice See IDisputeCourt.expectedLeaf.
    function expectedLeaf(
        IReportOracle.NodeLeaf calldata claimed,
        IReportOracle.NodeLeaf calldata previous,
        uint256[] calldata values
    ) external view returns (IReportOracle.NodeLeaf memory);
}
