// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {BLS12381} from "../../../contracts/libraries/BLS12381.sol";
import {Instruments} from "../../../contracts/libraries/Instruments.sol";
import {Test} from "../../forge/support/Test.sol";

/// @title The contracts and Python hash messages to the same points, and write points in the same way
/// @dev The cases, with what Python makes of them, come from tests/qnet/crypto/hash_to_g1_cases.py.
contract PySolHashEqual is Test {
    struct Case {
        bytes32 message;
        bytes32[4] point;
        bytes32 compressedHash;
    }

    uint256 private constant BATCH = 500;

    /// forge-config: default.fuzz.runs = 20
    function testFuzz_PySolHashEqual(uint64 seed) external {
        string[] memory command = new string[](5);
        command[0] = string.concat(vm.projectRoot(), "/.venv/bin/python");
        command[1] = "-m";
        command[2] = "tests.qnet.crypto.hash_to_g1_cases";
        command[3] = vm.toString(seed);
        command[4] = vm.toString(BATCH);
        Case[] memory cases = abi.decode(vm.ffi(command), (Case[]));
        vm.assertEq(cases.length, BATCH);
        for (uint256 i = 0; i < BATCH; ++i) {
            bytes memory point = abi.encode(BLS12381.hashToG1(cases[i].message));
            vm.assertEq(point, abi.encode(cases[i].point));
            vm.assertEq(this.compressedHash(point), cases[i].compressedHash);
        }
    }

    function compressedHash(bytes calldata point) external pure returns (bytes32) {
        return Instruments.pointsHash(point, point[0:0]);
    }
}
