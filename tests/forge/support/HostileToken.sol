// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";

/// @title A token that misbehaves as told
contract HostileToken is ERC20Burnable {
    /// @dev Fee: the receiver gets 99 %. Lie: nothing moves, yet it says so. Refuse: it returns false. Surcharge: the
    /// sender loses one wei more. Gift: the receiver gets one wei more.
    enum Mode {
        Honest,
        Fee,
        Lie,
        Refuse,
        Surcharge,
        Gift
    }

    address private constant SINK = address(0x51);

    Mode public mode;
    address private _target;
    bytes private _call;

    constructor(address holder, uint256 supply) ERC20("Hostile", "HOST") {
        _mint(holder, supply);
    }

    function setMode(Mode newMode) external {
        mode = newMode;
    }

    /// @dev Call a contract in the midst of every transfer, as this token.
    function setCallback(address target, bytes calldata data) external {
        (_target, _call) = (target, data);
    }

    /// @dev Call a contract as this token: so it can be a member or an owner itself.
    function run(address target, bytes calldata data) external {
        _forward(target, data);
    }

    function transfer(address to, uint256 value) public override returns (bool) {
        return mode != Mode.Refuse && super.transfer(to, value);
    }

    function transferFrom(address from, address to, uint256 value) public override returns (bool) {
        return mode != Mode.Refuse && super.transferFrom(from, to, value);
    }

    function _update(address from, address to, uint256 value) internal override {
        if (_target != address(0)) _forward(_target, _call);
        if (mode == Mode.Lie) return;
        uint256 fee = mode == Mode.Fee ? value / 100 : 0;
        super._update(from, to, value - fee);
        if (fee != 0) super._update(from, SINK, fee);
        if (mode == Mode.Surcharge) super._update(from, SINK, 1);
        if (mode == Mode.Gift) super._update(address(0), to, 1);
    }

    function _forward(address target, bytes memory data) private {
        (bool done, bytes memory answer) = target.call(data);
        if (done) return;
        assembly ("memory-safe") {
            revert(add(answer, 32), mload(answer))
        }
    }
}
