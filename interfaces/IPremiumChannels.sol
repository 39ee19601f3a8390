// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ICommittee} from "./ICommittee.sol";
import {IEpochs} from "./IEpochs.sol";
import {INodeRegistry} from "./INodeRegistry.sol";
import {IPausing} from "./IPausing.sol";

/// @title Deposits of premium users, what was sold for them, and what relays are paid
/// @notice Holds all money of premium payments. What is paid out for an issuance epoch never exceeds what was issued in
/// it, nor its cap, whatever the committee signs.
/// @dev Trust: a quorum of the committee states keys, issue and claims; each relay and user can do without it through the
/// redeemer. "Before X" ends with second X after the epoch, "from X" begins with it; while this contract is paused these
/// clocks stand still. Source: docs/spec/payments.md.
interface IPremiumChannels is IPausing {
    /// @notice Deadlines, fixed for ever: seconds after the end of an issuance epoch, but for the last three.
    /// @param finishS Members complete accepted requests.
    /// @param closeS `closeEpoch` comes before.
    /// @param spendS Relays take tokens before.
    /// @param claimS Relays hand in claims before.
    /// @param attestS `attest` comes before; `redeem` from then on.
    /// @param redeemS `redeem` comes before.
    /// @param tokenS Tokens become inputs of swaps, and can be exited, from then on.
    /// @param exitS Exits and disputes begin before.
    /// @param keepS Members keep every answer; the epoch is over.
    /// @param challengeS For so long an exit can be refuted.
    /// @param closingS Time between `startClose` and `finalizeClose`.
    /// @param deliverS Time to answer a demand or a dispute.
    struct Clock {
        uint32 finishS;
        uint32 closeS;
        uint32 spendS;
        uint32 claimS;
        uint32 attestS;
        uint32 redeemS;
        uint32 tokenS;
        uint32 exitS;
        uint32 keepS;
        uint32 challengeS;
        uint32 closingS;
        uint32 deliverS;
    }

    /// @notice Channel of an account. Sums outlive its closing, so old vouchers stay worth nothing.
    /// @param deposit All that was ever deposited and not paid back, in wei.
    /// @param collected Highest sum collected, in wei.
    /// @param closingSince When `startClose` was called, in Unix seconds; 0 while it is not closing.
    /// @param isOpen Whether it is open or closing.
    struct Channel {
        uint96 deposit;
        uint96 collected;
        uint40 closingSince;
        bool isOpen;
    }

    /// @notice What a channel's account signs for a batch of blinded points.
    /// @param cumulative All its vouchers up to this one come to, in wei.
    struct Voucher {
        address channel;
        uint128 cumulative;
        uint64 nonce;
        uint32 epoch;
        bytes32 batchHash;
    }

    /// @notice What the committee states at the end of an issuance epoch.
    /// @param issuedUnits Bought in it and rolled into it from earlier ones.
    /// @param logRoot Root over all points signed in it.
    struct Closing {
        uint32 epoch;
        uint128 issuedUnits;
        bytes32 logRoot;
    }

    /// @notice What the committee states about the claims of relays.
    /// @param root Root of the tree of leaves, depth 16.
    /// @param units All claimed in the epoch.
    /// @param tokens Claimed tokens.
    struct Attestation {
        uint32 epoch;
        bytes32 root;
        uint128 units;
        uint64 tokens;
        bytes32 logRoot;
    }

    /// @notice The leaf of a relay in an attested tree, with its path.
    /// @param relay Number of the node, and position of the leaf.
    /// @param epochUnits Claimed in the epoch.
    /// @param cumUnits Claimed in all attested epochs.
    /// @param tokens Claimed in the epoch.
    /// @param path Siblings, from the leaf up, 10 to 16; those missing at the top are empty trees.
    struct Claim {
        uint32 relay;
        uint64 epochUnits;
        uint128 cumUnits;
        uint32 tokens;
        bytes32[] path;
    }

