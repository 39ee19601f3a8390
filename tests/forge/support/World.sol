// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Parameters} from "../../../contracts/governance/Parameters.sol";
import {QNetGovernor} from "../../../contracts/governance/QNetGovernor.sol";
import {QNetTimelock} from "../../../contracts/governance/QNetTimelock.sol";
import {VersionRegistry} from "../../../contracts/governance/VersionRegistry.sol";
import {Committee} from "../../../contracts/reporting/Committee.sol";
import {DisputeCourt} from "../../../contracts/reporting/DisputeCourt.sol";
import {Epochs} from "../../../contracts/reporting/Epochs.sol";
import {ReportOracle} from "../../../contracts/reporting/ReportOracle.sol";
import {RewardVault} from "../../../contracts/reporting/RewardVault.sol";
import {Slasher} from "../../../contracts/reporting/Slasher.sol";
import {PremiumChannels} from "../../../contracts/payments/PremiumChannels.sol";
import {NodeRegistry} from "../../../contracts/staking/NodeRegistry.sol";
import {StakeHub} from "../../../contracts/staking/StakeHub.sol";
import {QNetToken} from "../../../contracts/token/QNetToken.sol";
import {ICommittee} from "../../../interfaces/ICommittee.sol";
import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {Deployment} from "./Deployment.sol";
import {Test} from "./Test.sol";

