// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {Time} from "@openzeppelin/contracts/utils/types/Time.sol";
import {IRewardVault} from "../../interfaces/IRewardVault.sol";

/// @title Implementation of IRewardVault
/// @dev Documented in IRewardVault.
contract RewardVault is IRewardVault, ReentrancyGuardTransient {
    using Checkpoints for Checkpoints.Trace208;
    using SafeERC20 for IERC20;

    enum Promise {
        None,
        Open,
        Released
    }

    /// @inheritdoc IRewardVault
    IERC20 public immutable override token;
    /// @inheritdoc IRewardVault
    address public immutable override epochs;
    /// @inheritdoc IRewardVault
    address public immutable override hub;

    /// @inheritdoc IRewardVault
    uint256 public override totalFunded;
    /// @inheritdoc IRewardVault
    uint256 public override totalEarned;
    /// @inheritdoc IRewardVault
    uint256 public override totalPaid;
    /// @inheritdoc IRewardVault
    mapping(uint32 epoch => uint256) public override fundedOf;

    mapping(uint32 epoch => Promise) private _promises;
    Checkpoints.Trace208 private _reserves;

    constructor(IERC20 token_, address epochs_, address hub_) {
        if (epochs_ == address(0) || hub_ == address(0)) revert EmptyLink();
        token = token_;
        epochs = epochs_;
        hub = hub_;
    }

    modifier onlyFrom(address expected) {
        if (msg.sender != expected) revert NotAllowed(msg.sender, expected);
        _;
    }

    /// @inheritdoc IRewardVault
    function fund(uint32 epoch, uint256 amount) external override onlyFrom(epochs) returns (uint256 granted) {
        if (_promises[epoch] != Promise.None) revert AlreadyFunded(epoch);
        granted = Math.min(amount, unpromised());
        _promises[epoch] = Promise.Open;
        fundedOf[epoch] = granted;
        totalFunded += granted;
        recordReserve();
        emit EpochFunded(epoch, granted, totalFunded);
    }

    /// @inheritdoc IRewardVault
    function release(uint32 epoch, uint256 earned) external override onlyFrom(epochs) {
        if (_promises[epoch] != Promise.Open) revert NotOpen(epoch);
        uint256 funded = fundedOf[epoch];
        if (earned > funded) revert ExceedsFunded(epoch, earned, funded);
        _promises[epoch] = Promise.Released;
        fundedOf[epoch] = earned;
        totalFunded -= funded - earned;
        totalEarned += earned;
        recordReserve();
        emit EpochReleased(epoch, earned, funded - earned);
    }

    /// @inheritdoc IRewardVault
    function pull(address to, uint256 amount) external override onlyFrom(hub) nonReentrant {
        uint256 available = totalEarned - totalPaid;
        if (amount > available) revert Overdraw(amount, available);
        totalPaid += amount;
        emit RewardPulled(to, amount, totalPaid);
        token.safeTransfer(to, amount);
    }

    /// @inheritdoc IRewardVault
    function reserveAt(uint256 timepoint) external view override returns (uint256) {
        uint48 clock = Time.timestamp();
        if (timepoint >= clock) revert FutureLookup(timepoint, clock);
        return _reserves.upperLookupRecent(uint48(timepoint));
    }

    /// @inheritdoc IRewardVault
    function recordReserve() public override {
        uint208 current = SafeCast.toUint208(reserve());
        if (current != _reserves.latest()) _reserves.push(Time.timestamp(), current);
    }

    /// @inheritdoc IRewardVault
    function reserve() public view override returns (uint256) {
        return token.balanceOf(address(this)) - (totalEarned - totalPaid);
    }

    /// @inheritdoc IRewardVault
    function unpromised() public view override returns (uint256) {
        return token.balanceOf(address(this)) - (totalFunded - totalPaid);
    }
}
