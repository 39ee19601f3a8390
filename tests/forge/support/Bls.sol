// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {BLS12381} from "../../../contracts/libraries/BLS12381.sol";

/// @title Keys and signatures of issuance epochs, made on chain from secrets that are known
library Bls {
    uint256 internal constant ORDER = 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001;

    /// @dev secret · g2.
    function key(uint256 secret) internal view returns (bytes memory point) {
        bytes memory input = abi.encodePacked(
            hex"00000000000000000000000000000000024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8",
            hex"0000000000000000000000000000000013e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e",
            hex"000000000000000000000000000000000ce5d527727d6e118cc9cdc6da2e351aadfd9baa8cbdd3a76d429a695160d12c923ac9cc3baca289e193548608b82801",
            hex"000000000000000000000000000000000606c4a02ea734cc32acd2b02bc28b99cb3e287e85a763af267492ab572e99ab3f370d275cec1da1aaa9075ff05f79be",
            secret
        );
        return call(0x0e, input);
    }

    /// @dev scalar · point.
    function multiply(bytes32[4] memory point, uint256 scalar) internal view returns (bytes32[4] memory) {
        return abi.decode(call(0x0c, abi.encodePacked(point, scalar)), (bytes32[4]));
    }

    function add(bytes32[4] memory left, bytes32[4] memory right) internal view returns (bytes32[4] memory) {
        return abi.decode(call(0x0b, abi.encodePacked(left, right)), (bytes32[4]));
    }

    /// @dev Signature of a secret over a message.
    function sign(uint256 secret, bytes32 message) internal view returns (bytes32[4] memory) {
        return multiply(BLS12381.hashToG1(message), secret);
    }

    function call(uint256 precompile, bytes memory input) internal view returns (bytes memory output) {
        bool done;
        (done, output) = address(uint160(precompile)).staticcall(input);
        require(done && output.length != 0, "precompile");
    }
}
