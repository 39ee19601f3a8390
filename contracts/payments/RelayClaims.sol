// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IPremiumChannels} from "../../interfaces/IPremiumChannels.sol";
import {ExactTransfers} from "../libraries/ExactTransfers.sol";
import {Instruments} from "../libraries/Instruments.sol";
import {ChannelStore} from "./ChannelStore.sol";

/// @title What relays are paid from attested roots, and demands for leaves that are withheld
/// @dev Documented in IPremiumChannels. Nothing is claimed from a root that a demand can still disable: so disabling one
/// takes back nothing that was paid.
abstract contract RelayClaims is ChannelStore {
    using ExactTransfers for IERC20;
    using SafeERC20 for IERC20;

    /// @dev It waits while it has a demander; the moment stays, so that a leaf is demanded once.
    struct Demand {
        address demander;
        uint40 demandedAt;
    }

    mapping(uint32 relay => uint256) private _paidUnits;
    mapping(uint32 epoch => mapping(uint16 position => Demand)) private _demands;

    /// @inheritdoc IPremiumChannels
    function claim(uint32 epoch, Claim[] calldata claims) external override nonReentrant {
        Issuance storage issuance = _issuance(epoch);
        if (_elapsed(issuance.end) < DEMAND_S) revert TooEarly(uint256(issuance.end) + DEMAND_S);
        if (issuance.openDemands != 0) revert DemandsOpen(epoch, issuance.openDemands);
        bytes32 root = issuance.root;
        Money memory m = _money;
        uint256[] memory amounts = new uint256[](claims.length);
        address[] memory payouts = new address[](claims.length);
        for (uint256 i = 0; i < claims.length; ++i) {
            (amounts[i], payouts[i]) = _claim(epoch, root, claims[i], m);
        }
        _money = m;
        _payAll(payouts, amounts);
    }

    /// @inheritdoc IPremiumChannels
    function flushBurn() external override nonReentrant {
        uint256 amount = _money.toBurn;
        _money.toBurn = 0;
        emit BurnFlushed(amount);
        if (amount != 0) ERC20Burnable(address(token)).burn(amount);
    }

    /// @inheritdoc IPremiumChannels
    function refill(uint256 amount) external override nonReentrant {
        _money.pool = SafeCast.toUint96(_money.pool + amount);
        emit PoolRefilled(msg.sender, amount);
        token.take(msg.sender, amount);
    }

    /// @inheritdoc IPremiumChannels
    function demandLeaf(uint32 epoch, uint16 position) external override whenNotPaused nonReentrant {
        Issuance storage issuance = _issuance(epoch);
        if (issuance.root == bytes32(0)) revert EmptyHash();
        if (_elapsed(issuance.end) >= DEMAND_S) revert TooLate(DEMAND_S);
        Demand storage demand = _demands[epoch][position];
        if (demand.demandedAt != 0) revert AlreadyDemanded(epoch, position);
        demand.demander = msg.sender;
        demand.demandedAt = uint40(block.timestamp);
        ++issuance.openDemands;
        emit LeafDemanded(epoch, position, msg.sender, bondWei, block.timestamp + DELIVER_S);
        token.take(msg.sender, bondWei);
    }

    /// @inheritdoc IPremiumChannels
    function answerLeaf(uint32 epoch, Claim calldata leaf) external override nonReentrant {
        Issuance storage issuance = _issuance(epoch);
        uint16 position = uint16(leaf.relay);
        Demand storage demand = _waiting(epoch, position);
        uint256 deadline = _due(demand);
        if (block.timestamp >= deadline) revert DemandOver(deadline);
        _checkLeaf(epoch, issuance.root, leaf);
        delete demand.demander;
        --issuance.openDemands;
        emit LeafAnswered(epoch, position, msg.sender, leaf);
        token.pay(msg.sender, bondWei);
    }

    /// @inheritdoc IPremiumChannels
    function expireDemand(uint32 epoch, uint16 position) external override nonReentrant {
        Demand storage demand = _waiting(epoch, position);
        address demander = demand.demander;
        Issuance storage issuance = _place(epoch);
        if (issuance.epoch == epoch && issuance.root != bytes32(0)) {
            uint256 deadline = _due(demand);
            if (block.timestamp < deadline) revert DemandPending(deadline);
            _disable(issuance);
        }
        delete demand.demander;
        emit DemandReturned(epoch, position, demander, bondWei);
        token.pay(demander, bondWei);
    }

    /// @inheritdoc IPremiumChannels
    function demandOf(uint32 epoch, uint16 position)
        external
        view
        override
        returns (address demander, uint256 deadline)
    {
        Demand storage demand = _demands[epoch][position];
        demander = demand.demander;
        if (demander != address(0)) deadline = _due(demand);
    }

    /// @inheritdoc IPremiumChannels
    function paidUnitsOf(uint32 relay) external view override returns (uint256) {
        return _paidUnits[relay];
    }

    /// @inheritdoc IPremiumChannels
    function attestedOf(uint32 epoch, Claim calldata leaf) external view override returns (uint256 units) {
        bytes32 root = _issuance(epoch).root;
        if (root == bytes32(0)) return 0;
        _checkLeaf(epoch, root, leaf);
        return leaf.epochUnits;
    }

    /// @dev Burn FEE_PPM of what a relay earned, pay it the rest.
    function _earn(Money memory m, uint256 units) internal view returns (uint256 amount) {
        uint256 gross = units * unitWei;
        if (gross > m.pool) revert PoolExceeded(gross, m.pool);
        uint256 fee = gross * FEE_PPM / PPM;
        m.pool -= uint96(gross);
        m.toBurn += uint96(fee);
        return gross - fee;
    }

    /// @dev As ExactTransfers.pay for each, but what this contract loses is measured once, and what arrives is not: the
    /// token is fixed, and no payee's loss would be another's.
    function _payAll(address[] memory payouts, uint256[] memory amounts) private {
        uint256 before = token.held(address(this));
        uint256 sum;
        for (uint256 i = 0; i < payouts.length; ++i) {
            if (amounts[i] == 0) continue;
            token.safeTransfer(payouts[i], amounts[i]);
            sum += amounts[i];
        }
        ExactTransfers.expect(sum, token.held(address(this)), before);
    }

    function _claim(uint32 epoch, bytes32 root, Claim calldata leaf, Money memory m)
        private
        returns (uint256 amount, address payout)
    {
        _checkLeaf(epoch, root, leaf);
        uint32 relay = leaf.relay;
        uint256 paid = _paidUnits[relay];
        if (leaf.cumUnits <= paid) return (0, address(0));
        uint256 units = leaf.cumUnits - paid;
        if (units > m.unclaimed) revert AttestedExceeded(units, m.unclaimed);
        m.unclaimed -= uint64(units);
        _paidUnits[relay] = leaf.cumUnits;
        amount = _earn(m, units);
        payout = registry.payoutOf(relay);
        emit Claimed(relay, epoch, payout, paid, leaf.cumUnits, amount);
    }

    /// @dev No more demands stand in the way of claims once there is nothing to claim; theirs are returned one by one.
    function _disable(Issuance storage issuance) private {
        uint64 units = issuance.attested;
        emit RootDisabled(issuance.epoch, issuance.root, units);
        issuance.root = bytes32(0);
        issuance.attested = 0;
        issuance.tokens = 0;
        issuance.openDemands = 0;
        _money.unclaimed -= units;
    }

    function _waiting(uint32 epoch, uint16 position) private view returns (Demand storage demand) {
        demand = _demands[epoch][position];
        if (demand.demander == address(0)) revert NotDemanded(epoch, position);
    }

    function _due(Demand storage demand) private view returns (uint256) {
        return uint256(demand.demandedAt) + DELIVER_S + pausedSince(demand.demandedAt);
    }

    function _checkLeaf(uint32 epoch, bytes32 root, Claim calldata leaf) private view {
        uint32 relay = leaf.relay;
        uint256 length = leaf.path.length;
        bool isPath = length >= Instruments.PATH_MIN && length <= Instruments.DEPTH;
        if (relay > type(uint16).max || root == bytes32(0) || !isPath) revert InvalidProof(epoch, relay);
        bytes32 hash = Instruments.leafHash(
            address(this), epoch, relay, leaf.epochUnits, leaf.cumUnits, leaf.tokens
        );
        if (Instruments.rootOf(hash, relay, leaf.path) != root) revert InvalidProof(epoch, relay);
    }
}
