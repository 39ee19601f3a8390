// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ICommittee} from "../../interfaces/ICommittee.sol";
import {IEpochs} from "../../interfaces/IEpochs.sol";
import {INodeRegistry} from "../../interfaces/INodeRegistry.sol";
import {IPremiumChannels} from "../../interfaces/IPremiumChannels.sol";
import {Pausing} from "../governance/Pausing.sol";

/// @title What all parts of the premium channels share: links, clocks, storage
/// @dev Documented in IPremiumChannels.
abstract contract ChannelStore is IPremiumChannels, Pausing, EIP712, ReentrancyGuardTransient {
    /// @dev All money but deposits and bonds, in one slot.
    /// @param unclaimed Attested units that were not claimed.
    struct Money {
        uint96 pool;
        uint96 toBurn;
        uint64 unclaimed;
    }

    uint256 internal constant RING = 16;
    uint256 internal constant PPM = 1_000_000;
    uint256 internal constant FEE_PPM = 200_000;
    uint256 private constant UNIT_WEI_MIN = 1 << 32;

    /// @inheritdoc IPremiumChannels
    IERC20 public immutable override token;
    /// @inheritdoc IPremiumChannels
    IEpochs public immutable override epochs;
    /// @inheritdoc IPremiumChannels
    ICommittee public immutable override committee;
    /// @inheritdoc IPremiumChannels
    INodeRegistry public immutable override registry;
    /// @inheritdoc IPremiumChannels
    uint256 public immutable override issuanceEpochs;
    /// @inheritdoc IPremiumChannels
    uint256 public immutable override unitWei;
    /// @inheritdoc IPremiumChannels
    uint256 public immutable override bondWei;

    uint32 private immutable FINISH_S;
    uint32 internal immutable CLOSE_S;
    uint32 private immutable SPEND_S;
    uint32 private immutable CLAIM_S;
    uint32 internal immutable ATTEST_S;
    uint32 private immutable REDEEM_S;
    uint32 private immutable TOKEN_S;
    uint32 private immutable EXIT_S;
    uint32 internal immutable KEEP_S;
    uint32 private immutable CHALLENGE_S;
    uint32 internal immutable CLOSING_S;
    uint32 internal immutable DELIVER_S;
    /// @dev Until then leaves can be demanded, so that a root is disabled long enough before redeeming ends.
    uint32 internal immutable DEMAND_S;

    mapping(address account => Channel) internal _channels;
    mapping(uint256 place => Issuance) private _ring;
    /// @dev What an epoch could still pay when a later one took its place: exits that wait longer lose nothing.
    mapping(uint32 epoch => uint64) internal _leftAfter;
    Money internal _money;

    constructor(
        IERC20 token_,
        IEpochs epochs_,
        ICommittee committee_,
        INodeRegistry registry_,
        Clock memory clock_,
        uint256 issuanceEpochs_,
        uint256 unitWei_,
        uint256 bondWei_
    ) EIP712("QNet", "1") {
        if (address(token_) == address(0) || address(epochs_) == address(0)) revert ZeroAddress();
        if (address(committee_) == address(0) || address(registry_) == address(0)) revert ZeroAddress();
        if (!_isOrdered(clock_) || issuanceEpochs_ == 0) revert InvalidTerms();
        if (unitWei_ < UNIT_WEI_MIN || bondWei_ == 0) revert InvalidTerms();
        token = token_;
        epochs = epochs_;
        committee = committee_;
        registry = registry_;
        issuanceEpochs = issuanceEpochs_;
        unitWei = unitWei_;
        bondWei = bondWei_;
        FINISH_S = clock_.finishS;
        CLOSE_S = clock_.closeS;
        SPEND_S = clock_.spendS;
        CLAIM_S = clock_.claimS;
        ATTEST_S = clock_.attestS;
        REDEEM_S = clock_.redeemS;
        TOKEN_S = clock_.tokenS;
        EXIT_S = clock_.exitS;
        KEEP_S = clock_.keepS;
        CHALLENGE_S = clock_.challengeS;
        CLOSING_S = clock_.closingS;
        DELIVER_S = clock_.deliverS;
        DEMAND_S = clock_.attestS + (clock_.redeemS - clock_.attestS - clock_.deliverS) / 2;
    }

    /// @inheritdoc IPremiumChannels
    function clock() public view override returns (Clock memory) {
        return Clock(
            FINISH_S,
            CLOSE_S,
            SPEND_S,
            CLAIM_S,
            ATTEST_S,
            REDEEM_S,
            TOKEN_S,
            EXIT_S,
            KEEP_S,
            CHALLENGE_S,
            CLOSING_S,
            DELIVER_S
        );
    }

    /// @inheritdoc IPremiumChannels
    function domainSeparator() external view override returns (bytes32) {
        return _domainSeparatorV4();
    }

    /// @inheritdoc IPremiumChannels
    function channelOf(address account) external view override returns (Channel memory) {
        return _channels[account];
    }

    /// @inheritdoc IPremiumChannels
    function issuanceOf(uint32 epoch) external view override returns (Issuance memory) {
        return _issuance(epoch);
    }

    /// @inheritdoc IPremiumChannels
    function elapsedSince(uint32 epoch) external view override returns (uint256) {
        if (_place(epoch).epoch > epoch) return type(uint256).max;
        return _elapsed(_issuance(epoch).end);
    }

    /// @inheritdoc IPremiumChannels
    function leftOf(uint32 epoch) external view override returns (uint256) {
        return _place(epoch).epoch > epoch ? _leftAfter[epoch] : _left(_issuance(epoch));
    }

    /// @inheritdoc IPremiumChannels
    function money() external view override returns (uint256 pool, uint256 toBurn, uint256 unclaimed) {
        Money memory m = _money;
        return (m.pool, m.toBurn, m.unclaimed);
    }

    /// @dev Place of an epoch in the ring, whatever stands in it.
    function _place(uint256 epoch) internal view returns (Issuance storage) {
        return _ring[epoch % RING];
    }

    function _issuance(uint32 epoch) internal view returns (Issuance storage issuance) {
        issuance = _place(epoch);
        if (issuance.epoch != epoch || issuance.end == 0) revert UnknownIssuance(epoch);
    }

    /// @dev Seconds since `end` in which this contract was not paused. It never falls, so what is over stays over.
    function _elapsed(uint256 end) internal view returns (uint256) {
        return block.timestamp < end ? 0 : block.timestamp - end - pausedSince(end);
    }

    /// @dev While the committee did not state what it issued, what earlier epochs have left may have been rolled into it.
    function _left(Issuance storage issuance) internal view returns (uint256 left) {
        uint256 issued = issuance.issued;
        if (!issuance.isClosed) {
            uint256 epoch = issuance.epoch;
            for (uint256 back = 1; back < RING && back <= epoch; ++back) {
                Issuance storage earlier = _place(epoch - back);
                if (earlier.epoch == epoch - back && _elapsed(earlier.end) < KEEP_S) {
                    issued += _leftOf(earlier, earlier.issued);
                }
            }
        }
        return _leftOf(issuance, issued);
    }

    function _leftOf(Issuance storage issuance, uint256 issued) private view returns (uint256) {
        uint256 budget = issued < issuance.cap ? issued : issuance.cap;
        uint256 out = uint256(issuance.attested) + issuance.redeemed + issuance.exited;
        return out < budget ? budget - out : 0;
    }

    function _isOrdered(Clock memory c) private pure returns (bool) {
        bool counted = c.finishS < c.closeS && c.closeS < c.spendS && c.spendS < c.claimS && c.claimS < c.attestS;
        bool settled = c.attestS + c.deliverS < c.redeemS && c.redeemS <= c.tokenS && c.tokenS < c.exitS;
        return counted && settled && c.exitS + c.challengeS <= c.keepS && c.challengeS < c.closingS && c.deliverS != 0;
    }
}
