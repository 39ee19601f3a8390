// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ICommittee} from "../../../interfaces/ICommittee.sol";
import {World} from "../support/World.sol";

/// @dev A deployment with four members, all of them bonded.
abstract contract CommitteeTest is World {
    bytes32 internal constant DIGEST = keccak256("what members sign");
    uint256 internal constant BOND = 1_000_000 * QNET;
    /// @dev Issuance epochs last seven days.
    uint256 internal constant ISSUANCE = 7 * DAY;

    address internal mallory = address(0xBAD);

    function setUp() public virtual {
        _deploy(4);
        _bondCommittee();
    }

    function _suspend(uint256 index) internal {
        vm.prank(address(slasher));
        committee.suspend(index);
    }

    function _slash(uint256 index) internal returns (uint256 amount) {
        vm.startPrank(address(slasher));
        committee.suspend(index);
        amount = committee.slashBond(index);
        vm.stopPrank();
    }

    function _newcomer(string memory name) internal returns (ICommittee.Member memory member, uint256 key) {
        (address account,) = _account(string.concat(name, " owner"));
        (address signer, uint256 secret) = _account(string.concat(name, " signer"));
        return (ICommittee.Member(account, signer, "http://[::1]:18701"), secret);
    }

    function _admit(string memory name) internal returns (uint256 index, uint256 key) {
        ICommittee.Member memory member;
        (member, key) = _newcomer(name);
        vm.prank(owner);
        index = committee.addMember(member);
    }

    function _fund(address account, uint256 amount) internal {
        vm.prank(holder);
        token.transfer(account, amount);
        vm.prank(account);
        token.approve(address(committee), amount);
    }

    function _info(uint256 index) internal view returns (ICommittee.MemberInfo memory) {
        return committee.members()[index];
    }

    /// @dev Signatures of the members named by the bits, in their order.
    function _signatures(uint256 bitmap, bytes32 digest) internal view returns (bytes memory all) {
        for (uint256 i = 0; i < memberKeys.length; ++i) {
            if ((bitmap >> i) & 1 == 1) all = bytes.concat(all, _sign(memberKeys[i], digest));
        }
    }
}