/// @title A whole deployment, with people, on the values of the main network
/// @dev `owner` is the timelock; tests act as it by prank.
abstract contract World is Test {
    uint256 internal constant QNET = 1e18;
    uint256 internal constant DAY = 1 days;
    uint256 internal constant SUPPLY = 1_000_000_000 * QNET;
    uint256 internal constant VAULT = 400_000_000 * QNET;
    uint256 internal constant GENESIS = 1_800_000_000;
    uint256 internal constant BEACON_EPOCHS = 64;

    QNetToken internal token;
    Parameters internal parameters;
    QNetTimelock internal timelock;
    Epochs internal epochs;
    Committee internal committee;
    NodeRegistry internal registry;
    StakeHub internal hub;
    ReportOracle internal oracle;
    RewardVault internal vault;
    QNetGovernor internal governor;
    VersionRegistry internal versions;
    Slasher internal slasher;
    DisputeCourt internal court;
    PremiumChannels internal channels;

    address internal owner;
    address internal holder;
    address[] internal memberOwners;
    uint256[] internal memberKeys;
    /// @dev Receipt key of a node.
    mapping(uint32 index => uint256) internal receiptKeys;
    bytes32[] internal _reveals;
    uint256 private _named;

    /// @dev Deploy with `members` founding members of the committee, at genesis; nobody has bonded yet.
    function _deploy(uint256 members) internal {
        vm.warp(GENESIS);
        (holder,) = _account("holder");
        ICommittee.Member[] memory founding = new ICommittee.Member[](members);
        for (uint256 i = 0; i < members; ++i) {
            (address memberOwner,) = _account(string.concat("member ", vm.toString(i)));
            (address signer, uint256 key) = _account(string.concat("signer ", vm.toString(i)));
            memberOwners.push(memberOwner);
            memberKeys.push(key);
            founding[i] = ICommittee.Member(memberOwner, signer, "http://127.0.0.1:18701");
        }
        // compiled once, not into every test
        Deployment deployed = Deployment(vm.deployCode("Deployment.sol:Deployment"));
        deployed.run(holder, SUPPLY, GENESIS, _makeBeacon(24), founding);
        token = deployed.token();
        parameters = deployed.parameters();
        timelock = deployed.timelock();
        epochs = deployed.epochs();
        committee = deployed.committee();
        registry = deployed.registry();
        hub = deployed.hub();
        oracle = deployed.oracle();
        vault = deployed.vault();
        governor = deployed.governor();
        versions = deployed.versions();
        slasher = deployed.slasher();
        court = deployed.court();
        channels = deployed.channels();
        owner = address(timelock);

        vm.prank(holder);
        token.transfer(address(vault), VAULT);
        vault.recordReserve();
    }

    // governance

    /// @dev Change a parameter, as a vote would.
    function _set(bytes32 key, uint256 value) internal {
        vm.prank(owner);
        parameters.set(key, value);
    }

    // people

    /// @dev An account with tokens that lets the hub, the court and the oracle take them.
    function _person(string memory name, uint256 amount) internal returns (address account) {
        (account,) = _account(name);
        vm.prank(holder);
        token.transfer(account, amount);
        vm.startPrank(account);
        token.approve(address(hub), type(uint256).max);
        token.approve(address(court), type(uint256).max);
        token.approve(address(oracle), type(uint256).max);
        token.approve(address(registry), type(uint256).max);
        vm.stopPrank();
    }

    function _bondCommittee() internal {
        uint256 amount = parameters.get("committee_bond_wei");
        for (uint256 i = 0; i < memberOwners.length; ++i) {
            vm.prank(holder);
            token.transfer(memberOwners[i], amount);
            vm.startPrank(memberOwners[i]);
            token.approve(address(committee), amount);
            committee.depositBond();
            vm.stopPrank();
        }
    }

    /// @dev Give somebody what a registration costs, and let the registry take it.
    function _payFee(address nodeOwner) internal {
        uint256 fee = parameters.get("register_fee_wei");
        if (fee == 0) return;
        vm.prank(holder);
        token.transfer(nodeOwner, fee);
        uint256 allowed = token.allowance(nodeOwner, address(registry));
        if (allowed == type(uint256).max) return;
        vm.prank(nodeOwner);
        token.approve(address(registry), allowed + fee);
    }

    /// @dev Register a node with a fresh receipt key.
    function _register(address nodeOwner, INodeRegistry.Role role) internal returns (uint32 index) {
        string memory name = string.concat("node ", vm.toString(++_named));
        (address key, uint256 secret) = _account(string.concat("receipts of ", name));
        bytes32 nodeId = keccak256(bytes(name));
        bytes32 digest = registry.keyProofDigest(nodeOwner, nodeId, key, type(uint256).max);
        _payFee(nodeOwner);
        vm.prank(nodeOwner);
        index = registry.register(
            role, nodeId, keccak256("identity"), key, nodeOwner, type(uint256).max, _sign(secret, digest)
        );
        receiptKeys[index] = secret;
    }

    /// @dev Register a node of a funded owner and bond to it.
    function _node(address nodeOwner, INodeRegistry.Role role, uint256 amount) internal returns (uint32 index) {
        index = _register(nodeOwner, role);
        vm.prank(nodeOwner);
        hub.bond(index, amount);
    }

    // signatures

    function _sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    /// @dev Signatures of the first `count` members over a digest.
    function _quorum(bytes32 digest, uint256 count) internal view returns (uint256 bitmap, bytes memory signatures) {
        for (uint256 i = 0; i < count; ++i) {
            bitmap |= 1 << i;
            signatures = bytes.concat(signatures, _sign(memberKeys[i], digest));
        }
    }

    // time

    function _epochSeconds() internal view returns (uint256) {
        return uint256(epochs.slotSeconds()) * epochs.slotsPerEpoch();
    }

    /// @dev The time of the next call. The compiler takes `block.timestamp` to stand still within a test.
    function _now() internal view returns (uint256) {
        return vm.getBlockTimestamp();
    }

    /// @dev Start an epoch in its first second, or now if that is over.
    function _startEpoch(uint32 epoch) internal {
        if (_now() < epochs.epochStart(epoch)) vm.warp(epochs.epochStart(epoch));
        epochs.startEpoch(epoch, _reveals[epoch]);
    }

    /// @dev Start an epoch and go to its end.
    function _passEpoch(uint32 epoch) internal {
        _startEpoch(epoch);
        if (_now() < epochs.epochEnd(epoch)) vm.warp(epochs.epochEnd(epoch));
    }

    /// @dev Value of the beacon's last slot of an epoch.
    function _reveal(uint32 epoch) internal view returns (bytes32) {
        return _reveals[epoch];
    }

    /// @dev A hash chain of `slots` values an epoch, for BEACON_EPOCHS epochs; its anchor.
    function _makeBeacon(uint256 slots) private returns (bytes32 value) {
        value = keccak256("beacon");
        bytes32[] memory reveals = new bytes32[](BEACON_EPOCHS);
        for (uint256 epoch = BEACON_EPOCHS; epoch > 0; --epoch) {
            reveals[epoch - 1] = value;
            for (uint256 i = 0; i < slots; ++i) {
                value = keccak256(bytes.concat(value));
            }
        }
        _reveals = reveals;
    }
}