    /// @notice What is known about an issuance epoch; attested, redeemed and exited units together stay below the lesser
    /// of `issued` and `cap`.
    /// @param end First second after it.
    /// @param isClosed Whether the committee stated what it issued.
    /// @param isAttested Whether a root was attested, though it may be disabled since.
    /// @param openDemands Demands that wait.
    /// @param tokens Attested tokens.
    /// @param cap Units it may cost at most.
    /// @param issued Units stated to be issued, or collected so far, and collected since.
    /// @param keysHash Hash of its eight keys.
    /// @param root Attested root; empty if there is none, or it was disabled.
    struct Issuance {
        uint32 epoch;
        uint40 end;
        bool isClosed;
        bool isAttested;
        uint16 openDemands;
        uint64 tokens;
        uint64 cap;
        uint64 issued;
        uint64 attested;
        uint64 redeemed;
        uint64 exited;
        bytes32 keysHash;
        bytes32 root;
        bytes32 logRoot;
    }

    /// @notice A channel was opened, or opened again.
    event ChannelOpened(address indexed channel, uint256 amount, uint256 deposit);
    /// @notice More was deposited.
    event ChannelToppedUp(address indexed channel, uint256 oldDeposit, uint256 deposit);
    /// @notice A voucher was collected.
    event VoucherCollected(
        address indexed channel,
        uint32 indexed epoch,
        uint64 nonce,
        uint256 oldCollected,
        uint256 collected,
        bytes32 batchHash
    );
    /// @notice A channel began to close; it can be finalized at `closesAt`.
    event CloseStarted(address indexed channel, uint256 closesAt);
    /// @notice A channel was closed and the rest paid back.
    event ChannelClosed(address indexed channel, uint256 amount);
    /// @notice What was paid and not served went back to the channel.
    event ChannelRefunded(address indexed channel, uint32 indexed epoch, uint256 units, uint256 oldDeposit, uint256 deposit);

    /// @notice The keys of an issuance epoch were registered, and its cap fixed.
    event KeysRegistered(uint32 indexed epoch, bytes32 keysHash, uint256 capUnits, uint256 bitmap);
    /// @notice The committee stated what it issued.
    event EpochClosed(uint32 indexed epoch, uint256 collectedUnits, uint256 issuedUnits, bytes32 logRoot, uint256 bitmap);
    /// @notice The committee attested the claims of relays.
    event ClaimsAttested(uint32 indexed epoch, bytes32 root, uint256 units, uint256 tokens, bytes32 logRoot, uint256 bitmap);
    /// @notice The root was disabled: relays redeem instead.
    event RootDisabled(uint32 indexed epoch, bytes32 root, uint256 units);
    /// @notice A relay was paid what was attested.
    event Claimed(
        uint32 indexed relay, uint32 indexed epoch, address payout, uint256 oldUnits, uint256 units, uint256 amount
    );
    /// @notice A relay was paid for tokens it showed itself.
    event RelayPaid(uint32 indexed relay, uint32 indexed epoch, address payout, uint256 units, uint256 amount);
    /// @notice The value of a credit, or of the rest of a token, was paid; `asked` units were due.
    event ExitPaid(uint32 indexed epoch, address indexed to, uint256 asked, uint256 units);
    /// @notice The pool got money that nothing was sold for.
    event PoolRefilled(address indexed from, uint256 amount);
    /// @notice Fees were burned.
    event BurnFlushed(uint256 amount);

    /// @notice Somebody wants to see a leaf; its answer is due at `deadline`.
    event LeafDemanded(uint32 indexed epoch, uint16 indexed position, address indexed demander, uint256 bond, uint256 deadline);
    /// @notice A leaf was shown; the bond went to who showed it.
    event LeafAnswered(uint32 indexed epoch, uint16 indexed position, address indexed answerer, Claim leaf);
    /// @notice A demand ended without an answer; the bond went back.
    event DemandReturned(uint32 indexed epoch, uint16 indexed position, address indexed demander, uint256 bond);
    /// @notice A member signed two statements about one epoch.
    event EquivocationProven(uint32 indexed epoch, uint256 indexed member, bytes32 first, bytes32 second);

