// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Epochs} from "../../../contracts/reporting/Epochs.sol";
import {ReportOracle} from "../../../contracts/reporting/ReportOracle.sol";
import {RewardVault} from "../../../contracts/reporting/RewardVault.sol";
import {StakeHub} from "../../../contracts/staking/StakeHub.sol";
import {QNetToken} from "../../../contracts/token/QNetToken.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {Test} from "../../forge/support/Test.sol";
import {ReportingHandler} from "./ReportingHandler.sol";

/// @title What holds for reports and for the money they pay out
contract ReportingInvariants is Test {
    ReportingHandler private handler;
    QNetToken private token;
    RewardVault private vault;
    ReportOracle private oracle;
    Epochs private epochs;
    StakeHub private hub;

    function setUp() external {
        handler = new ReportingHandler();
        (address t, address v, address o, address e, address h) = handler.world();
        (token, vault, oracle) = (QNetToken(t), RewardVault(v), ReportOracle(o));
        (epochs, hub) = (Epochs(e), StakeHub(h));
        bytes4[] memory actions = new bytes4[](14);
        actions[0] = handler.passTime.selector;
        actions[1] = handler.startEpoch.selector;
        actions[2] = handler.setEmission.selector;
        actions[3] = handler.donate.selector;
        actions[4] = handler.submit.selector;
        actions[5] = handler.finalize.selector;
        actions[6] = handler.waitForWindow.selector;
        actions[7] = handler.disable.selector;
        actions[8] = handler.skip.selector;
        actions[9] = handler.settle.selector;
        actions[10] = handler.settleDisabled.selector;
        actions[11] = handler.claim.selector;
        actions[12] = handler.pauseCourt.selector;
        actions[13] = handler.pauseOracle.selector;
        _target(address(handler), actions);
    }

    function invariant_VaultSolvent() external view {
        uint256 balance = token.balanceOf(address(vault));
        vm.assertGe(balance, vault.totalFunded() - vault.totalPaid());
        vm.assertGe(vault.totalFunded(), vault.totalEarned());
        vm.assertGe(vault.totalEarned(), vault.totalPaid());
    }

    function invariant_EpochPaidLeFunded() external view {
        uint256 sum;
        for (uint32 epoch = 0; epoch < epochs.nextEpoch(); ++epoch) {
            vm.assertLe(vault.fundedOf(epoch), handler.promised(epoch));
            if (oracle.isFinal(epoch)) sum += vault.fundedOf(epoch);
        }
        vm.assertEq(vault.totalEarned(), sum);
        vm.assertLe(vault.totalPaid(), sum);
    }

    function invariant_TotalPaidLeSchedule() external view {
        vm.assertLe(vault.totalPaid(), handler.scheduled());
        vm.assertLe(vault.totalFunded(), handler.scheduled());
    }

    function invariant_CumulativeMonotone() external view {
        uint256 sum;
        for (uint32 node = 1; node <= handler.NODES(); ++node) {
            (uint256 forOperator, uint256 forPool) = hub.settledCum(node);
            vm.assertEq(forOperator, handler.settledOperator(node));
            vm.assertEq(forPool, handler.settledPool(node));
            sum += forOperator + forPool;
        }
        vm.assertEq(vault.totalPaid(), sum);
    }

    /// @dev The handler finalizes whenever it can, and holds every success against its own clock.
    function invariant_NoFinalizeInWindow() external view {
        for (uint32 epoch = 0; epoch < epochs.nextEpoch(); ++epoch) {
            (, bytes32 hash, uint64 at, IReportOracle.Status status) = oracle.report(epoch);
            if (status != IReportOracle.Status.Final) continue;
            vm.assertEq(handler.finalHash(epoch), hash);
            vm.assertLt(at, block.timestamp);
        }
    }

    /// @dev The handler settles from every report there was, and checks that what works is final.
    function invariant_DisabledNeverSettles() external view {
        for (uint32 node = 1; node <= handler.NODES(); ++node) {
            vm.assertLe(hub.settledThrough(node), oracle.finalThrough());
        }
    }

    function invariant_OneLiveReport() external view {
        uint32 waiting;
        bytes32 last;
        bool sawSubmitted;
        for (uint32 epoch = 0; epoch < epochs.nextEpoch(); ++epoch) {
            (IReportOracle.EpochReport memory r, bytes32 hash,, IReportOracle.Status status) = oracle.report(epoch);
            bool live = status == IReportOracle.Status.Submitted || status == IReportOracle.Status.Final;
            if (!live) continue;
            (,,,, bool skipped) = epochs.epochInfo(epoch);
            vm.assertFalse(skipped);
            vm.assertEq(r.prevReportHash, last);
            last = hash;
            if (status == IReportOracle.Status.Submitted) {
                ++waiting;
                sawSubmitted = true;
            } else {
                vm.assertFalse(sawSubmitted, "final after one that is not");
                vm.assertLe(epoch + 1, oracle.finalThrough());
            }
        }
        vm.assertEq(oracle.unfinished(), waiting);
        vm.assertLe(waiting, 8);
        vm.assertEq(oracle.lastReportHash(), last);
    }
}
