// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IPausing} from "../../../interfaces/IPausing.sol";
import {World} from "../../forge/support/World.sol";

/// @title A guardian who pauses whenever it can
contract PausingHandler is World {
    struct Span {
        uint256 since;
        uint256 until;
    }

    uint256 public constant COUNT = 4;
    IPausing[] private _subjects;
    mapping(uint256 subject => Span[]) private _spans;

    constructor() {
        _deploy(1);
        _subjects.push(hub);
        _subjects.push(oracle);
        _subjects.push(court);
        _subjects.push(slasher);
    }

    function subjects() external view returns (IPausing[] memory) {
        return _subjects;
    }

    function spansOf(uint256 subject) external view returns (Span[] memory) {
        return _spans[subject];
    }

    /// @dev Ask for any length at any time: only what the rules allow comes about.
    function pause(uint256 seed, uint256 length) external {
        uint256 which = _bound(seed, 0, COUNT - 1);
        uint64 until = uint64(_now() + _bound(length, 0, 20 days));
        vm.prank(owner);
        try _subjects[which].pause(until) {
            _spans[which].push(Span(_now(), until));
        } catch {}
    }

    function unpause(uint256 seed) external {
        uint256 which = _bound(seed, 0, COUNT - 1);
        bool paused = _subjects[which].isPaused();
        vm.prank(owner);
        try _subjects[which].unpause() {
            vm.assertTrue(paused, "ended without a pause");
            _spans[which][_spans[which].length - 1].until = _now();
        } catch {
            vm.assertFalse(paused, "could not be ended");
        }
    }

    function pauseAsAnother(uint256 seed, address caller) external {
        if (caller == owner) return;
        vm.prank(caller);
        try _subjects[_bound(seed, 0, COUNT - 1)].pause(uint64(_now() + 1)) {
            vm.assertTrue(false, "paused by another");
        } catch {}
    }

    function warp(uint256 length) external {
        vm.warp(_now() + _bound(length, 1, 20 days));
    }
}