    /// @notice A deadline is out of order, the value of a unit is below 2^32 wei, or there is no bond or no epoch.
    error InvalidTerms();
    /// @notice Nothing is no amount.
    error ZeroAmount();
    /// @notice The account has an open channel already.
    error ChannelIsOpen(address channel);
    /// @notice The account has no open channel.
    error ChannelNotOpen(address channel);
    /// @notice The channel is closing.
    error ChannelClosing(address channel);
    /// @notice The channel is not closing, or only since too short a time: it closes at `closesAt`.
    error NotClosable(uint256 closesAt);
    /// @notice Vouchers and signatures differ in number.
    error LengthMismatch(uint256 expected, uint256 got);
    /// @notice The voucher was not signed by its channel.
    error WrongSigner(address expected, address got);
    /// @notice The voucher exceeds the deposit.
    error DepositExceeded(uint256 cumulative, uint256 deposit);
    /// @notice Nothing is known of the epoch, or no longer.
    error UnknownIssuance(uint32 epoch);
    /// @notice It was done before.
    error AlreadyDone(uint32 epoch);
    /// @notice A hash or root is empty.
    error EmptyHash();
    /// @notice It can be done from `from` on, in Unix seconds.
    error TooEarly(uint256 from);
    /// @notice It could be done before `until`, in seconds after the epoch for all but keys.
    error TooLate(uint256 until);
    /// @notice The place of the epoch in the ring is taken by one that is not over.
    error RingFull(uint32 epoch);
    /// @notice The units exceed what was issued, or the cap, less what was paid.
    error BudgetExceeded(uint32 epoch, uint256 units, uint256 left);
    /// @notice The claims exceed all that was attested.
    error AttestedExceeded(uint256 units, uint256 left);
    /// @notice The pool holds less.
    error PoolExceeded(uint256 amount, uint256 pool);
    /// @notice Closing and attestation name different logs.
    error WrongLog(bytes32 expected, bytes32 got);
    /// @notice The leaf is not in the tree at its position.
    error InvalidProof(uint32 epoch, uint32 relay);
    /// @notice The leaf was demanded before.
    error AlreadyDemanded(uint32 epoch, uint16 position);
    /// @notice The leaf is not demanded.
    error NotDemanded(uint32 epoch, uint16 position);
    /// @notice The answer is due at `deadline`: earlier the demand cannot expire, later it cannot be answered.
    error DemandPending(uint256 deadline);
    /// @notice See DemandPending.
    error DemandOver(uint256 deadline);
    /// @notice Demands wait for their answers.
    error DemandsOpen(uint32 epoch, uint256 count);
    /// @notice Only the redeemer calls this.
    error NotRedeemer(address caller);
    /// @notice The statements are the same, or about different epochs.
    error NoEquivocation();
    /// @notice The token moved another amount than it was told to.
    error WrongTransfer(uint256 expected, uint256 got);

    function token() external view returns (IERC20);
    function epochs() external view returns (IEpochs);
    function committee() external view returns (ICommittee);
    function registry() external view returns (INodeRegistry);
    /// @notice The contract through which everything is settled without the committee; made by the constructor.
    function redeemer() external view returns (address);
    /// @notice Reward epochs in an issuance epoch.
    function issuanceEpochs() external view returns (uint256);
    /// @notice Value of a unit, in wei.
    function unitWei() external view returns (uint256);
    /// @notice Bond of a demand, an exit or a dispute, in wei.
    function bondWei() external view returns (uint256);
    /// @notice All deadlines.
    function clock() external view returns (Clock memory);
    /// @notice EIP-712 domain of everything signed for premium payments: QNet, version 1, this contract.
    function domainSeparator() external view returns (bytes32);

    /// @notice Channel of an account.
    function channelOf(address account) external view returns (Channel memory);
    /// @notice What is known about an issuance epoch of the last 16.
    function issuanceOf(uint32 epoch) external view returns (Issuance memory);
    /// @notice Seconds since the end of an issuance epoch, pauses left out; 0 before it, and more than any deadline once a
    /// later epoch took its place in the ring.
    function elapsedSince(uint32 epoch) external view returns (uint256);
    /// @notice Units that may still be paid for an epoch, even if a later one took its place in the ring.
    function leftOf(uint32 epoch) external view returns (uint256);
    /// @notice Units an epoch whose keys were registered now would be capped at.
    function capOf(uint32 epoch) external view returns (uint256);
    /// @notice Money that pays relays and exits, fees that wait to be burned, in wei, and attested units not claimed yet.
    function money() external view returns (uint256 pool, uint256 toBurn, uint256 unclaimed);
    /// @notice Units of attested claims a relay was paid.
    function paidUnitsOf(uint32 relay) external view returns (uint256);
    /// @notice A demand that waits: who pays and until when an answer is due; zero if there is none.
    function demandOf(uint32 epoch, uint16 position) external view returns (address demander, uint256 deadline);
    /// @notice Units attested for a relay in an epoch, as its leaf proves; 0 without a root.
    function attestedOf(uint32 epoch, Claim calldata leaf) external view returns (uint256 units);

