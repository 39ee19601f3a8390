// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {INodeRegistry} from "../../interfaces/INodeRegistry.sol";
import {IPremiumChannels} from "../../interfaces/IPremiumChannels.sol";
import {IRedeemer} from "../../interfaces/IRedeemer.sol";
import {BLS12381} from "../libraries/BLS12381.sol";
import {Instruments} from "../libraries/Instruments.sol";
import {Disputes} from "./Disputes.sol";
import {Exits} from "./Exits.sol";
import {RedeemerStore} from "./RedeemerStore.sol";

/// @title Implementation of IRedeemer
/// @dev Documented in IRedeemer.
contract Redeemer is Exits, Disputes {
    uint256 private constant REDEEM_MAX = 128;
    bytes32 private constant REDEEM_TYPEHASH = keccak256("Redeem(uint32 epoch,uint32 relay,bytes32 tokensHash)");

    mapping(uint32 epoch => mapping(uint32 relay => Redemption)) private _redemptions;

    constructor(
        IERC20 token_,
        INodeRegistry registry_,
        IPremiumChannels.Clock memory clock,
        uint256 unitWei,
        uint256 bondWei
    ) RedeemerStore(token_, registry_, clock, unitWei, bondWei) {}

    /// @inheritdoc IRedeemer
    function redeem(
        uint32 epoch,
        uint32 relay,
        Token[] calldata tokens,
        IPremiumChannels.Claim calldata leaf,
        bytes calldata key,
        bytes calldata ownerSignature
    ) external override nonReentrant whenNotPaused {
        if (tokens.length > REDEEM_MAX) revert TooMany(REDEEM_MAX, tokens.length);
        _checkTime(epoch, ATTEST_S, REDEEM_S);
        _checkOwner(epoch, relay, tokens, ownerSignature);
        if (leaf.relay != relay) revert WrongRelay(relay, leaf.relay);
        uint256 attested = channels.attestedOf(epoch, leaf);
        Redemption storage redemption = _redemptions[epoch][relay];
        uint256 oldProven = redemption.proven;
        uint256 proven = oldProven;
        if (tokens.length != 0) {
            _checkKey(epoch, Instruments.TOKEN_CLASS, key);
            uint256 shown;
            (shown, redemption.lastT) = _check(epoch, relay, tokens, key, redemption.lastT);
            proven += shown;
        }
        uint256 settled = attested + redemption.credited;
        if (tokens.length == 0 && proven <= settled) revert NothingOwed();
        uint256 owed = proven > settled ? proven - settled : 0;
        redemption.proven = SafeCast.toUint64(proven);
        redemption.credited += uint64(owed);
        emit Redeemed(relay, epoch, oldProven, proven, owed);
        if (owed != 0) channels.payRelay(epoch, relay, owed);
    }

    /// @inheritdoc IRedeemer
    function redemptionOf(uint32 epoch, uint32 relay) external view override returns (Redemption memory) {
        return _redemptions[epoch][relay];
    }

    /// @inheritdoc IRedeemer
    function redeemDigest(uint32 epoch, uint32 relay, Token[] calldata tokens)
        public
        view
        override
        returns (bytes32)
    {
        return _digest(keccak256(abi.encode(REDEEM_TYPEHASH, epoch, relay, keccak256(abi.encode(tokens)))));
    }

    /// @dev Check tokens in ascending order; return the units they prove and the greatest T.
    function _check(uint32 epoch, uint32 relay, Token[] calldata tokens, bytes calldata key, bytes16 lastT)
        private
        view
        returns (uint256 units, bytes16)
    {
        BLS12381.Batch memory batch = BLS12381.batchOf(tokens.length);
        bytes memory template = Instruments.tokenTemplate(address(channels), epoch, relay);
        for (uint256 j = 0; j < tokens.length; ++j) {
            Token calldata shown = tokens[j];
            bytes32 id = Instruments.tokenId(shown.top, shown.refund);
            if (bytes16(id) <= lastT) revert NotAscending(lastT, bytes16(id));
            lastT = bytes16(id);
            Instruments.checkPreimage(shown.top, shown.preimage, shown.units);
            units += shown.units;
            BLS12381.putMessage(batch, j, Instruments.withToken(template, id), shown.signature);
        }
        BLS12381.checkBatch(batch, key);
        return (units, lastT);
    }

    function _checkOwner(uint32 epoch, uint32 relay, Token[] calldata tokens, bytes calldata ownerSignature)
        private
        view
    {
        (address relayOwner,) = registry.ownerAndRoleOf(relay);
        if (msg.sender == relayOwner) return;
        if (ownerSignature.length == 0) revert NotRelayOwner(relay, msg.sender);
        _checkSigner(redeemDigest(epoch, relay, tokens), ownerSignature, relayOwner);
    }
}
