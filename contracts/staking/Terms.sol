// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Arrays} from "@openzeppelin/contracts/utils/Arrays.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IStakeHub} from "../../interfaces/IStakeHub.sol";
import {ParameterKeys} from "../libraries/ParameterKeys.sol";
import {Bonds} from "./Bonds.sol";

/// @title How operators share rewards with their delegators
/// @dev Terms are kept as they were set, so what counted in a past epoch never changes; rewards clamp them to the
/// parameters of the epoch.
abstract contract Terms is Bonds {
    using Arrays for uint256[];

    uint256 private constant EPOCH_SHIFT = 224;
    uint256 private constant MARGIN_SHIFT = 192;

    /// @inheritdoc IStakeHub
    function setTerms(uint32 index, uint256 cost, uint32 marginPpm) external override {
        _checkNodeOwner(index);
        bool high = cost > _parameter(ParameterKeys.COST_MAX_WEI) || marginPpm > M;
        if (high || marginPpm < _parameter(ParameterKeys.MARGIN_MIN_PPM)) revert InvalidTerms(cost, marginPpm);
        Stake storage stake = _stake(index);
        uint256[] storage terms = stake.terms;
        uint32 next = _currentEpoch() + 1;
        uint32 fromEpoch = stake.shares == 0 ? next : _epochAfterDelay(next);
        (uint256 oldCost, uint32 oldMarginPpm, uint32 oldFromEpoch) = termsOf(index);
        if (oldFromEpoch >= next) terms.pop();
        terms.push((uint256(fromEpoch) << EPOCH_SHIFT) | (uint256(marginPpm) << MARGIN_SHIFT) | cost);
        emit TermsSet(index, oldCost, cost, oldMarginPpm, marginPpm, fromEpoch);
    }

    /// @inheritdoc IStakeHub
    function termsAt(uint32 index, uint32 epoch) external view override returns (uint256 cost, uint32 marginPpm) {
        uint256[] storage terms = _stake(index).terms;
        uint256 position = terms.upperBound((uint256(epoch) << EPOCH_SHIFT) | ((1 << EPOCH_SHIFT) - 1));
        if (position != 0) (cost, marginPpm,) = _unpack(terms[position - 1]);
    }

    /// @inheritdoc IStakeHub
    function termsOf(uint32 index)
        public
        view
        override
        returns (uint256 cost, uint32 marginPpm, uint32 fromEpoch)
    {
        uint256[] storage terms = _stake(index).terms;
        uint256 count = terms.length;
        if (count != 0) return _unpack(terms[count - 1]);
    }

    /// @dev First epoch from `next` on that starts terms_delay_s from now or later.
    function _epochAfterDelay(uint32 next) private view returns (uint32) {
        uint256 earliest = block.timestamp + _parameter(ParameterKeys.TERMS_DELAY_S);
        uint256 start = _epochEnd(next - 1);
        if (earliest <= start) return next;
        uint256 length = _epochEnd(next) - start;
        return SafeCast.toUint32(next + Math.ceilDiv(earliest - start, length));
    }

    function _unpack(uint256 packed) private pure returns (uint256 cost, uint32 marginPpm, uint32 fromEpoch) {
        cost = packed & ((1 << MARGIN_SHIFT) - 1);
        return (cost, uint32(packed >> MARGIN_SHIFT), uint32(packed >> EPOCH_SHIFT));
    }
}
