// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IDisputeCourt} from "../../../interfaces/IDisputeCourt.sol";
import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {IStakeHub} from "../../../interfaces/IStakeHub.sol";
import {Reports} from "../support/Reports.sol";

/// @title Attacks on what work and stake earn, by row of docs/explanation/contract-security.md
contract EconomicAttacks is Reports {
    uint256 private constant Z = 100_000 * QNET;

    address private operator;
    address private challenger;

    function setUp() public {
        _deploy(4);
        _bondCommittee();
        operator = _person("operator", 10_000_000 * QNET);
        challenger = _person("challenger", 1_000_000 * QNET);
    }

    function test_SelfDealing_WorkBeyondWhatIsExpectedEarnsNothing() public {
        uint32 node = _node(operator, INodeRegistry.Role.Relay, Z);
        _reportEpoch(0);
        _passEpoch(1);
        _makeLeaves(1);
        uint256 full = _leaf(1, node).reward;
        leavesOf[1][node - 1].w = uint32(2 * ONE);
        leavesOf[1][node - 1].reward = 2 * full;
        _submit(_report(1));

        _prove(
            challenger,
            abi.encodeCall(
                court.proveBadLeaf, (0, _salt(), 1, _proven(1, node), _proven(0, node), parameters.values())
            )
        );
        (,,, IReportOracle.Status status) = oracle.report(1);
        vm.assertTrue(status == IReportOracle.Status.Disabled);
    }

    function test_SelfDealing_ALinkBetweenNodesOfOneOwnerRefutesTheReport() public {
        uint32 entry = _node(operator, INodeRegistry.Role.Entry, Z);
        uint32 relay = _node(operator, INodeRegistry.Role.Relay, Z);
        _reportEpoch(0);
        _passEpoch(1);
        _makeLeaves(1);
        IDisputeCourt.LinkLeaf memory link =
            IDisputeCourt.LinkLeaf(1, 0, entry, relay, 1 << 20, 1 << 20, 1 << 20, "sent", "received");
        bytes32[] memory hashes = new bytes32[](1);
        hashes[0] = _linkHash(link);
        IReportOracle.EpochReport memory r = _report(1);
        r.evidenceRoot = hashes[0];
        _submit(r);

        IDisputeCourt.LinkReceipt memory none;
        _prove(
            challenger,
            abi.encodeCall(court.proveBadLink, (0, _salt(), 1, link, new bytes32[](0), none, "", none, ""))
        );
        (,,, IReportOracle.Status status) = oracle.report(1);
        vm.assertTrue(status == IReportOracle.Status.Disabled);
    }

    /// @dev Z on one node against Z on 2, 4 and 10 nodes: 88, 83 and 79 % of the reward.
    function test_SybilSplitting_PaysLessTheMoreNodesShareAStake() public {
        uint8[4] memory counts = [1, 2, 4, 10];
        uint16[4] memory permille = [1000, 884, 826, 792];
        for (uint256 i = 0; i < counts.length; ++i) {
            for (uint256 n = 0; n < counts[i]; ++n) {
                _node(operator, INodeRegistry.Role.Relay, Z / counts[i]);
            }
        }
        _reportEpoch(0);
        _passEpoch(1);
        _makeLeaves(1);
        uint32 node = 1;
        uint256 whole = _leaf(1, 1).reward;
        vm.assertGt(whole, 0);
        for (uint256 i = 0; i < counts.length; ++i) {
            uint256 sum;
            for (uint256 n = 0; n < counts[i]; ++n) {
                sum += _leaf(1, node++).reward;
            }
            vm.assertEq(sum * 1000 / whole, permille[i]);
        }
    }

    function test_JitDelegation_MustSettleFirstAndThenWaitsForTheStream() public {
        uint32 node = _node(operator, INodeRegistry.Role.Relay, 20_000 * QNET);
        address early = _person("early", 50_000 * QNET);
        address late = _person("late", 50_000 * QNET);
        vm.prank(early);
        hub.delegate(node, 50_000 * QNET, 1);
        _reportEpoch(0);
        _reportEpoch(1);
        _finalize(0);
        _finalize(1);

        vm.expectRevert(abi.encodeWithSelector(IStakeHub.NotSettled.selector, node, 0, 2));
        vm.prank(late);
        hub.delegate(node, 50_000 * QNET, 1);

        _settle(1, node);
        vm.assertGt(_leaf(1, node).cumPool, 0);
        vm.prank(late);
        uint256 shares = hub.delegate(node, 50_000 * QNET, 1);
        (,, uint256 worth) = hub.positionOf(late, node);
        vm.assertLe(worth, 50_000 * QNET);
        // an hour later it owns no more than its part of an hour of the stream of seven days
        vm.warp(block.timestamp + 1 hours);
        vm.prank(late);
        (, uint256 amount) = hub.undelegate(node, shares);
        vm.assertLe(amount, 50_000 * QNET + _leaf(1, node).cumPool / (7 * 24) / 2);
    }

    function test_JitDelegation_StakeOfPartOfAnEpochDoesNotCount() public {
        uint32 node = _node(operator, INodeRegistry.Role.Relay, 20_000 * QNET);
        _reportEpoch(0);
        vm.warp(epochs.epochStart(1));
        epochs.startEpoch(1, _reveals[1]);
        vm.warp(epochs.epochStart(1) + 1);
        vm.prank(operator);
        hub.bond(node, 80_000 * QNET);
        vm.warp(epochs.epochEnd(1) + 1);
        vm.assertEq(_honestLeaf(1, node, PERFECT, uint32(ONE)).bond, 20_000 * QNET);
    }

    function test_RoundingDrain_GoingInAndOutGainsNothing() public {
        uint32 node = _node(operator, INodeRegistry.Role.Relay, 20_000 * QNET);
        address victim = _person("victim", 1_000 * QNET);
        address drainer = _person("drainer", 10_000 * QNET);
        vm.prank(drainer);
        hub.delegate(node, 1, 1);
        vm.prank(drainer);
        token.transfer(address(hub), 5_000 * QNET); // a gift to the hub moves no price
        vm.prank(victim);
        hub.delegate(node, 1_000 * QNET, 1);
        (,, uint256 worth) = hub.positionOf(victim, node);
        vm.assertGe(worth, 1_000 * QNET - 1);

        uint256 paid;
        uint256 got;
        for (uint256 i = 1; i <= 12; ++i) {
            uint256 amount = i * 7 + 1e15;
            vm.prank(drainer);
            uint256 shares = hub.delegate(node, amount, 1);
            vm.prank(drainer);
            (, uint256 back) = hub.undelegate(node, shares);
            (paid, got) = (paid + amount, got + back);
        }
        vm.assertLe(got, paid);
        (,, uint256 afterwards) = hub.positionOf(victim, node);
        vm.assertGe(afterwards, worth);
    }

    /// @dev Each number has a leaf in every report from then on: a million of them would cost a tenth of the supply.
    function test_FreeRegistration_EachIndexCostsItsFee() public {
        uint256 supply = token.totalSupply();
        uint32 count = registry.count();
        for (uint256 i = 0; i < 5; ++i) {
            _register(operator, INodeRegistry.Role.Relay);
        }
        vm.assertEq(registry.count(), count + 5);
        vm.assertEq(supply - token.totalSupply(), 5 * 100 * QNET);
    }
}
