// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Parameters} from "../../../contracts/governance/Parameters.sol";
import {IOwned} from "../../../interfaces/IOwned.sol";
import {IParameters} from "../../../interfaces/IParameters.sol";
import {World} from "../support/World.sol";

/// @title Values that holders change within fixed limits
contract ParametersTest is World {
    bytes32 private constant KEY = "alpha_ppm";

    bytes32[] private _keys;
    uint256[] private _values;
    uint256[] private _mins;
    uint256[] private _maxs;

    function setUp() public {
        _deploy(1);
        _keys = [bytes32("one"), bytes32("two")];
        _values = [5, 7];
        _mins = [5, 0];
        _maxs = [9, 7];
    }

    // deployment

    function test_StartsWithValuesOnTheirLimits() external {
        IParameters made = _make();
        vm.assertEq(made.get("one"), 5);
        vm.assertEq(made.get("two"), 7);
        vm.assertEq(made.paramsHash(), keccak256(abi.encode(_keys, _values)));
        (uint256 min, uint256 max) = made.bounds("one");
        vm.assertEq(min, 5);
        vm.assertEq(max, 9);
    }

    function test_ListsOfOneLength() external {
        _values.push(1);
        _refused(abi.encodeWithSelector(IParameters.LengthMismatch.selector));
        _values.pop();
        _mins.push(1);
        _refused(abi.encodeWithSelector(IParameters.LengthMismatch.selector));
        _mins.pop();
        _maxs.push(1);
        _refused(abi.encodeWithSelector(IParameters.LengthMismatch.selector));
    }

    function test_EachKeyOnceAndNoneEmpty() external {
        _keys[1] = "one";
        _refused(abi.encodeWithSelector(IParameters.InvalidKey.selector, bytes32("one")));
        _keys[1] = 0;
        _refused(abi.encodeWithSelector(IParameters.InvalidKey.selector, bytes32(0)));
    }

    function test_NotBeyondItsLimitsFromTheStart() external {
        _values[0] = 4;
        _refused(abi.encodeWithSelector(IParameters.OutOfBounds.selector, bytes32("one"), 4, 5, 9));
        _values[0] = 10;
        _refused(abi.encodeWithSelector(IParameters.OutOfBounds.selector, bytes32("one"), 10, 5, 9));
    }

    // change

    function test_BothLimitsCanBeSet() external {
        (uint256 min, uint256 max) = parameters.bounds(KEY);
        uint256 before = parameters.get(KEY);
        vm.expectEmit(address(parameters));
        emit IParameters.ParameterSet(KEY, before, min);
        _set(KEY, min);
        _set(KEY, max);
        vm.assertEq(parameters.get(KEY), max);
        vm.expectRevert(abi.encodeWithSelector(IParameters.OutOfBounds.selector, KEY, max + 1, min, max));
        vm.prank(owner);
        parameters.set(KEY, max + 1);
        (min, max) = parameters.bounds("delegation_factor");
        vm.assertEq(min, 0);
        (min, max) = parameters.bounds("slot_s");
        vm.expectRevert(
            abi.encodeWithSelector(IParameters.OutOfBounds.selector, bytes32("slot_s"), min - 1, min, max)
        );
        vm.prank(owner);
        parameters.set("slot_s", min - 1);
    }

    function test_OnlyTheOwnerChanges() external {
        vm.expectRevert(abi.encodeWithSelector(IOwned.NotOwner.selector, address(this), owner));
        parameters.set(KEY, 1);
    }

    function test_ThePastStays() external {
        uint256 before = parameters.get(KEY);
        vm.warp(_now() + 10);
        _set(KEY, 1);
        vm.warp(_now() + 10);
        vm.assertEq(parameters.getPast(KEY, _now() - 11), before);
        vm.assertEq(parameters.getPast(KEY, _now() - 10), 1);
        uint256 clock = _now();
        vm.expectRevert(abi.encodeWithSelector(IParameters.FutureLookup.selector, clock, clock));
        parameters.getPast(KEY, clock);
    }

    function test_TheHashFollowsAndIsRecordedOnce() external {
        bytes32 before = parameters.paramsHash();
        _set(KEY, 1);
        bytes32 changed = parameters.paramsHash();
        vm.assertTrue(changed != before);
        vm.expectEmit(address(parameters));
        emit IParameters.HashRecorded(changed);
        vm.assertEq(parameters.recordHash(), changed);
        vm.assertEq(parameters.recordHash(), changed);
        vm.assertEq(changed, keccak256(abi.encode(parameters.keys(), parameters.values())));
    }

    function test_UnknownKeysAreRefused() external {
        bytes memory error = abi.encodeWithSelector(IParameters.UnknownParameter.selector, bytes32("none"));
        vm.expectRevert(error);
        parameters.get("none");
        uint256 past = _now() - 1;
        vm.expectRevert(error);
        parameters.getPast("none", past);
        vm.expectRevert(error);
        parameters.bounds("none");
        vm.expectRevert(error);
        vm.prank(owner);
        parameters.set("none", 1);
    }

    function _make() private returns (IParameters) {
        return new Parameters(owner, _keys, _values, _mins, _maxs);
    }

    function _refused(bytes memory error) private {
        vm.expectRevert(error);
        new Parameters(owner, _keys, _values, _mins, _maxs);
    }
}
