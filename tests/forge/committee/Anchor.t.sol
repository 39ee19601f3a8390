// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ICommittee} from "../../../interfaces/ICommittee.sol";
import {CommitteeTest} from "./CommitteeTest.sol";

/// @title Anchoring a directory consensus
contract AnchorTest is CommitteeTest {
    uint64 private constant MOMENT = 1_800_003_600;
    bytes32 private constant HASH = keccak256("a consensus");

    function test_AQuorumAnchorsOnce() external {
        bytes32 digest = committee.consensusDigest(MOMENT, HASH);
        bytes memory signatures = _signatures(11, digest);
        vm.expectEmit(address(committee));
        emit ICommittee.ConsensusAnchored(MOMENT, HASH, 11);
        vm.prank(mallory);
        committee.anchor(MOMENT, HASH, 11, signatures);
        vm.assertEq(committee.anchorOf(MOMENT), HASH);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.AlreadyAnchored.selector, MOMENT, HASH));
        committee.anchor(MOMENT, HASH, 11, signatures);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.AlreadyAnchored.selector, MOMENT, HASH));
        committee.anchor(MOMENT, keccak256("another"), 11, signatures);
    }

    function test_LessThanAQuorumDoesNot() external {
        bytes memory signatures = _signatures(3, committee.consensusDigest(MOMENT, HASH));
        vm.expectRevert(abi.encodeWithSelector(ICommittee.BadQuorum.selector, 2, 3));
        committee.anchor(MOMENT, HASH, 3, signatures);
    }

    function test_SignaturesAreForOneMomentAndOneHash() external {
        bytes memory signatures = _signatures(7, committee.consensusDigest(MOMENT, HASH));
        vm.expectRevert(abi.encodeWithSelector(ICommittee.BadSignature.selector, 0));
        committee.anchor(MOMENT + 1, HASH, 7, signatures);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.BadSignature.selector, 0));
        committee.anchor(MOMENT, keccak256("another"), 7, signatures);
    }

    function test_AnEmptyHashIsRefused() external {
        bytes memory signatures = _signatures(7, committee.consensusDigest(MOMENT, 0));
        vm.expectRevert(ICommittee.EmptyHash.selector);
        committee.anchor(MOMENT, 0, 7, signatures);
    }

    function test_TheDigestIsEip712OfThisContract() external view {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("QNet"),
                keccak256("1"),
                block.chainid,
                address(committee)
            )
        );
        bytes32 body = keccak256(abi.encode(keccak256("Consensus(uint64 validAfter,bytes32 hash)"), MOMENT, HASH));
        vm.assertEq(committee.consensusDigest(MOMENT, HASH), keccak256(abi.encodePacked(hex"1901", domain, body)));
    }
}
