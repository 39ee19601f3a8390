// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Keys of the network parameters that contracts read
/// @dev The ASCII field names of the network parameters, padded with zeros to 32 bytes.
library ParameterKeys {
    bytes32 internal constant SLOT_S = "slot_s";
    bytes32 internal constant SLOTS_PER_EPOCH = "slots_per_epoch";
    bytes32 internal constant REPORT_DEADLINE_S = "report_deadline_s";
    bytes32 internal constant CHALLENGE_WINDOW_S = "challenge_window_s";
    bytes32 internal constant UNBOND_S = "unbond_s";
    bytes32 internal constant EMISSION_WEI = "emission_wei";
    bytes32 internal constant SLOTS_ENTRY = "slots_entry";
    bytes32 internal constant SLOTS_RELAY = "slots_relay";
    bytes32 internal constant SLOTS_MIX = "slots_mix";
    bytes32 internal constant SLOTS_EXIT = "slots_exit";
    bytes32 internal constant MIN_BOND_WEI = "min_bond_wei";
    bytes32 internal constant COMMITTEE_BOND_WEI = "committee_bond_wei";
    bytes32 internal constant VOTING_DELAY_S = "voting_delay_s";
    bytes32 internal constant VOTING_PERIOD_S = "voting_period_s";
    bytes32 internal constant LATE_EXTENSION_S = "late_extension_s";
    bytes32 internal constant TIMELOCK_S = "timelock_s";
    bytes32 internal constant PROPOSAL_THRESHOLD_PPM = "proposal_threshold_ppm";
    bytes32 internal constant QUORUM_PPM = "quorum_ppm";
    bytes32 internal constant DELEGATION_FACTOR = "delegation_factor";
    bytes32 internal constant COST_MAX_WEI = "cost_max_wei";
    bytes32 internal constant MARGIN_MIN_PPM = "margin_min_ppm";
    bytes32 internal constant TERMS_DELAY_S = "terms_delay_s";
    bytes32 internal constant STREAM_S = "stream_s";
    bytes32 internal constant SLOT_EDGE_PPM = "slot_edge_ppm";
    bytes32 internal constant REPUTATION_START_PPM = "reputation_start_ppm";
    bytes32 internal constant EVIDENCE_S = "evidence_s";
    bytes32 internal constant ESCROW_S = "escrow_s";
    bytes32 internal constant CHALLENGE_BOND_WEI = "challenge_bond_wei";
    bytes32 internal constant CHALLENGE_OPEN_S = "challenge_open_s";
    bytes32 internal constant DEMAND_ANSWER_S = "demand_answer_s";
    bytes32 internal constant SLASH_RECEIPTS_PPM = "slash_receipts_ppm";
    bytes32 internal constant SLASH_CAP_PPM = "slash_cap_ppm";
    bytes32 internal constant SLASH_WINDOW_S = "slash_window_s";
    bytes32 internal constant CHALLENGER_PPM = "challenger_ppm";
    bytes32 internal constant JAIL_S = "jail_s";
    bytes32 internal constant REGISTER_FEE_WEI = "register_fee_wei";
    bytes32 internal constant WEIGHT_ENTRY_PPM = "weight_entry_ppm";
    bytes32 internal constant WEIGHT_RELAY_PPM = "weight_relay_ppm";
    bytes32 internal constant WEIGHT_MIX_PPM = "weight_mix_ppm";
    bytes32 internal constant WEIGHT_EXIT_PPM = "weight_exit_ppm";
    bytes32 internal constant STAKE_REFERENCE_WEI = "stake_reference_wei";
    bytes32 internal constant ALPHA_PPM = "alpha_ppm";
    bytes32 internal constant REPUTATION_RISE = "reputation_rise";
    bytes32 internal constant REPUTATION_FALL = "reputation_fall";
}
