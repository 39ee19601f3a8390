// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {INodeRegistry} from "./INodeRegistry.sol";
import {IPremiumChannels} from "./IPremiumChannels.sol";

/// @title Settling premium payments without the committee
/// @notice Relays redeem the tokens they were paid with; users exit credits and tokens, and get back what they paid for
/// and were not given.
/// @dev Everything is decided by signatures of the issuance keys and by hash chains. Points are in the form of EIP-2537.
/// A `key` is the one of its class, 256 bytes, followed by the hashes of all eight, 32 bytes each; `keys` are all eight.
/// Their hash was registered. While IPremiumChannels is
/// paused, what begins something or contests it is refused and all its deadlines stand still; what ends it is not.
/// Source: docs/spec/payments.md.
interface IRedeemer {
    /// @notice A token as a relay holds it.
    /// @param units k, 1 to 64: hashing the preimage as many times gives `top`.
    /// @param signature Of the epoch's token key.
    struct Token {
        bytes32 top;
        address refund;
        uint8 units;
        bytes32 preimage;
        bytes32[4] signature;
    }

    /// @notice What a relay has shown for an epoch.
    /// @param proven Units of all tokens it showed.
    /// @param credited Units it was paid for them.
    /// @param lastT First 16 bytes of the greatest T shown; those of the next must exceed them.
    struct Redemption {
        uint64 proven;
        uint64 credited;
        bytes16 lastT;
    }

    enum Status {
        None,
        Open,
        Refuted,
        Done
    }

    /// @notice An exit, known by the message its instrument was signed for.
    /// @param key Of a credit, or refund address of a token: signs swaps.
    /// @param relay Of a token; 0 for a credit.
    /// @param units Worth if it is not refuted.
    /// @param top Of a token; the class of a credit.
    struct Exit {
        Status status;
        uint32 epoch;
        uint40 startedAt;
        uint32 relay;
        uint8 units;
        address to;
        address exiter;
        address key;
        bytes32 top;
    }

    /// @notice A dispute, known by the digest of its voucher.
    /// @param units Paid for.
    /// @param low Sum of the channel before the voucher, in wei.
    /// @param high Sum with it.
    struct Dispute {
        Status status;
        uint32 epoch;
        uint40 startedAt;
        uint64 units;
        address channel;
        uint128 low;
        uint128 high;
    }

    /// @notice A swap as its owner signed it.
    /// @param inputs Packed, as in QN-PAY-030.
    /// @param classes One byte each.
    /// @param outputs Blinded points, 128 bytes each.
    /// @param signature Of the key of the input it is held against.
    struct Swap {
        uint32 epoch;
        bytes inputs;
        bytes classes;
        bytes outputs;
        bytes signature;
    }

    /// @notice A relay showed tokens.
    event Redeemed(uint32 indexed relay, uint32 indexed epoch, uint256 oldProven, uint256 proven, uint256 paidUnits);
    /// @notice Somebody wants to be paid the value of an instrument; it can be refuted before `until`.
    event ExitStarted(bytes32 indexed id, uint32 indexed epoch, address indexed to, uint256 units, uint256 until);
    /// @notice The exit was refuted: the instrument was spent. The bond went to who refuted it.
    event ExitRefuted(bytes32 indexed id, address indexed challenger);
    /// @notice The exit was paid, and the bond returned.
    event ExitFinalized(bytes32 indexed id);
    /// @notice An account says it was not given what it paid for; to be delivered before `until`.
    event IssuanceDisputed(bytes32 indexed id, address indexed channel, uint32 indexed epoch, uint256 units, uint256 until);
    /// @notice What was disputed was delivered, or something else for the same money. The bond went to who did.
    event IssuanceDelivered(bytes32 indexed id, bytes32 delivered, address indexed deliverer);
    /// @notice What was disputed was not delivered; the money and the bond went back.
    event IssuanceRefunded(bytes32 indexed id, uint256 units);

    /// @notice Premium payments are paused.
    error ChannelsPaused();
    /// @notice It can be done from `from` on, in seconds after the epoch or in Unix seconds.
    error TooEarly(uint256 from);
    /// @notice It could be done before `until`, in seconds after the epoch or in Unix seconds.
    error TooLate(uint256 until);
    /// @notice The keys are not those registered for the epoch.
    error WrongKeys(uint32 epoch);
    /// @notice Neither the relay's owner nor signed by it.
    error NotRelayOwner(uint32 relay, address caller);
    /// @notice Too many tokens or points at once.
    error TooMany(uint256 max, uint256 got);
    /// @notice Tokens come in ascending order of the first 16 bytes of T, each but once.
    error NotAscending(bytes16 last, bytes16 next);
    /// @notice The leaf is of another relay.
    error WrongRelay(uint32 expected, uint32 got);
    /// @notice There is nothing to be paid.
    error NothingOwed();
    /// @notice There is no such class of credits.
    error UnknownClass(uint8 class);
    /// @notice Not signed by whom it had to be.
    error WrongSigner(address expected, address got);
    /// @notice The exit or dispute is not in the state the call needs.
    error WrongStatus(bytes32 id, Status status);
    /// @notice The swap does not spend what is exited.
    error NotAnInput(bytes32 id);
    /// @notice The inputs are not packed as they should be.
    error BadInputs();
    /// @notice The preimage is no deeper than what the exit admits.
    error NotDeeper(uint256 admitted, uint256 shown);
    /// @notice The exit is not one of a token; no relay has the number 0.
    error NotAToken(bytes32 id);
    /// @notice Only the account of the channel disputes.
    error NotChannel(address channel, address caller);
    /// @notice The voucher was not collected.
    error NotCollected(uint256 cumulative, uint256 collected);
    /// @notice The points are not those of the voucher.
    error WrongBatch(bytes32 expected, bytes32 got);
    /// @notice The money of the voucher was disputed before: a channel disputes in ascending order.
    error AlreadyDisputed(uint256 low, uint256 disputedThrough);
    /// @notice The other voucher is not about the same money.
    error NoConflict();
    /// @notice The token moved another amount than it was told to.
    error WrongTransfer(uint256 expected, uint256 got);

