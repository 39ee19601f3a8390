// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IRedeemer} from "../../interfaces/IRedeemer.sol";
import {BLS12381} from "../libraries/BLS12381.sol";
import {ExactTransfers} from "../libraries/ExactTransfers.sol";
import {Instruments} from "../libraries/Instruments.sol";
import {RedeemerStore} from "./RedeemerStore.sol";

/// @title Exits of credits and tokens, and what refutes them
/// @dev Documented in IRedeemer.
abstract contract Exits is RedeemerStore {
    using ExactTransfers for IERC20;

    uint256 private constant SWAP_OUTPUTS_MAX = 8;
    uint8 private constant CREDIT = 0;
    uint8 private constant TOKEN = 1;
    uint256 private constant CREDIT_BYTES = 26;
    uint256 private constant TOKEN_BYTES = 61;
    bytes32 private constant EXIT_TYPEHASH = keccak256("Exit(bytes32 message,uint8 spent,address to)");
    bytes32 private constant SWAP_TYPEHASH = keccak256("Swap(uint32 epoch,bytes32 inputsHash,bytes32 outputsHash)");

    mapping(bytes32 id => Exit) private _exits;

    /// @inheritdoc IRedeemer
    function startCreditExit(
        uint32 epoch,
        uint8 class,
        address key,
        bytes32[4] calldata signature,
        address to,
        bytes calldata keySignature,
        bytes calldata issuanceKey
    ) external override nonReentrant whenNotPaused {
        if (class >= Instruments.CLASSES) revert UnknownClass(class);
        bytes32 id = creditMessage(epoch, class, key);
        _checkTime(epoch, 0, EXIT_S);
        _checkSigner(exitDigest(id, 0, to), keySignature, key);
        _checkKey(epoch, class, issuanceKey);
        BLS12381.checkSignature(signature, id, issuanceKey);
        uint8 units = uint8(1 << class);
        uint40 startedAt = uint40(block.timestamp);
        _start(id, Exit(Status.Open, epoch, startedAt, 0, units, to, msg.sender, key, bytes32(uint256(class))));
    }

    /// @inheritdoc IRedeemer
    function startTokenExit(
        uint32 epoch,
        uint32 relay,
        Token calldata instrument,
        address to,
        bytes calldata keySignature,
        bytes calldata issuanceKey
    ) external override nonReentrant whenNotPaused {
        uint8 spent = instrument.units;
        bytes32 id = tokenMessage(epoch, relay, instrument.top, instrument.refund);
        if (relay == 0) revert NotAToken(id);
        _checkTime(epoch, TOKEN_S, EXIT_S);
        if (spent >= Instruments.TOKEN_UNITS) revert Instruments.UnitsOutOfRange(spent);
        if (spent != 0) Instruments.checkPreimage(instrument.top, instrument.preimage, spent);
        _checkSigner(exitDigest(id, spent, to), keySignature, instrument.refund);
        _checkKey(epoch, Instruments.TOKEN_CLASS, issuanceKey);
        BLS12381.checkSignature(instrument.signature, id, issuanceKey);
        uint8 units = uint8(Instruments.TOKEN_UNITS) - spent;
        uint40 startedAt = uint40(block.timestamp);
        _start(
            id, Exit(Status.Open, epoch, startedAt, relay, units, to, msg.sender, instrument.refund, instrument.top)
        );
    }

    /// @inheritdoc IRedeemer
    function challengeBySwap(bytes32 id, Swap calldata swap, bytes calldata signatures, bytes calldata keys)
        external
        override
        nonReentrant
        whenNotPaused
    {
        Exit storage exit = _contestable(id);
        if (!_isInput(swap.inputs, exit)) revert NotAnInput(id);
        uint256 count = swap.classes.length;
        if (count == 0 || count > SWAP_OUTPUTS_MAX) revert TooMany(SWAP_OUTPUTS_MAX, count);
        bytes32 outputsHash = Instruments.pointsHash(swap.outputs, swap.classes);
        bytes32 digest = swapDigest(swap.epoch, keccak256(swap.inputs), outputsHash);
        _checkSigner(digest, swap.signature, exit.key);
        _checkKeys(swap.epoch, keys);
        BLS12381.Batch memory batch = BLS12381.batchOf(count);
        uint8[] memory classes = new uint8[](count);
        for (uint256 j = 0; j < count; ++j) {
            BLS12381.putPoint(batch, j, swap.outputs, signatures);
            classes[j] = uint8(swap.classes[j]);
        }
        BLS12381.checkEach(batch, keys, classes);
        _refute(id, exit);
    }

    /// @inheritdoc IRedeemer
    function challengeByPreimage(bytes32 id, uint8 units, bytes32 preimage)
        external
        override
        nonReentrant
        whenNotPaused
    {
        Exit storage exit = _contestable(id);
        if (exit.relay == 0) revert NotAToken(id);
        uint256 admitted = Instruments.TOKEN_UNITS - exit.units;
        if (units <= admitted) revert NotDeeper(admitted, units);
        Instruments.checkPreimage(exit.top, preimage, units);
        _refute(id, exit);
    }

    /// @inheritdoc IRedeemer
    function finalizeExit(bytes32 id) external override nonReentrant {
        Exit storage exit = _exits[id];
        _checkOpen(id, exit.status);
        uint256 until = _endOf(exit.startedAt, CHALLENGE_S);
        if (block.timestamp < until) revert TooEarly(until);
        _checkFrom(exit.epoch, REDEEM_S);
        exit.status = Status.Done;
        emit ExitFinalized(id);
        channels.payExit(exit.epoch, exit.to, exit.units);
        token.pay(exit.exiter, BOND_WEI);
    }

    /// @inheritdoc IRedeemer
    function exitOf(bytes32 id) external view override returns (Exit memory) {
        return _exits[id];
    }

    /// @inheritdoc IRedeemer
    function creditMessage(uint32 epoch, uint8 class, address key) public view override returns (bytes32) {
        return Instruments.creditMessage(address(channels), epoch, class, key);
    }

    /// @inheritdoc IRedeemer
    function tokenMessage(uint32 epoch, uint32 relay, bytes32 top, address refundTo)
        public
        view
        override
        returns (bytes32)
    {
        return Instruments.tokenMessage(address(channels), epoch, relay, Instruments.tokenId(top, refundTo));
    }

    /// @inheritdoc IRedeemer
    function exitDigest(bytes32 id, uint8 spent, address to) public view override returns (bytes32) {
        return _digest(keccak256(abi.encode(EXIT_TYPEHASH, id, spent, to)));
    }

    /// @inheritdoc IRedeemer
    function swapDigest(uint32 epoch, bytes32 inputsHash, bytes32 outputsHash) public view override returns (bytes32) {
        return _digest(keccak256(abi.encode(SWAP_TYPEHASH, epoch, inputsHash, outputsHash)));
    }

    function _start(bytes32 id, Exit memory exit) private {
        if (_exits[id].status != Status.None) revert WrongStatus(id, _exits[id].status);
        if (exit.to == address(0)) revert WrongSigner(exit.to, exit.to);
        _exits[id] = exit;
        emit ExitStarted(id, exit.epoch, exit.to, exit.units, block.timestamp + CHALLENGE_S);
        token.take(msg.sender, BOND_WEI);
    }

    function _refute(bytes32 id, Exit storage exit) private {
        exit.status = Status.Refuted;
        emit ExitRefuted(id, msg.sender);
        token.pay(msg.sender, BOND_WEI);
    }

    function _contestable(bytes32 id) private view returns (Exit storage exit) {
        exit = _exits[id];
        _checkOpen(id, exit.status);
        uint256 until = _endOf(exit.startedAt, CHALLENGE_S);
        if (block.timestamp >= until) revert TooLate(until);
    }

    /// @dev Whether what is exited stands among the packed inputs of a swap.
    function _isInput(bytes calldata inputs, Exit storage exit) private view returns (bool found) {
        bytes memory own = exit.relay == 0
            ? abi.encodePacked(CREDIT, exit.epoch, uint8(uint256(exit.top)), exit.key)
            : abi.encodePacked(TOKEN, exit.epoch, exit.relay, exit.top, exit.key);
        bytes32 wanted = keccak256(own);
        uint256 offset;
        while (offset < inputs.length) {
            uint8 kind = uint8(inputs[offset]);
            if (kind > TOKEN) revert BadInputs();
            uint256 end = offset + (kind == CREDIT ? CREDIT_BYTES : TOKEN_BYTES);
            if (end > inputs.length) revert BadInputs();
            if (keccak256(inputs[offset:end]) == wanted) found = true;
            offset = end;
        }
    }
}
