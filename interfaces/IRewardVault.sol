// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title The pool rewards are paid from
/// @notice Holds tokens sent to it; promises an amount to each epoch, keeps of it what the final report earned,
/// and pays no more than that. No owner, no other way out.
/// @dev Its tokens vote nowhere; the governor leaves those nobody has earned out of quorums by `reserveAt`. Paying
/// does not change this reserve, so settlements record nothing.
interface IRewardVault {
    /// @notice An epoch was promised an amount.
    event EpochFunded(uint32 indexed epoch, uint256 amount, uint256 totalFunded);
    /// @notice An epoch earned an amount; the rest of its promise returned to the pool.
    event EpochReleased(uint32 indexed epoch, uint256 earned, uint256 returned);
    /// @notice Earned rewards left for the stake hub.
    event RewardPulled(address indexed to, uint256 amount, uint256 totalPaid);

    /// @notice Someone else than the contract named called.
    error NotAllowed(address caller, address expected);
    /// @notice The epoch was promised an amount before.
    error AlreadyFunded(uint32 epoch);
    /// @notice The epoch was never promised an amount, or was released before.
    error NotOpen(uint32 epoch);
    /// @notice More was asked for than the epoch was promised.
    error ExceedsFunded(uint32 epoch, uint256 earned, uint256 funded);
    /// @notice More was asked for than is earned and unpaid.
    error Overdraw(uint256 requested, uint256 available);
    /// @notice The moment asked for is not over yet.
    error FutureLookup(uint256 timepoint, uint48 clock);
    /// @notice A link to another contract was left empty at construction.
    error EmptyLink();

    function token() external view returns (IERC20);
    function epochs() external view returns (address);
    function hub() external view returns (address);

    /// @notice Amount promised to an epoch and, after its release, what it earned.
    function fundedOf(uint32 epoch) external view returns (uint256);
    /// @notice Promised to open epochs plus earned by released ones, ever.
    function totalFunded() external view returns (uint256);
    /// @notice Earned by released epochs, ever.
    function totalEarned() external view returns (uint256);
    /// @notice Paid, ever.
    function totalPaid() external view returns (uint256);
    /// @notice Balance that is neither promised nor earned.
    function unpromised() external view returns (uint256);

    /// @notice Balance that nobody has earned, in wei: promised to open epochs or to none.
    function reserve() external view returns (uint256);
    /// @notice Reserve as last recorded up to a past moment, in wei; 0 before the first record.
    function reserveAt(uint256 timepoint) external view returns (uint256);

    /// @notice Record the reserve now. Anyone; to be called after tokens were sent here, else the next start of an
    /// epoch or the next release records them.
    function recordReserve() external;

    /// @notice Promise an amount to an epoch, cut down to what is unpromised. Only Epochs.
    /// @return granted The amount promised.
    function fund(uint32 epoch, uint256 amount) external returns (uint256 granted);

    /// @notice End an epoch's promise: keep what it earned, return the rest to the pool. Only Epochs.
    function release(uint32 epoch, uint256 earned) external;

    /// @notice Pay earned rewards. Only the stake hub.
    function pull(address to, uint256 amount) external;
}