    function token() external view returns (IERC20);
    function channels() external view returns (IPremiumChannels);
    function registry() external view returns (INodeRegistry);

    /// @notice What a relay has shown for an epoch.
    function redemptionOf(uint32 epoch, uint32 relay) external view returns (Redemption memory);
    /// @notice An exit.
    function exitOf(bytes32 id) external view returns (Exit memory);
    /// @notice A dispute.
    function disputeOf(bytes32 id) external view returns (Dispute memory);
    /// @notice Sum up to which a channel has disputed, in wei.
    function disputedThrough(address channel) external view returns (uint256);

    /// @notice Message a credit is signed for, and number of its exit.
    function creditMessage(uint32 epoch, uint8 class, address key) external view returns (bytes32);
    /// @notice Message a token is signed for, and number of its exit.
    function tokenMessage(uint32 epoch, uint32 relay, bytes32 top, address refund) external view returns (bytes32);
    /// @notice Digest by which a relay's owner lets somebody else redeem: EIP-712 Redeem(uint32 epoch,uint32 relay,
    /// bytes32 tokensHash), domain of IPremiumChannels, tokensHash = keccak256(abi.encode(tokens)).
    function redeemDigest(uint32 epoch, uint32 relay, Token[] calldata tokens) external view returns (bytes32);
    /// @notice Digest the key of an instrument signs to exit: EIP-712 Exit(bytes32 message,uint8 spent,address to).
    function exitDigest(bytes32 id, uint8 spent, address to) external view returns (bytes32);
    /// @notice Digest of a swap: EIP-712 Swap(uint32 epoch,bytes32 inputsHash,bytes32 outputsHash).
    function swapDigest(uint32 epoch, bytes32 inputsHash, bytes32 outputsHash) external view returns (bytes32);

    /// @notice Show tokens and be paid what they prove beyond what was attested. By the relay's owner, or with its
    /// signature. From attestS, before redeemS. Without tokens it pays what a disabled root leaves owed.
    /// @param leaf The relay's leaf, if the epoch has a root; else ignored.
    /// @param ownerSignature Empty if the owner calls.
    function redeem(
        uint32 epoch,
        uint32 relay,
        Token[] calldata tokens,
        IPremiumChannels.Claim calldata leaf,
        bytes calldata key,
        bytes calldata ownerSignature
    ) external;

    /// @notice Begin to exit a credit, with a bond. Before exitS.
    /// @param signature Of the epoch's key of the class.
    /// @param keySignature Of the credit's key, over the exit.
    /// @param issuanceKey Of its class.
    function startCreditExit(
        uint32 epoch,
        uint8 class,
        address key,
        bytes32[4] calldata signature,
        address to,
        bytes calldata keySignature,
        bytes calldata issuanceKey
    ) external;

    /// @notice Begin to exit what is left of a token, with a bond. From tokenS, before exitS.
    /// @param instrument The token; `units` is the highest k its owner knows to be spent, 0 if none, and needs no preimage.
    /// @param keySignature Of the refund key, over the exit.
    /// @param issuanceKey Of tokens.
    function startTokenExit(
        uint32 epoch,
        uint32 relay,
        Token calldata instrument,
        address to,
        bytes calldata keySignature,
        bytes calldata issuanceKey
    ) external;

    /// @notice Refute an exit by a swap of the same instrument, delivering its outputs; the bond goes to the caller.
    /// @param signatures Of the outputs' points, 128 bytes each, in their order.
    /// @param keys Of the swap's epoch.
    function challengeBySwap(bytes32 id, Swap calldata swap, bytes calldata signatures, bytes calldata keys) external;

    /// @notice Refute the exit of a token by a preimage deeper than it admits; the bond goes to the caller.
    function challengeByPreimage(bytes32 id, uint8 units, bytes32 preimage) external;

    /// @notice Pay an exit that was not refuted, and return its bond. Anyone, challengeS after it began and not before
    /// redeemS: relays come first. Never paused.
    function finalizeExit(bytes32 id) external;

    /// @notice Say that a collected voucher was not served, with a bond. Only the channel's account; before exitS. A
    /// channel disputes its vouchers in ascending order.
    /// @param points The blinded points of the voucher.
    function disputeIssuance(IPremiumChannels.Voucher calldata voucher, bytes calldata points) external;

    /// @notice Deliver what is disputed, or what another voucher of the channel bought for some of the same money; the
    /// bond goes to the caller.
    /// @param voucher The disputed one, or the other.
    /// @param signature Of the channel over the other; ignored for the disputed one.
    /// @param signatures Of the points, 128 bytes each, in their order.
    function deliver(
        bytes32 id,
        IPremiumChannels.Voucher calldata voucher,
        bytes calldata signature,
        bytes calldata points,
        bytes calldata signatures,
        bytes calldata key
    ) external;

    /// @notice Give back what was paid and not delivered, and the bond. Anyone, deliverS after the dispute and not before
    /// redeemS: relays come first. Never paused.
    function refundIssuance(bytes32 id) external;
}
