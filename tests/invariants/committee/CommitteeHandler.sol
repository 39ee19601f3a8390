// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ICommittee} from "../../../interfaces/ICommittee.sol";
import {World} from "../../forge/support/World.sol";

/// @title Members come and go, are caught and released, and sign whatever they like
contract CommitteeHandler is World {
    uint256 public constant MEMBERS_MAX = 14;
    uint256 private constant ISSUANCE = 7 days;

    /// @dev The set of an issuance epoch as it was when it was frozen, plus 2^255 to say that it was seen.
    mapping(uint256 issuance => uint256) private _frozen;
    bool public setMoved;
    bool public quorumFaked;
    bool public quorumRefused;
    uint256 public accepted;

    constructor() {
        _deploy(4);
        _bondCommittee();
    }

    modifier watched() {
        _;
        _watch();
    }

    function addMember() external watched {
        uint256 index = memberOwners.length;
        if (index == MEMBERS_MAX) return;
        (address account,) = _account(string.concat("member ", vm.toString(index)));
        (address signer, uint256 key) = _account(string.concat("signer ", vm.toString(index)));
        memberOwners.push(account);
        memberKeys.push(key);
        vm.prank(owner);
        committee.addMember(ICommittee.Member(account, signer, ""));
    }

    function removeMember(uint256 seed) external watched {
        vm.prank(owner);
        // the last one stays, and nobody is removed twice
        try committee.removeMember(_member(seed)) {} catch {}
    }

    function depositBond(uint256 seed) external watched {
        uint256 index = _member(seed);
        ICommittee.MemberInfo memory info = committee.members()[index];
        if (info.bonded || info.suspended) return;
        uint256 amount = parameters.get("committee_bond_wei");
        vm.prank(holder);
        token.transfer(info.owner, amount);
        vm.startPrank(info.owner);
        token.approve(address(committee), amount);
        committee.depositBond();
        vm.stopPrank();
    }

    function withdrawBond(uint256 seed) external watched {
        ICommittee.MemberInfo memory info = committee.members()[_member(seed)];
        bool allowed = info.bonded && !info.suspended && info.activeUntil != 0
            && _now() >= info.activeUntil + 49 days;
        vm.prank(info.owner);
        try committee.withdrawBond() {
            vm.assertTrue(allowed, "bond left too early");
        } catch {
            vm.assertFalse(allowed, "bond kept");
        }
    }

    function suspend(uint256 seed) external watched {
        uint256 index = _member(seed);
        if (committee.members()[index].suspended) return;
        vm.prank(address(slasher));
        committee.suspend(index);
    }

    function release(uint256 seed) external watched {
        vm.prank(address(slasher));
        // refused for who is not suspended, or was slashed
        try committee.release(_member(seed)) {} catch {}
    }

    function slashBond(uint256 seed) external watched {
        uint256 index = _member(seed);
        if (!committee.members()[index].suspended || seed % 3 != 0) return;
        vm.prank(address(slasher));
        committee.slashBond(index);
    }

    function warp(uint256 length) external watched {
        uint256 until = _now() + _bound(length, 1, 5 days);
        // stop at every border on the way, so that no set is missed
        for (uint256 day = _now() / DAY * DAY + DAY; day < until; day += DAY) {
            vm.warp(day);
            _watch();
        }
        vm.warp(until);
    }

    /// @dev Everybody who can sign does, and some of the others.
    function signTruly(uint256 others) external watched {
        uint256 bitmap = _able() | (others & others >> 8 & others >> 16 & ((1 << memberKeys.length) - 1));
        _tryQuorum(bitmap, type(uint256).max, keccak256(abi.encode(others)));
    }

    /// @dev Any bits, and signatures of which some are another member's.
    function signWildly(uint256 bitmap, uint256 honest) external watched {
        _tryQuorum(bitmap & ((1 << memberKeys.length) - 1), honest | honest >> 16, keccak256(abi.encode(bitmap)));
    }

    /// @param honest Bit i is set where member i signs itself; else the member before it does.
    function _tryQuorum(uint256 bitmap, uint256 honest, bytes32 digest) private {
        bytes memory signatures;
        uint256 got;
        bool truly = bitmap & ~_able() == 0;
        for (uint256 i = 0; i < memberKeys.length; ++i) {
            if ((bitmap >> i) & 1 == 0) continue;
            ++got;
            bool itself = (honest >> i) & 1 == 1;
            if (!itself) truly = false;
            uint256 key = memberKeys[itself ? i : (i + memberKeys.length - 1) % memberKeys.length];
            signatures = bytes.concat(signatures, _sign(key, digest));
        }
        bool enough = truly && got >= committee.quorum();
        try committee.checkQuorum(digest, bitmap, signatures) {
            ++accepted;
            if (!enough) quorumFaked = true;
        } catch {
            if (enough) quorumRefused = true;
        }
    }

    /// @dev Members whose signature counts now.
    function _able() private view returns (uint256 bitmap) {
        ICommittee.MemberInfo[] memory all = committee.members();
        for (uint256 i = 0; i < all.length; ++i) {
            if (all[i].active && all[i].bonded && !all[i].suspended) bitmap |= 1 << i;
        }
    }

    function _watch() private {
        uint256 issuance = (_now() - GENESIS) / ISSUANCE;
        _hold(issuance);
        if (_now() >= GENESIS + (issuance + 1) * ISSUANCE - DAY) _hold(issuance + 1);
        uint256 set = _frozen[issuance] & ~uint256(1 << 255);
        uint256 size;
        for (uint256 i = 0; i < memberOwners.length; ++i) {
            size += (set >> i) & 1;
        }
        if (size != committee.size()) setMoved = true;
    }

    function _hold(uint256 issuance) private {
        uint256 set = _setAt(GENESIS + issuance * ISSUANCE) | (1 << 255);
        if (_frozen[issuance] == 0) _frozen[issuance] = set;
        else if (_frozen[issuance] != set) setMoved = true;
    }

    function _setAt(uint256 time) private view returns (uint256 bitmap) {
        ICommittee.MemberInfo[] memory all = committee.members();
        for (uint256 i = 0; i < all.length; ++i) {
            bool ended = all[i].activeUntil != 0 && all[i].activeUntil <= time;
            if (all[i].activeFrom <= time && !ended) bitmap |= 1 << i;
        }
    }

    function _member(uint256 seed) private view returns (uint256) {
        return _bound(seed, 0, memberOwners.length - 1);
    }
}
