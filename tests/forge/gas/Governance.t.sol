// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Gas} from "./Gas.sol";

contract GovernanceGas is Gas {
    bytes32 private constant BALLOT =
        keccak256("Ballot(uint256 proposalId,uint8 support,address voter,uint256 nonce)");
    bytes32 private constant DOMAIN =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    uint8 private constant FOR = 1;

    address private voter;
    address private signer;
    uint256 private signerKey;
    /// @dev Only one test measures what comes before the execution: the length of the call decides with.
    bool private measuring;

    function setUp() public override {
        super.setUp();
        vm.warp(GENESIS + 1 hours);
        voter = operators[1];
        (signer, signerKey) = _account("delegator");
        for (uint256 i = 1; i <= 2; ++i) {
            vm.prank(operators[i]);
            token.delegate(operators[i]);
        }
        vm.prank(signer);
        token.delegate(signer);
        vm.prank(signer);
        hub.delegate(1, 10_000 * QNET, 1);
        vm.prank(holder);
        token.delegate(holder);
    }

    /// @dev Two proposals of each kind one after the other: the second costs what every later one does.
    function test_SetAParameter() public {
        measuring = true;
        bytes memory call = abi.encodeCall(parameters.set, ("min_bond_wei", 20_000 * QNET));
        for (uint256 i = 0; i < 2; ++i) {
            uint256 proposal = _decide(address(parameters), call, i);
            vm.prank(anyone);
            governor.execute(proposal);
            _measured("execute Parameters.set");
        }
    }

    function test_SetTheVetoer() public {
        bytes memory call = abi.encodeCall(slasher.setVetoer, (anyone));
        for (uint256 i = 0; i < 2; ++i) {
            uint256 proposal = _decide(address(slasher), call, i);
            vm.prank(anyone);
            governor.execute(proposal);
            _measured("execute Slasher.setVetoer");
        }
    }

    function _decide(address target, bytes memory call, uint256 number) private returns (uint256 proposal) {
        address[] memory targets = new address[](1);
        bytes[] memory calls = new bytes[](1);
        (targets[0], calls[0]) = (target, call);
        vm.warp(block.timestamp + 1);
        vm.prank(holder);
        proposal = governor.propose(targets, new uint256[](1), calls, string.concat("Proposal ", vm.toString(number)));
        _step("propose");
        vm.warp(governor.proposalSnapshot(proposal) + 1);
        vm.prank(operators[2]);
        governor.castVote(proposal, FOR);
        vm.prank(voter);
        governor.castVote(proposal, FOR);
        _step("vote");
        bytes memory signature = _ballot(proposal);
        vm.prank(anyone);
        governor.castVoteBySig(proposal, FOR, signer, signature);
        _step("voteBySig");
        vm.prank(holder);
        governor.castVote(proposal, FOR);
        _step("vote that makes the quorum");
        vm.warp(governor.proposalDeadline(proposal) + 1);
        vm.prank(anyone);
        governor.queue(proposal);
        _step("queue");
        vm.warp(governor.proposalEta(proposal) + 1);
    }

    function _step(string memory name) private {
        if (measuring) _measured(name);
    }

    function _ballot(uint256 proposal) private view returns (bytes memory) {
        bytes32 domain = keccak256(
            abi.encode(DOMAIN, keccak256("QNet"), keccak256("1"), block.chainid, address(governor))
        );
        bytes32 ballot = keccak256(abi.encode(BALLOT, proposal, FOR, signer, governor.nonces(signer)));
        return _sign(signerKey, keccak256(bytes.concat(hex"1901", domain, ballot)));
    }
}
