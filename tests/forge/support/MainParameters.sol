// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Parameters of the main network, in declared order, with their bounds
/// @dev Written by scripts/forge_parameters.py from qnet/parameters.py.
library MainParameters {
    function all()
        internal
        pure
        returns (
            bytes32[] memory keys,
            uint256[] memory values,
            uint256[] memory mins,
            uint256[] memory maxs
        )
    {
        keys = new bytes32[](82);
        values = new uint256[](82);
        mins = new uint256[](82);
        maxs = new uint256[](82);
        (keys[0], values[0], mins[0], maxs[0]) = ("slot_s", 3600, 3600, 3600);
        (keys[1], values[1], mins[1], maxs[1]) = ("slots_per_epoch", 24, 24, 24);
        (keys[2], values[2], mins[2], maxs[2]) = ("key_phase_s", 600, 150, 3600);
        (keys[3], values[3], mins[3], maxs[3]) = ("consensus_interval_s", 3600, 900, 86400);
        (keys[4], values[4], mins[4], maxs[4]) = ("descriptor_lead_s", 600, 150, 3600);
        (keys[5], values[5], mins[5], maxs[5]) = ("receipt_grace_s", 7200, 1800, 86400);
        (keys[6], values[6], mins[6], maxs[6]) = ("audit_commit_s", 1800, 450, 86400);
        (keys[7], values[7], mins[7], maxs[7]) = ("audit_reveal_s", 3600, 900, 86400);
        (keys[8], values[8], mins[8], maxs[8]) = ("report_deadline_s", 43200, 10800, 604800);
        (keys[9], values[9], mins[9], maxs[9]) = ("challenge_window_s", 259200, 64800, 2592000);
        (keys[10], values[10], mins[10], maxs[10]) = ("unbond_s", 1814400, 453600, 7776000);
        (keys[11], values[11], mins[11], maxs[11]) = ("agreement_timeout_s", 60, 15, 3600);
        (keys[12], values[12], mins[12], maxs[12]) = ("link_rekey_s", 600, 150, 3600);
        (keys[13], values[13], mins[13], maxs[13]) = ("link_rekey_records", 1048576, 1024, 4294967296);
        (keys[14], values[14], mins[14], maxs[14]) = ("link_rekey_bytes", 8589934592, 1048576, 1099511627776);
        (keys[15], values[15], mins[15], maxs[15]) = ("link_handshake_s", 10, 2, 60);
        (keys[16], values[16], mins[16], maxs[16]) = ("link_queue_bytes", 8388608, 65536, 1073741824);
        (keys[17], values[17], mins[17], maxs[17]) = ("cover_min_ms", 200, 1, 60000);
        (keys[18], values[18], mins[18], maxs[18]) = ("cover_max_ms", 1200, 1, 60000);
        (keys[19], values[19], mins[19], maxs[19]) = ("ping_min_s", 10, 2, 3600);
        (keys[20], values[20], mins[20], maxs[20]) = ("ping_max_s", 60, 15, 3600);
        (keys[21], values[21], mins[21], maxs[21]) = ("circuit_rekey_s", 600, 150, 3600);
        (keys[22], values[22], mins[22], maxs[22]) = ("circuit_build_s", 10, 2, 120);
        (keys[23], values[23], mins[23], maxs[23]) = ("circuit_idle_s", 300, 75, 3600);
        (keys[24], values[24], mins[24], maxs[24]) = ("circuit_max_age_s", 600, 150, 7200);
        (keys[25], values[25], mins[25], maxs[25]) = ("stream_connect_s", 15, 3, 120);
        (keys[26], values[26], mins[26], maxs[26]) = ("streams_per_circuit_max", 512, 1, 65535);
        (keys[27], values[27], mins[27], maxs[27]) = ("circuits_per_link_max", 65536, 1, 1073741824);
        (keys[28], values[28], mins[28], maxs[28]) = ("circuit_window_max_cells", 2048, 16, 65536);
        (keys[29], values[29], mins[29], maxs[29]) = ("stream_window_cells", 8192, 16, 65536);
        (keys[30], values[30], mins[30], maxs[30]) = ("pool_bytes", 268435456, 1048576, 68719476736);
        (keys[31], values[31], mins[31], maxs[31]) = ("premium_weight", 4, 1, 64);
        (keys[32], values[32], mins[32], maxs[32]) = ("dns_ttl_min_s", 60, 15, 86400);
        (keys[33], values[33], mins[33], maxs[33]) = ("dns_ttl_max_s", 1800, 450, 86400);
        (keys[34], values[34], mins[34], maxs[34]) = ("anonymity_set_min_users", 1000, 1, 1000000000);
        (keys[35], values[35], mins[35], maxs[35]) = ("audits_per_slot", 11, 1, 64);
        (keys[36], values[36], mins[36], maxs[36]) = ("probes_per_slot", 12, 1, 1000);
        (keys[37], values[37], mins[37], maxs[37]) = ("audit_latency_max_ms", 5000, 10, 60000);
        (keys[38], values[38], mins[38], maxs[38]) = ("capacity_burst_bytes", 67108864, 65536, 1073741824);
        (keys[39], values[39], mins[39], maxs[39]) = ("capacity_reference_kbps", 100000, 1, 1000000000);
        (keys[40], values[40], mins[40], maxs[40]) = ("emission_wei", 240000000000000000000000, 0, 1000000000000000000000000000);
        (keys[41], values[41], mins[41], maxs[41]) = ("weight_entry_ppm", 250000, 0, 1000000);
        (keys[42], values[42], mins[42], maxs[42]) = ("weight_relay_ppm", 250000, 0, 1000000);
        (keys[43], values[43], mins[43], maxs[43]) = ("weight_mix_ppm", 200000, 0, 1000000);
        (keys[44], values[44], mins[44], maxs[44]) = ("weight_exit_ppm", 300000, 0, 1000000);
        (keys[45], values[45], mins[45], maxs[45]) = ("slots_entry", 2500, 1, 1000000);
        (keys[46], values[46], mins[46], maxs[46]) = ("slots_relay", 2500, 1, 1000000);
        (keys[47], values[47], mins[47], maxs[47]) = ("slots_mix", 1500, 1, 1000000);
        (keys[48], values[48], mins[48], maxs[48]) = ("slots_exit", 1000, 1, 1000000);
        (keys[49], values[49], mins[49], maxs[49]) = ("stake_reference_wei", 100000000000000000000000, 1000000000000000000, 1000000000000000000000000000);
        (keys[50], values[50], mins[50], maxs[50]) = ("min_bond_wei", 10000000000000000000000, 1000000000000000000, 1000000000000000000000000000);
        (keys[51], values[51], mins[51], maxs[51]) = ("register_fee_wei", 100000000000000000000, 0, 1000000000000000000000000);
        (keys[52], values[52], mins[52], maxs[52]) = ("committee_bond_wei", 1000000000000000000000000, 1000000000000000000, 1000000000000000000000000000);
        (keys[53], values[53], mins[53], maxs[53]) = ("alpha_ppm", 300000, 0, 1000000);
        (keys[54], values[54], mins[54], maxs[54]) = ("link_clip_ppm", 1500000, 1000000, 10000000);
        (keys[55], values[55], mins[55], maxs[55]) = ("work_target_ppm", 850000, 1, 1000000);
        (keys[56], values[56], mins[56], maxs[56]) = ("delegation_factor", 9, 0, 1000);
        (keys[57], values[57], mins[57], maxs[57]) = ("cost_max_wei", 5000000000000000000, 0, 1000000000000000000000000000);
        (keys[58], values[58], mins[58], maxs[58]) = ("margin_min_ppm", 100000, 0, 1000000);
        (keys[59], values[59], mins[59], maxs[59]) = ("terms_delay_s", 1814400, 453600, 7776000);
        (keys[60], values[60], mins[60], maxs[60]) = ("stream_s", 604800, 151200, 7776000);
        (keys[61], values[61], mins[61], maxs[61]) = ("slot_edge_ppm", 100000, 0, 10000000);
        (keys[62], values[62], mins[62], maxs[62]) = ("traffic_floor_cells", 1000000, 0, 1000000000000000);
        (keys[63], values[63], mins[63], maxs[63]) = ("reputation_start_ppm", 250000, 0, 1000000);
        (keys[64], values[64], mins[64], maxs[64]) = ("reputation_rise", 30, 1, 1000);
        (keys[65], values[65], mins[65], maxs[65]) = ("reputation_fall", 6, 1, 1000);
        (keys[66], values[66], mins[66], maxs[66]) = ("evidence_s", 1209600, 302400, 2592000);
        (keys[67], values[67], mins[67], maxs[67]) = ("escrow_s", 604800, 151200, 7776000);
        (keys[68], values[68], mins[68], maxs[68]) = ("challenge_bond_wei", 2400000000000000000000, 1, 1000000000000000000000000000);
        (keys[69], values[69], mins[69], maxs[69]) = ("challenge_open_s", 86400, 21600, 604800);
        (keys[70], values[70], mins[70], maxs[70]) = ("demand_answer_s", 86400, 21600, 604800);
        (keys[71], values[71], mins[71], maxs[71]) = ("slash_receipts_ppm", 50000, 0, 1000000);
        (keys[72], values[72], mins[72], maxs[72]) = ("slash_cap_ppm", 100000, 0, 1000000);
        (keys[73], values[73], mins[73], maxs[73]) = ("slash_window_s", 2592000, 648000, 31536000);
        (keys[74], values[74], mins[74], maxs[74]) = ("challenger_ppm", 50000, 0, 500000);
        (keys[75], values[75], mins[75], maxs[75]) = ("jail_s", 604800, 151200, 7776000);
        (keys[76], values[76], mins[76], maxs[76]) = ("voting_delay_s", 172800, 43200, 2592000);
        (keys[77], values[77], mins[77], maxs[77]) = ("voting_period_s", 604800, 151200, 2592000);
        (keys[78], values[78], mins[78], maxs[78]) = ("late_extension_s", 172800, 43200, 2592000);
        (keys[79], values[79], mins[79], maxs[79]) = ("timelock_s", 172800, 43200, 5184000);
        (keys[80], values[80], mins[80], maxs[80]) = ("proposal_threshold_ppm", 2500, 100, 100000);
        (keys[81], values[81], mins[81], maxs[81]) = ("quorum_ppm", 40000, 10000, 1000000);
    }
}
