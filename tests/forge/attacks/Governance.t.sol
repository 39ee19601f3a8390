// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IGovernor} from "@openzeppelin/contracts/governance/IGovernor.sol";
import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {IOwned} from "../../../interfaces/IOwned.sol";
import {IQNetGovernor} from "../../../interfaces/IQNetGovernor.sol";
import {IQNetTimelock} from "../../../interfaces/IQNetTimelock.sol";
import {ISlasher} from "../../../interfaces/ISlasher.sol";
import {Reports} from "../support/Reports.sol";

/// @title Attacks on decisions and on the powers around them, by row of docs/explanation/contract-security.md
contract GovernanceAttacks is Reports {
    uint8 private constant FOR = 1;

    address private mallory;

    function setUp() public {
        _deploy(4);
        mallory = _person("mallory", 1_000_000 * QNET);
        vm.prank(holder);
        token.delegate(holder);
        vm.warp(GENESIS + 1 hours);
    }

    /// @dev Tokens that come after the snapshot vote for nothing, wherever they are put.
    function test_FlashLoanVotes_CountForNothing() public {
        uint256 proposal = _propose(holder, "a proposal");
        vm.warp(governor.proposalSnapshot(proposal) + 1);
        vm.prank(holder);
        token.transfer(mallory, 100_000_000 * QNET);
        uint32 node = _register(mallory, INodeRegistry.Role.Relay);
        vm.startPrank(mallory);
        token.delegate(mallory);
        hub.bond(node, 50_000_000 * QNET);
        // who has no votes has none left to cast
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorAlreadyCastVote.selector, mallory));
        governor.castVote(proposal, FOR);
        vm.stopPrank();
        (, uint256 forVotes,) = governor.proposalVotes(proposal);
        vm.assertEq(forVotes, 0);
    }

    /// @dev What is borrowed for one moment does not propose either: votes are those of the second before.
    function test_FlashLoanVotes_DoNotPropose() public {
        vm.prank(holder);
        token.transfer(mallory, 100_000_000 * QNET);
        vm.prank(mallory);
        token.delegate(mallory);
        vm.expectPartialRevert(IGovernor.GovernorInsufficientProposerVotes.selector);
        _propose(mallory, "at once");
    }

    function test_Spam_OneLiveProposalOfTenActions() public {
        uint256 first = _propose(holder, "first");
        vm.expectRevert(abi.encodeWithSelector(IQNetGovernor.ProposerHasLive.selector, first));
        _propose(holder, "second");
        vm.warp(governor.proposalDeadline(first) + 1);
        address[] memory targets = new address[](11);
        vm.expectRevert(abi.encodeWithSelector(IQNetGovernor.TooManyActions.selector, 11, 10));
        vm.prank(holder);
        governor.propose(targets, new uint256[](11), new bytes[](11), "eleven");
    }

    /// @dev A description can name its proposer, so that nobody else can propose the same first and cancel it.
    function test_FrontRun_ADescriptionBindsItsProposer() public {
        vm.prank(holder);
        token.transfer(mallory, 100_000_000 * QNET);
        vm.prank(mallory);
        token.delegate(mallory);
        vm.warp(block.timestamp + 1);
        string memory text = string.concat("mine #proposer=", vm.toString(holder));
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorRestrictedProposer.selector, mallory));
        _propose(mallory, text);
        _propose(holder, text);
    }

    function test_LateQuorum_ExtendsTheVote() public {
        uint256 proposal = _propose(holder, "late");
        uint256 deadline = governor.proposalDeadline(proposal);
        vm.warp(deadline - 1);
        vm.prank(holder);
        governor.castVote(proposal, FOR);
        vm.assertEq(governor.proposalDeadline(proposal), deadline - 1 + parameters.get("late_extension_s"));
    }

    /// @dev The governor is the sole proposer, nobody has the admin role but the timelock, and time cannot be skipped.
    function test_TimelockBypass_OnlyTheGovernorProposesAndNothingRunsEarly() public {
        bytes32 proposer = timelock.PROPOSER_ROLE();
        bytes32 admin = timelock.DEFAULT_ADMIN_ROLE();
        bytes memory call = abi.encodeCall(slasher.setVetoer, (mallory));
        vm.expectRevert(
            abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, mallory, proposer)
        );
        vm.prank(mallory);
        timelock.schedule(address(slasher), 0, call, 0, 0, 30 * DAY);
        vm.expectRevert();
        vm.prank(mallory);
        timelock.execute(address(slasher), 0, call, 0, 0);
        vm.expectRevert(
            abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, mallory, admin)
        );
        vm.prank(mallory);
        timelock.grantRole(proposer, mallory);
        vm.expectRevert(abi.encodeWithSelector(IQNetTimelock.SetByParameter.selector, bytes32("timelock_s")));
        timelock.updateDelay(0);
        vm.assertTrue(timelock.hasRole(admin, address(timelock)));
        vm.assertFalse(timelock.hasRole(admin, address(governor)));
        vm.assertFalse(timelock.hasRole(admin, address(this)));

        uint256 proposal = _propose(holder, "soon");
        vm.warp(governor.proposalSnapshot(proposal) + 1);
        vm.prank(holder);
        governor.castVote(proposal, FOR);
        vm.warp(governor.proposalDeadline(proposal) + 1);
        governor.queue(proposal);
        vm.warp(governor.proposalEta(proposal) - 1);
        vm.expectRevert();
        governor.execute(proposal);
        vm.warp(governor.proposalEta(proposal));
        governor.execute(proposal);
        vm.assertEq(parameters.get("min_bond_wei"), 20_000 * QNET);
    }

    /// @dev Neither the guardian nor the vetoer nor the owner jails or slashes: only evidence before the court does.
    function test_DiscretionaryBans_NobodyBansByDecision() public {
        uint32 node = _node(mallory, INodeRegistry.Role.Relay, 20_000 * QNET);
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NotSlasher.selector, owner));
        registry.jail(node, uint64(block.timestamp + DAY));
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NotSlasher.selector, owner));
        registry.tombstone(node);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.NotCourt.selector, owner));
        slasher.jail(node);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.NotCourt.selector, owner));
        slasher.queueNode(node, 0, 50_000, owner, "because");
        vm.stopPrank();
        vm.expectRevert(abi.encodeWithSelector(IOwned.NotOwner.selector, mallory, owner));
        vm.prank(mallory);
        registry.setSlasher(mallory);
    }

    function _propose(address proposer, string memory text) private returns (uint256) {
        address[] memory targets = new address[](1);
        bytes[] memory calls = new bytes[](1);
        (targets[0], calls[0]) =
            (address(parameters), abi.encodeCall(parameters.set, ("min_bond_wei", 20_000 * QNET)));
        vm.prank(proposer);
        return governor.propose(targets, new uint256[](1), calls, text);
    }
}
