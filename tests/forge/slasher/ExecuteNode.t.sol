// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {ISlasher} from "../../../interfaces/ISlasher.sol";
import {SlasherTest} from "./SlasherTest.sol";

/// @title Carrying out the slash of a node
contract ExecuteNodeTest is SlasherTest {
    /// @dev 5 % of the bond and 0.5 % of the pool.
    uint256 private constant TAKEN = 6_500 * QNET;

    function test_TheChallengerGetsItsPartAndTheRestIsBurned() external {
        _queueNode(FIVE_PERCENT, "a");
        _afterEscrow();
        uint256 supply = token.totalSupply();
        vm.expectEmit(address(registry));
        emit INodeRegistry.NodeTombstoned(index);
        vm.expectEmit(address(slasher));
        emit ISlasher.SlashExecuted(1, TAKEN / 20, 0, TAKEN - TAKEN / 20);
        slasher.execute(1);
        vm.assertEq(token.balanceOf(challenger), TAKEN / 20);
        vm.assertEq(supply - token.totalSupply(), TAKEN - TAKEN / 20);
        vm.assertEq(token.balanceOf(address(slasher)), 0);
        vm.assertEq(hub.bondOf(index), NODE_BOND - 5_000 * QNET);
        vm.assertEq(hub.poolOf(index), NODE_POOL - 1_500 * QNET);
        vm.assertEq(hub.freezesOf(index), 0);
        _expectState(1, ISlasher.State.Executed);
        _expectNode(INodeRegistry.State.Tombstoned);
    }

    function test_TheEscrowMustBeOver() external {
        uint256 until = _now() + ESCROW;
        _queueNode(FIVE_PERCENT, "a");
        vm.warp(until - 1);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.InEscrow.selector, 1, until));
        slasher.execute(1);
        vm.warp(until);
        slasher.execute(1);
    }

    function test_ASlashIsCarriedOutOnce() external {
        vm.expectRevert(abi.encodeWithSelector(ISlasher.WrongState.selector, 1, ISlasher.State.None));
        slasher.execute(1);
        _queueNode(FIVE_PERCENT, "a");
        _afterEscrow();
        slasher.execute(1);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.WrongState.selector, 1, ISlasher.State.Executed));
        slasher.execute(1);
        _queueNode(FIVE_PERCENT, "b");
        _veto(2);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.WrongState.selector, 2, ISlasher.State.Vetoed));
        slasher.execute(2);
    }

    function test_NoMoreThanTheCapIsTaken() external {
        vm.assertEq(slasher.allowanceOf(index, 0), 40_000 * QNET);
        _queueNode(ALL, "a");
        _afterEscrow();
        slasher.execute(1);
        uint256 left = hub.slashableOf(index, 0);
        vm.assertGe(left, 360_000 * QNET);
        vm.assertLe(left, 360_000 * QNET + GRAIN);
        vm.assertLe(slasher.allowanceOf(index, 0), GRAIN);
    }

    function test_AnExhaustedCapStillTombstonesAndUnfreezes() external {
        _set("slash_cap_ppm", 0);
        _queueNode(ALL, "a");
        _afterEscrow();
        vm.expectEmit(address(slasher));
        emit ISlasher.SlashExecuted(1, 0, 0, 0);
        slasher.execute(1);
        vm.assertEq(hub.slashableOf(index, 0), NODE_BOND + NODE_POOL);
        vm.assertEq(hub.freezesOf(index), 0);
        _expectNode(INodeRegistry.State.Tombstoned);
    }

    function test_TheCapRollsWithTheWindow() external {
        _queueNode(ALL, "a");
        _queueNode(ALL, "b");
        _queueNode(ALL, "c");
        _afterEscrow();
        uint256 first = _now();
        slasher.execute(1);
        uint256 left = hub.slashableOf(index, 0);
        slasher.execute(2);
        vm.assertLe(left - hub.slashableOf(index, 0), GRAIN);
        left = hub.slashableOf(index, 0);
        vm.warp(first + WINDOW - 1);
        vm.assertLe(slasher.allowanceOf(index, 0), GRAIN);
        vm.warp(first + WINDOW);
        vm.assertEq(slasher.allowanceOf(index, 0), left / 10);
        slasher.execute(3);
        vm.assertGe(hub.slashableOf(index, 0), left - left / 10);
        vm.assertLe(hub.slashableOf(index, 0), left - left / 10 + GRAIN);
    }

    function test_SmallSlashesAddUpToTheCap() external {
        for (uint256 i = 1; i <= 8; ++i) {
            _queueNode(FIVE_PERCENT, bytes32(i));
        }
        _afterEscrow();
        for (uint256 i = 1; i <= 8; ++i) {
            slasher.execute(i);
            vm.assertGe(hub.slashableOf(index, 0), 360_000 * QNET);
        }
        vm.assertLe(hub.slashableOf(index, 0), 361_000 * QNET);
    }

    function test_ANodeWithoutStakeIsTombstoned() external {
        uint32 poor = _register(alice, INodeRegistry.Role.Mix);
        vm.prank(address(court));
        slasher.queueNode(poor, 0, FIVE_PERCENT, challenger, "a");
        _afterEscrow();
        vm.expectEmit(address(slasher));
        emit ISlasher.SlashExecuted(1, 0, 0, 0);
        slasher.execute(1);
        vm.assertTrue(registry.stateOf(poor) == INodeRegistry.State.Tombstoned);
    }

    function test_ADustBondIsRoundedDown() external {
        uint32 dust = _node(alice, INodeRegistry.Role.Mix, 19);
        vm.prank(address(court));
        slasher.queueNode(dust, 0, FIVE_PERCENT, challenger, "a");
        _afterEscrow();
        vm.expectEmit(address(slasher));
        emit ISlasher.SlashExecuted(1, 0, 0, 0);
        slasher.execute(1);
        vm.assertEq(hub.bondOf(dust), 19);
    }

    function test_TwoSlashesFreezeTwice() external {
        _queueNode(FIVE_PERCENT, "a");
        vm.warp(_now() + DAY);
        _queueNode(FIVE_PERCENT, "b");
        vm.assertEq(hub.freezesOf(index), 2);
        vm.warp(GENESIS + ESCROW);
        slasher.execute(1);
        vm.assertEq(hub.freezesOf(index), 1);
        vm.warp(GENESIS + ESCROW + DAY);
        slasher.execute(2);
        vm.assertEq(hub.freezesOf(index), 0);
        vm.assertEq(hub.bondOf(index), NODE_BOND * 95 / 100 * 95 / 100);
    }

    function test_TheHubsPauseDoesNotStopIt() external {
        _queueNode(FIVE_PERCENT, "a");
        _afterEscrow();
        vm.prank(owner);
        hub.pause(uint64(_now() + DAY));
        slasher.execute(1);
        _expectState(1, ISlasher.State.Executed);
    }

    function test_WhoPutTheLeastOutOfTheBondBeforeIsStillReached() external {
        vm.prank(alice);
        hub.unbond(index, NODE_BOND);
        vm.warp(GENESIS + 20 * DAY);
        vm.prank(address(court));
        slasher.queueNode(index, 0, FIVE_PERCENT, challenger, "a");
        _afterEscrow();
        slasher.execute(1);
        vm.assertEq(token.balanceOf(challenger), TAKEN / 20);
    }
}
