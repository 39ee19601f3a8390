// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {IVotes} from "@openzeppelin/contracts/governance/utils/IVotes.sol";
import {Parameters} from "../../../contracts/governance/Parameters.sol";
import {QNetGovernor} from "../../../contracts/governance/QNetGovernor.sol";
import {QNetTimelock} from "../../../contracts/governance/QNetTimelock.sol";
import {VersionRegistry} from "../../../contracts/governance/VersionRegistry.sol";
import {Committee} from "../../../contracts/reporting/Committee.sol";
import {DisputeCourt} from "../../../contracts/reporting/DisputeCourt.sol";
import {Epochs} from "../../../contracts/reporting/Epochs.sol";
import {ReportOracle} from "../../../contracts/reporting/ReportOracle.sol";
import {RewardVault} from "../../../contracts/reporting/RewardVault.sol";
import {Slasher} from "../../../contracts/reporting/Slasher.sol";
import {PremiumChannels} from "../../../contracts/payments/PremiumChannels.sol";
import {NodeRegistry} from "../../../contracts/staking/NodeRegistry.sol";
import {StakeHub} from "../../../contracts/staking/StakeHub.sol";
import {QNetToken} from "../../../contracts/token/QNetToken.sol";
import {ICommittee} from "../../../interfaces/ICommittee.sol";
import {MainParameters} from "./MainParameters.sol";
import {MainTerms} from "./MainTerms.sol";
import {Vm} from "./Vm.sol";

/// @title All contracts, deployed in the order of docs/reference/contracts.md
/// @dev A contract of its own, so that no test has to compile it into itself.
contract Deployment {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    QNetToken public token;
    Parameters public parameters;
    QNetTimelock public timelock;
    Epochs public epochs;
    Committee public committee;
    NodeRegistry public registry;
    StakeHub public hub;
    ReportOracle public oracle;
    RewardVault public vault;
    QNetGovernor public governor;
    VersionRegistry public versions;
    Slasher public slasher;
    DisputeCourt public court;
    PremiumChannels public channels;

    /// @dev Deploy with the values of the main network and some founding members of the committee.
    function run(
        address holder,
        uint256 supply,
        uint256 genesis,
        bytes32 anchor,
        ICommittee.Member[] memory founding
    ) external {
        address[18] memory at;
        uint256 nonce = vm.getNonce(address(this));
        for (uint256 i = 0; i < at.length; ++i) {
            at[i] = vm.computeCreateAddress(address(this), nonce + i);
        }
        address owner = at[2];
        (bytes32[] memory keys, uint256[] memory values, uint256[] memory mins, uint256[] memory maxs) =
            MainParameters.all();

        token = new QNetToken(holder, supply);
        parameters = new Parameters(owner, keys, values, mins, maxs);
        timelock = new QNetTimelock(parameters, at[12]);
        epochs = new Epochs(
            owner,
            parameters,
            NodeRegistry(at[6]),
            ReportOracle(at[10]),
            RewardVault(at[11]),
            uint64(genesis),
            anchor
        );
        committee = new Committee(owner, token, parameters, epochs, at[14], founding);
        new NodeRegistry(owner, parameters, epochs, StakeHub(at[8]));
        registry = NodeRegistry(address(new ERC1967Proxy(at[5], abi.encodeCall(NodeRegistry.initialize, (at[14])))));
        new StakeHub(
            owner,
            token,
            parameters,
            epochs,
            registry,
            ReportOracle(at[10]),
            RewardVault(at[11]),
            at[14],
            DisputeCourt(at[16])
        );
        hub = StakeHub(address(new ERC1967Proxy(at[7], abi.encodeCall(StakeHub.initialize, ()))));
        new ReportOracle(owner, parameters, epochs, committee, token, DisputeCourt(at[16]));
        oracle = ReportOracle(address(new ERC1967Proxy(at[9], abi.encodeCall(ReportOracle.initialize, ()))));
        vault = new RewardVault(token, address(epochs), address(hub));
        governor = new QNetGovernor(IVotes(address(token)), hub, vault, timelock, parameters);
        versions = new VersionRegistry(owner, epochs);
        slasher = new Slasher(owner, token, parameters, registry, hub, committee, at[16], address(vault), PremiumChannels(at[17]));
        new DisputeCourt(owner, token, parameters, epochs, registry, hub, oracle, committee, slasher);
        court = DisputeCourt(address(new ERC1967Proxy(at[15], abi.encodeCall(DisputeCourt.initialize, ()))));
        vm.assertEq(address(court), at[16]);
        channels = new PremiumChannels(
            owner,
            token,
            epochs,
            committee,
            registry,
            MainTerms.clock(),
            MainTerms.ISSUANCE_EPOCHS,
            MainTerms.UNIT,
            MainTerms.BOND
        );
    }
}
