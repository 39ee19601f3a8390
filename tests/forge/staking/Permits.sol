// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {StakingTest} from "./StakingTest.sol";

/// @dev Signed permits of accounts for the hub.
abstract contract Permits is StakingTest {
    struct Permit {
        uint256 amount;
        uint256 deadline;
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    bytes32 private constant PERMIT_TYPEHASH =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");

    function _permit(string memory name, uint256 amount) internal returns (Permit memory permit) {
        (address account, uint256 key) = _account(name);
        permit.amount = amount;
        permit.deadline = block.timestamp;
        bytes32 body = keccak256(
            abi.encode(PERMIT_TYPEHASH, account, address(hub), amount, token.nonces(account), permit.deadline)
        );
        bytes32 digest = keccak256(abi.encodePacked("\x19\x01", token.DOMAIN_SEPARATOR(), body));
        (permit.v, permit.r, permit.s) = vm.sign(key, digest);
    }

    function _disallow(address account) internal {
        vm.prank(account);
        token.approve(address(hub), 0);
    }
}
