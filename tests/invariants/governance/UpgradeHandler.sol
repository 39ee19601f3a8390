// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {Owned} from "../../../contracts/governance/Owned.sol";
import {World} from "../../forge/support/World.sol";

/// @dev A next version of any proxy: the owner decides about the one after it.
contract NextVersion is Owned, UUPSUpgradeable {
    constructor(address owner_) Owned(owner_) {}

    function _authorizeUpgrade(address) internal override onlyOwner {}
}

/// @title Everybody tries to upgrade everything
contract UpgradeHandler is World {
    bytes32 private constant IMPLEMENTATION = bytes32(uint256(keccak256("eip1967.proxy.implementation")) - 1);

    address[] private _proxies;
    mapping(address proxy => address) public expected;
    uint256 public upgrades;

    constructor() {
        _deploy(1);
        _proxies.push(address(registry));
        _proxies.push(address(hub));
        _proxies.push(address(oracle));
        _proxies.push(address(court));
        for (uint256 i = 0; i < _proxies.length; ++i) {
            expected[_proxies[i]] = implementationOf(_proxies[i]);
        }
    }

    function proxies() external view returns (address[] memory) {
        return _proxies;
    }

    function implementationOf(address proxy) public view returns (address) {
        return address(uint160(uint256(vm.load(proxy, IMPLEMENTATION))));
    }

    function upgradeAsAnother(uint256 seed, address caller) external {
        address proxy = _proxies[_bound(seed, 0, _proxies.length - 1)];
        if (caller == owner) return;
        NextVersion next = new NextVersion(caller == address(0) ? address(this) : caller);
        vm.prank(caller);
        try UUPSUpgradeable(proxy).upgradeToAndCall(address(next), "") {
            vm.assertTrue(false, "upgraded by another");
        } catch {}
    }

    /// @dev Contracts of the system are callers too.
    function upgradeAsAContract(uint256 seed, uint256 who) external {
        address[8] memory callers = [
            address(token),
            address(epochs),
            address(committee),
            address(slasher),
            address(governor),
            address(vault),
            address(court),
            holder
        ];
        this.upgradeAsAnother(seed, callers[_bound(who, 0, 7)]);
    }

    function upgradeAsTheOwner(uint256 seed) external {
        address proxy = _proxies[_bound(seed, 0, _proxies.length - 1)];
        NextVersion next = new NextVersion(owner);
        vm.prank(owner);
        UUPSUpgradeable(proxy).upgradeToAndCall(address(next), "");
        expected[proxy] = address(next);
        ++upgrades;
    }
}