    /// @notice Digest of a voucher: EIP-712 Voucher(address channel,uint128 cumulative,uint64 nonce,uint32 epoch,
    /// bytes32 batchHash).
    function voucherDigest(Voucher calldata voucher) external view returns (bytes32);
    /// @notice Digest of keys: EIP-712 IssuanceKeys(uint32 epoch,bytes32 keysHash).
    function keysDigest(uint32 epoch, bytes32 keysHash) external view returns (bytes32);
    /// @notice Digest of a closing: EIP-712 Closing(uint32 epoch,uint128 issuedUnits,bytes32 logRoot).
    function closingDigest(Closing calldata closing) external view returns (bytes32);
    /// @notice Digest of an attestation: EIP-712 Attestation(uint32 epoch,bytes32 root,uint128 units,uint64 tokens,
    /// bytes32 logRoot).
    function attestationDigest(Attestation calldata attestation) external view returns (bytes32);

    /// @notice Open a channel of the caller. A channel that was closed goes on where it stopped.
    function open(uint256 amount) external;
    /// @notice Open with a permit; one that somebody else handed in already is no obstacle.
    function openWithPermit(uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external;
    /// @notice Deposit more into the caller's channel.
    function topUp(uint256 amount) external;
    /// @notice Collect vouchers; those already collected are passed over. Anyone. Never paused.
    function collect(Voucher[] calldata vouchers, bytes[] calldata signatures) external;
    /// @notice Begin to close the caller's channel. Never paused.
    function startClose() external;
    /// @notice Pay what was not collected back to a closing channel, or what was refunded to a closed one. Anyone. Never
    /// paused.
    function finalizeClose(address account) external;

    /// @notice Register the keys of the next issuance epoch with the signatures of a quorum; fixes its cap.
    /// @param bitmap Bit i stands for member i of the committee.
    /// @param signatures 65 bytes r, s, v each, in the order of the members.
    function registerKeys(uint32 epoch, bytes32 keysHash, uint256 bitmap, bytes calldata signatures) external;
    /// @notice State what was issued in an epoch, with the signatures of a quorum. Before closeS.
    function closeEpoch(Closing calldata closing, uint256 bitmap, bytes calldata signatures) external;
    /// @notice Attest the claims of an epoch, with the signatures of a quorum. From closeS, before attestS.
    function attest(Attestation calldata attestation, uint256 bitmap, bytes calldata signatures) external;
    /// @notice Pay relays what was attested, once no leaf of the epoch can be demanded any more. Anyone; a leaf that pays
    /// nothing is passed over. Never paused.
    function claim(uint32 epoch, Claim[] calldata claims) external;
    /// @notice Burn the fees set aside. Anyone.
    function flushBurn() external;
    /// @notice Give to the pool, as the slasher does with what a member lost. Never paused.
    function refill(uint256 amount) external;

    /// @notice Demand to see a leaf of the attested tree, with a bond. Halfway between attestS and redeemS less deliverS at
    /// the latest.
    function demandLeaf(uint32 epoch, uint16 position) external;
    /// @notice Show a demanded leaf; the bond goes to the caller. Never paused.
    function answerLeaf(uint32 epoch, Claim calldata leaf) external;
    /// @notice Disable a root whose leaf was not shown in time; the bond goes back. Anyone. Never paused.
    function expireDemand(uint32 epoch, uint16 position) external;

    /// @notice Prove that a member signed two attestations of one epoch: its whole bond, of which the pool gets back what
    /// the greater of the two can have cost.
    function proveTwoAttestations(
        uint256 member,
        Attestation calldata first,
        bytes calldata firstSignature,
        Attestation calldata second,
        bytes calldata secondSignature
    ) external;
    /// @notice Prove that a member signed two closings of one epoch; as proveTwoAttestations.
    function proveTwoClosings(
        uint256 member,
        Closing calldata first,
        bytes calldata firstSignature,
        Closing calldata second,
        bytes calldata secondSignature
    ) external;

    /// @notice Pay a relay for tokens shown to the redeemer. Only the redeemer.
    function payRelay(uint32 epoch, uint32 relay, uint256 units) external;
    /// @notice Pay an exit, as far as the epoch has units left. Only the redeemer.
    function payExit(uint32 epoch, address to, uint256 units) external;
    /// @notice Give units back to a channel, as far as the epoch has any left. Only the redeemer.
    function refund(uint32 epoch, address account, uint256 units) external;
}
