// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IPremiumChannels} from "../../../interfaces/IPremiumChannels.sol";

/// @title Terms of premium payments on the main network
/// @dev Source: docs/spec/payments.md, Constants.
library MainTerms {
    uint256 internal constant ISSUANCE_EPOCHS = 7;
    uint256 internal constant UNIT = 0.0005 ether;
    uint256 internal constant BOND = 1 ether;

    function clock() internal pure returns (IPremiumChannels.Clock memory) {
        return IPremiumChannels.Clock({
            finishS: 45 minutes,
            closeS: 1 hours,
            spendS: 12 hours,
            claimS: 24 hours,
            attestS: 48 hours,
            redeemS: 96 hours,
            tokenS: 96 hours,
            exitS: 35 days,
            keepS: 42 days,
            challengeS: 7 days,
            closingS: 9 days,
            deliverS: 24 hours
        });
    }
}
