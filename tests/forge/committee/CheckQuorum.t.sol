// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ICommittee} from "../../../interfaces/ICommittee.sol";
import {CommitteeTest} from "./CommitteeTest.sol";

/// @title Checking that a quorum signed
contract CheckQuorumTest is CommitteeTest {
    uint256 private constant SECP256K1_N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    function test_EveryQuorumCountsAndNothingLess() external {
        for (uint256 bitmap = 0; bitmap < 16; ++bitmap) {
            uint256 got;
            for (uint256 i = 0; i < 4; ++i) {
                got += (bitmap >> i) & 1;
            }
            bytes memory signatures = _signatures(bitmap, DIGEST);
            if (got < 3) vm.expectRevert(abi.encodeWithSelector(ICommittee.BadQuorum.selector, got, 3));
            committee.checkQuorum(DIGEST, bitmap, signatures);
        }
    }

    function test_SignaturesStandInTheOrderOfMembers() external {
        bytes memory wrong = bytes.concat(
            _sign(memberKeys[1], DIGEST), _sign(memberKeys[0], DIGEST), _sign(memberKeys[2], DIGEST)
        );
        vm.expectRevert(abi.encodeWithSelector(ICommittee.BadSignature.selector, 0));
        committee.checkQuorum(DIGEST, 7, wrong);
    }

    function test_OneSignatureDoesNotCountForTwo() external {
        bytes memory same = _sign(memberKeys[0], DIGEST);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.BadSignature.selector, 1));
        committee.checkQuorum(DIGEST, 7, bytes.concat(same, same, same));
    }

    function test_TheLengthIs65BytesABit() external {
        bytes memory signatures = _signatures(7, DIGEST);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.BadSignatureLength.selector, 195, 260));
        committee.checkQuorum(DIGEST, 15, signatures);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.BadSignatureLength.selector, 196, 195));
        committee.checkQuorum(DIGEST, 7, bytes.concat(signatures, hex"00"));
        vm.expectRevert(abi.encodeWithSelector(ICommittee.BadSignatureLength.selector, 0, 65));
        committee.checkQuorum(DIGEST, 7, "");
    }

    function test_BitsWithoutAMemberAreRefused() external {
        bytes memory signatures = bytes.concat(_signatures(7, DIGEST), _sign(memberKeys[0], DIGEST));
        vm.expectRevert(abi.encodeWithSelector(ICommittee.BadSignature.selector, 4));
        committee.checkQuorum(DIGEST, 7 | (1 << 4), signatures);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.BadSignature.selector, 4));
        committee.checkQuorum(DIGEST, 7 | (1 << 255), signatures);
    }

    function test_AnotherDigestIsRefused() external {
        bytes memory signatures = _signatures(7, keccak256("something else"));
        vm.expectRevert(abi.encodeWithSelector(ICommittee.BadSignature.selector, 0));
        committee.checkQuorum(DIGEST, 7, signatures);
    }

    function test_TheOtherFormOfASignatureIsRefused() external {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(memberKeys[0], DIGEST);
        bytes memory high = abi.encodePacked(r, bytes32(SECP256K1_N - uint256(s)), v == 27 ? uint8(28) : uint8(27));
        bytes memory signatures = bytes.concat(high, _signatures(6, DIGEST));
        vm.expectRevert(abi.encodeWithSelector(ICommittee.BadSignature.selector, 0));
        committee.checkQuorum(DIGEST, 7, signatures);
    }

    function test_AnUnbondedMemberDoesNotCount() external {
        (uint256 index, uint256 key) = _admit("newcomer");
        vm.warp(GENESIS + ISSUANCE);
        vm.assertEq(committee.quorum(), 4);
        memberKeys.push(key);
        bytes memory signatures = _signatures(23, DIGEST);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.BadSignature.selector, index));
        committee.checkQuorum(DIGEST, 23, signatures);
        address account = _info(index).owner;
        _fund(account, BOND);
        vm.prank(account);
        committee.depositBond();
        committee.checkQuorum(DIGEST, 23, signatures);
    }

    function test_AMemberNotYetActiveDoesNotCount() external {
        (uint256 index, uint256 key) = _admit("newcomer");
        address account = _info(index).owner;
        _fund(account, BOND);
        vm.prank(account);
        committee.depositBond();
        memberKeys.push(key);
        bytes memory signatures = _signatures(19, DIGEST);
        vm.warp(GENESIS + ISSUANCE - 1);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.BadSignature.selector, index));
        committee.checkQuorum(DIGEST, 19, signatures);
    }
}
