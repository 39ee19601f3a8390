// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ICommittee} from "../../interfaces/ICommittee.sol";
import {IEpochs} from "../../interfaces/IEpochs.sol";
import {INodeRegistry} from "../../interfaces/INodeRegistry.sol";
import {IPremiumChannels} from "../../interfaces/IPremiumChannels.sol";
import {ISlasher} from "../../interfaces/ISlasher.sol";
import {Owned} from "../governance/Owned.sol";
import {ExactTransfers} from "../libraries/ExactTransfers.sol";
import {Signatures} from "../libraries/Signatures.sol";
import {ChannelStore} from "./ChannelStore.sol";
import {Channels} from "./Channels.sol";
import {Issuances} from "./Issuances.sol";
import {Redeemer} from "./Redeemer.sol";
import {RelayClaims} from "./RelayClaims.sol";

/// @title Implementation of IPremiumChannels
/// @dev Documented in IPremiumChannels.
contract PremiumChannels is Channels, Issuances, RelayClaims {
    using ExactTransfers for IERC20;
    using Signatures for bytes32;

    /// @inheritdoc IPremiumChannels
    address public immutable override redeemer;

    constructor(
        address owner_,
        IERC20 token_,
        IEpochs epochs_,
        ICommittee committee_,
        INodeRegistry registry_,
        Clock memory clock_,
        uint256 issuanceEpochs_,
        uint256 unitWei_,
        uint256 bondWei_
    )
        Owned(owner_)
        ChannelStore(token_, epochs_, committee_, registry_, clock_, issuanceEpochs_, unitWei_, bondWei_)
    {
        _initPausing(owner_);
        redeemer = address(new Redeemer(token_, registry_, clock_, unitWei_, bondWei_));
    }

    modifier onlyRedeemer() {
        if (msg.sender != redeemer) revert NotRedeemer(msg.sender);
        _;
    }

    /// @inheritdoc IPremiumChannels
    function payRelay(uint32 epoch, uint32 relay, uint256 units) external override onlyRedeemer nonReentrant {
        Issuance storage issuance = _issuance(epoch);
        uint256 left = _left(issuance);
        if (units > left) revert BudgetExceeded(epoch, units, left);
        issuance.redeemed += uint64(units);
        Money memory m = _money;
        uint256 amount = _earn(m, units);
        _money = m;
        address payout = registry.payoutOf(relay);
        emit RelayPaid(relay, epoch, payout, units, amount);
        token.pay(payout, amount);
    }

    /// @inheritdoc IPremiumChannels
    function payExit(uint32 epoch, address to, uint256 units) external override onlyRedeemer nonReentrant {
        uint256 paid = _exit(epoch, units);
        emit ExitPaid(epoch, to, units, paid);
        if (paid != 0) token.pay(to, paid * unitWei);
    }

    /// @inheritdoc IPremiumChannels
    function refund(uint32 epoch, address account, uint256 units) external override onlyRedeemer nonReentrant {
        uint256 paid = _exit(epoch, units);
        Channel storage channel = _channels[account];
        uint256 oldDeposit = channel.deposit;
        uint256 deposit = oldDeposit + paid * unitWei;
        channel.deposit = SafeCast.toUint96(deposit);
        emit ChannelRefunded(account, epoch, paid, oldDeposit, deposit);
    }

    /// @inheritdoc IPremiumChannels
    function proveTwoAttestations(
        uint256 member,
        Attestation calldata first,
        bytes calldata firstSignature,
        Attestation calldata second,
        bytes calldata secondSignature
    ) external override {
        if (first.epoch != second.epoch) revert NoEquivocation();
        _accuse(
            member,
            first.epoch,
            Math.max(first.units, second.units),
            "attestations",
            attestationDigest(first),
            firstSignature,
            attestationDigest(second),
            secondSignature
        );
    }

    /// @inheritdoc IPremiumChannels
    function proveTwoClosings(
        uint256 member,
        Closing calldata first,
        bytes calldata firstSignature,
        Closing calldata second,
        bytes calldata secondSignature
    ) external override {
        if (first.epoch != second.epoch) revert NoEquivocation();
        _accuse(
            member,
            first.epoch,
            Math.max(first.issuedUnits, second.issuedUnits),
            "closings",
            closingDigest(first),
            firstSignature,
            closingDigest(second),
            secondSignature
        );
    }

    /// @dev What left of an exit there is to be paid, taken from the pool.
    function _exit(uint32 epoch, uint256 units) private returns (uint256 paid) {
        Issuance storage issuance = _place(epoch);
        bool inRing = issuance.epoch == epoch;
        uint256 left = inRing ? _left(issuance) : _leftAfter[epoch];
        paid = Math.min(units, Math.min(left, _money.pool / unitWei));
        if (inRing) issuance.exited += uint64(paid);
        else _leftAfter[epoch] -= uint64(paid);
        _money.pool -= uint96(paid * unitWei);
    }

    /// @dev A member is slashed once for statements of a kind about an epoch.
    /// @param units The greater of those it signed: more cannot have been lost.
    function _accuse(
        uint256 member,
        uint32 epoch,
        uint256 units,
        bytes32 kind,
        bytes32 first,
        bytes calldata firstSignature,
        bytes32 second,
        bytes calldata secondSignature
    ) private {
        if (first == second) revert NoEquivocation();
        address signer = committee.signerOf(member);
        if (!first.isBy(firstSignature, signer)) revert WrongSigner(signer, address(0));
        if (!second.isBy(secondSignature, signer)) revert WrongSigner(signer, address(0));
        emit EquivocationProven(epoch, member, first, second);
        bytes32 evidence = keccak256(abi.encode(address(this), kind, epoch, member));
        uint32 rewardEpoch = SafeCast.toUint32(epoch * issuanceEpochs);
        ISlasher(committee.slasher()).queueMember(member, rewardEpoch, units * unitWei, msg.sender, evidence);
    }
}
