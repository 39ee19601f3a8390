// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {IPausing} from "../../../interfaces/IPausing.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {IStakeHub} from "../../../interfaces/IStakeHub.sol";
import {StakingTest} from "../../forge/staking/StakingTest.sol";
import {QNetToken} from "../../../contracts/token/QNetToken.sol";
import {RewardVault} from "../../../contracts/reporting/RewardVault.sol";
import {QNetGovernor} from "../../../contracts/governance/QNetGovernor.sol";
import {StakeHub} from "../../../contracts/staking/StakeHub.sol";

/// @title Everything that can happen to the hub, in any order
/// @dev Calls that must fail by the rules are left out or expected to fail, so any other failure is a finding. Epochs end
/// only in `endEpoch`, which reports them all; delays are the shortest that the main network allows.
contract StakeHandler is StakingTest {
    uint256 private constant NODES = 3;
    uint256 private constant LAST_EPOCH = 60;

    /// @dev A fact of the past that must not change.
    struct Snapshot {
        address account;
        uint256 timestamp;
        uint256 votes;
    }

    uint32[] private _nodes;
    address[] private _owners;
    address[] private _people;
    mapping(bytes4 action => uint256) public done;

    uint32 public nextEpoch;
    uint256 public donated;
    uint256 public claimed;
    bool public priceFell;
    bool public gained;
    bool public diluted;
    bool public early;
    bool public miscounted;
    Snapshot[] private _snapshots;
    mapping(uint32 epoch => IReportOracle.NodeLeaf[]) private _leaves;
    mapping(address account => mapping(uint8 ticket => uint256)) private _free;
    mapping(uint32 index => bool) private _accused;

    /// @dev Prices of shares do not fall in between; a lien that is slashed on the way costs nobody else anything.
    modifier keepsPrices() {
        uint256[2][] memory before = _prices();
        _;
        uint256[2][] memory afterwards = _prices();
        for (uint256 i = 0; i < NODES; ++i) {
            bool lived = before[i][1] > VIRTUAL_SHARES && afterwards[i][1] > VIRTUAL_SHARES;
            if (lived && afterwards[i][0] * before[i][1] < before[i][0] * afterwards[i][1]) priceFell = true;
        }
    }

    function setUp() public override {
        super.setUp();
        address erin = _person("erin", 1_000_000 * QNET);
        uint32 third = _node(erin, INodeRegistry.Role.Exit, BOND);
        _nodes = [node, other, third];
        _owners = [alice, dave, erin];
        _people = [alice, dave, erin, bob, carol];
        _set("unbond_s", 453_600);
        _set("stream_s", 151_200);
        _set("challenge_window_s", 64_800);
        _set("terms_delay_s", 453_600);
    }

    // what owners and delegators do

    function bond(uint256 seed, uint256 amount) external keepsPrices {
        uint256 i = seed % NODES;
        amount = _bound(amount, 1, 1000 * QNET);
        if (hub.isPaused() || token.balanceOf(_owners[i]) < amount) return;
        vm.prank(_owners[i]);
        hub.bond(_nodes[i], amount);
        ++done[this.bond.selector];
    }

    function unbond(uint256 seed, uint256 amount) external keepsPrices {
        uint256 i = seed % NODES;
        uint256 have = hub.bondOf(_nodes[i]);
        if (have == 0 || hub.ticketsOf(_owners[i]) == 65_535) return;
        vm.prank(_owners[i]);
        uint8 ticket = hub.unbond(_nodes[i], _bound(amount, 1, have > QNET ? have / 10 : have));
        _expectDelay(_owners[i], ticket);
        ++done[this.unbond.selector];
    }

    function delegate(uint256 seed, uint256 amount) external keepsPrices {
        (address account, uint32 index) = _pick(seed);
        amount = _bound(amount, 1, 1000 * QNET);
        if (!_takes(index, amount) || token.balanceOf(account) < amount) return;
        _delegateFairly(account, index, amount);
        ++done[this.delegate.selector];
    }

    function undelegate(uint256 seed, uint256 shares) external keepsPrices {
        (address account, uint32 index) = _pick(seed);
        hub.poke(account, index);
        uint256 free = _shares(account, index) - _boundShares(account, index);
        if (free == 0 || hub.ticketsOf(account) == 65_535) return;
        shares = seed % 4 == 0 ? free : _bound(shares, 1, free);
        if (_worthOf(index, shares) == 0) return;
        (uint8 ticket,) = _undelegate(account, index, shares);
        _expectDelay(account, ticket);
        ++done[this.undelegate.selector];
    }

    function redelegate(uint256 seed, uint256 shares) external keepsPrices {
        (address account, uint32 source) = _pick(seed);
        uint32 target = _nodes[(seed / 7 + 1) % NODES];
        if (source == target || hub.liensOf(account).length == 16 || hub.freezesOf(source) != 0) return;
        hub.poke(account, source);
        uint256 free = _shares(account, source) - _boundShares(account, source);
        if (free == 0) return;
        shares = _bound(shares, 1, free);
        uint256 worth = _worthOf(source, shares);
        if (worth == 0 || !_takes(target, worth)) return;
        vm.prank(account);
        hub.redelegate(source, target, shares, 0);
        ++done[this.redelegate.selector];
    }

    /// @dev In and out again at once: the ticket is worth no more than what went in.
    function roundTrip(uint256 seed, uint256 amount) external keepsPrices {
        (address account, uint32 index) = _pick(seed);
        hub.poke(account, index);
        amount = _bound(amount, 1, 1000 * QNET);
        if (!_takes(index, amount) || token.balanceOf(account) < amount || hub.ticketsOf(account) == 65_535) return;
        uint256 shares = _delegateFairly(account, index, amount);
        if (_worthOf(index, shares) == 0) return;
        (uint8 ticket, uint256 back) = _undelegate(account, index, shares);
        _expectDelay(account, ticket);
        if (back > amount || _ticketAmount(account, ticket) > amount) gained = true;
        ++done[this.roundTrip.selector];
    }

    /// @dev Every waiting ticket, or one that must not be paid yet.
    function withdraw(uint256 seed, uint8 ticket) external keepsPrices {
        address account = _people[seed % _people.length];
        ticket = uint8(_bound(ticket, 0, 15));
        (uint32 index,,, uint256 amount, uint64 unlocksAt) = hub.ticketOf(account, ticket);
        if (index == 0) return;
        bool payable_ = block.timestamp >= unlocksAt && hub.freezesOf(index) == 0;
        uint256 before = token.balanceOf(account);
        vm.prank(account);
        try hub.withdraw(ticket) returns (uint256 paid) {
            if (!payable_ || block.timestamp < _free[account][ticket]) early = true;
            if (paid != amount || token.balanceOf(account) - before != amount) miscounted = true;
            ++done[this.withdraw.selector];
        } catch {
            if (payable_) miscounted = true;
        }
    }

    function poke(uint256 seed) external keepsPrices {
        (address account, uint32 index) = _pick(seed);
        hub.poke(account, index);
        if (_principal(account, index) > _worth(account, index)) miscounted = true;
        ++done[this.poke.selector];
    }

    function setTerms(uint256 seed, uint256 cost, uint32 margin) external keepsPrices {
        uint256 i = seed % NODES;
        vm.prank(_owners[i]);
        hub.setTerms(_nodes[i], _bound(cost, 0, 5 * QNET), uint32(_bound(margin, 100_000, M)));
        ++done[this.setTerms.selector];
    }

    function delegateVotes(uint256 seed, uint256 to) external keepsPrices {
        vm.prank(_people[seed % _people.length]);
        hub.delegateVotes(_people[to % _people.length]);
        ++done[this.delegateVotes.selector];
    }

    /// @dev Tokens sent to the hub by mistake, or to move its prices.
    function donate(uint256 seed, uint256 amount) external keepsPrices {
        address account = _people[seed % _people.length];
        amount = _bound(amount, 1, 100 * QNET);
        if (token.balanceOf(account) < amount) return;
        vm.prank(account);
        token.transfer(address(hub), amount);
        donated += amount;
        ++done[this.donate.selector];
    }

    // time, reports, rewards

    function wait_(uint256 time) external keepsPrices {
        uint256 end = epochs.epochEnd(epochs.currentEpoch());
        uint256 left = end - 1 - block.timestamp;
        if (left != 0) vm.warp(block.timestamp + _bound(time, 1, left));
        ++done[this.wait_.selector];
    }

    /// @dev End some epochs, report rewards for them, make final what can be.
    function endEpoch(uint256 seed) external keepsPrices {
        for (uint256 left = seed % 3 + 1; left > 0 && nextEpoch < LAST_EPOCH; --left) {
            uint32 epoch = nextEpoch++;
            _passEpoch(epoch);
            uint256 total = _makeLeaves(epoch, uint256(keccak256(abi.encode(seed, epoch))));
            _submit(epoch, _root(epoch, NODES), total);
            uint32 through = oracle.finalThrough();
            while (through <= epoch && block.timestamp >= oracle.windowEnd(through)) {
                oracle.finalize(through++);
            }
            ++done[this.endEpoch.selector];
        }
    }

    /// @dev The latest final leaf settles a node once.
    function settle(uint256 seed) external keepsPrices {
        uint256 i = seed % NODES;
        if (hub.isPaused()) return;
        if (_settleLast(i)) ++done[this.settle.selector];
        uint32 through = hub.settledThrough(_nodes[i]);
        if (through == 0) return;
        (IReportOracle.NodeLeaf memory leaf, bytes32[] memory proof) = _proven(through - 1, i);
        try hub.settleNode(leaf, proof) {
            miscounted = true;
        } catch {}
    }

    function claim(uint256 seed) external keepsPrices {
        uint32 index = _nodes[seed % NODES];
        uint256 amount = hub.owed(index);
        if (amount == 0 || hub.isPaused()) return;
        hub.claimOperator(index);
        claimed += amount;
        ++done[this.claim.selector];
    }

    // what slashers and guardians do

    function accuse(uint256 seed) external keepsPrices {
        uint32 index = _nodes[seed % NODES];
        if (_accused[index]) return;
        _accused[index] = true;
        _freeze(index);
        ++done[this.accuse.selector];
    }

    function acquit(uint256 seed) external keepsPrices {
        uint32 index = _nodes[seed % NODES];
        if (!_accused[index]) return;
        _accused[index] = false;
        _unfreeze(index);
        ++done[this.acquit.selector];
    }

    /// @dev What a slash takes is what it could reach before and cannot any more.
    function slash(uint256 seed, uint32 ppm, uint256 most) external {
        uint32 index = _nodes[seed % NODES];
        uint32 current = epochs.currentEpoch();
        uint32 epoch = current - uint32(_bound(seed / 3, 0, current < 14 ? current : 14));
        uint256 reach = hub.slashableOf(index, epoch);
        most = seed % 2 == 0 ? type(uint256).max : _bound(most, 0, reach);
        vm.prank(address(slasher));
        uint256 taken = hub.slash(index, epoch, uint32(_bound(ppm, 0, 200_000)), most);
        if (taken > most || reach - hub.slashableOf(index, epoch) != taken) miscounted = true;
        ++done[this.slash.selector];
    }

    function pause(uint256 seed, uint256 time) external keepsPrices {
        bool whole = seed % 2 == 0;
        uint64 last = whole ? hub.pausedUntil() : court.pausedUntil();
        if (last != 0 && block.timestamp < last + 30 days) return;
        _pause(IPausing(whole ? address(hub) : address(court)), _bound(time, 1, 3 days));
        ++done[this.pause.selector];
    }

    function remember(uint256 seed) external {
        address account = _people[seed % _people.length];
        uint256 past = block.timestamp - 1 - (seed / 8) % (block.timestamp - GENESIS + 1);
        _snapshots.push(Snapshot(account, past, hub.getPastVotes(account, past)));
        ++done[this.remember.selector];
    }

    // facts for the invariants

    function contracts() external view returns (StakeHub, QNetToken, RewardVault, QNetGovernor) {
        return (hub, token, vault, governor);
    }

    function nodes() external view returns (uint32[] memory) {
        return _nodes;
    }

    function people() external view returns (address[] memory) {
        return _people;
    }

    function snapshots() external view returns (Snapshot[] memory) {
        return _snapshots;
    }

    function _pick(uint256 seed) private view returns (address account, uint32 index) {
        return (_people[(seed / 3) % _people.length], _nodes[seed % NODES]);
    }

    /// @dev Whether a node takes a delegation now, once its rewards are settled.
    function _takes(uint32 index, uint256 amount) private returns (bool) {
        if (hub.isPaused()) return false;
        for (uint256 i = 0; i < NODES; ++i) {
            if (_nodes[i] == index) _settleLast(i);
        }
        uint256 pool = hub.poolOf(index);
        bool room = pool + amount <= 9 * hub.bondOf(index);
        return room && amount * (hub.sharesOf(index) + VIRTUAL_SHARES) / (pool + 1) != 0;
    }

    /// @dev Nobody who delegates loses more than one share to rounding, whoever was there first.
    function _delegateFairly(address account, uint32 index, uint256 amount) private returns (uint256 shares) {
        uint256 one = hub.poolOf(index) / (hub.sharesOf(index) + VIRTUAL_SHARES) + 1;
        uint256 before = _worth(account, index);
        shares = _delegate(account, index, amount);
        if (_worth(account, index) + one + 1 < before + amount) diluted = true;
        if (_worth(account, index) > before + amount + 1) gained = true;
    }

    function _worthOf(uint32 index, uint256 shares) private view returns (uint256) {
        return shares * (hub.poolOf(index) + 1) / (hub.sharesOf(index) + VIRTUAL_SHARES);
    }

    function _boundShares(address account, uint32 index) private view returns (uint256 sum) {
        IStakeHub.Lien[] memory liens = hub.liensOf(account);
        for (uint256 i = 0; i < liens.length; ++i) {
            if (liens[i].target == index) sum += liens[i].shares;
        }
    }

    function _expectDelay(address account, uint8 ticket) private {
        _free[account][ticket] = epochs.epochEnd(epochs.currentEpoch()) + parameters.get("unbond_s");
    }

    function _prices() private view returns (uint256[2][] memory prices) {
        prices = new uint256[2][](NODES);
        for (uint256 i = 0; i < NODES; ++i) {
            prices[i] = [hub.poolOf(_nodes[i]) + 1, hub.sharesOf(_nodes[i]) + VIRTUAL_SHARES];
        }
    }

    function _settleLast(uint256 i) private returns (bool) {
        uint32 through = oracle.finalThrough();
        if (through == 0 || hub.settledThrough(_nodes[i]) >= through) return false;
        (IReportOracle.NodeLeaf memory leaf, bytes32[] memory proof) = _proven(through - 1, i);
        hub.settleNode(leaf, proof);
        return true;
    }

    /// @dev Rewards of an epoch: each leaf adds to the one before.
    function _makeLeaves(uint32 epoch, uint256 seed) private returns (uint256 total) {
        for (uint256 i = 0; i < NODES; ++i) {
            uint256 forOperator = seed % 100 * QNET / 3;
            uint256 forPool = seed / 100 % 100 * QNET / 7;
            seed /= 10_000;
            total += forOperator + forPool;
            if (epoch > 0) {
                forOperator += _leaves[epoch - 1][i].cumOperator;
                forPool += _leaves[epoch - 1][i].cumPool;
            }
            _leaves[epoch].push(_leaf(epoch, _nodes[i], forOperator, forPool, uint32(seed % M)));
        }
    }

    /// @dev The first `count` leaves of an epoch in a tree that grows to the left.
    function _root(uint32 epoch, uint256 count) private view returns (bytes32 root) {
        root = oracle.leafHash(_leaves[epoch][0]);
        for (uint256 i = 1; i < count; ++i) {
            bytes32 next = oracle.leafHash(_leaves[epoch][i]);
            root = root < next ? keccak256(bytes.concat(root, next)) : keccak256(bytes.concat(next, root));
        }
    }

    function _proven(uint32 epoch, uint256 i)
        private
        view
        returns (IReportOracle.NodeLeaf memory leaf, bytes32[] memory proof)
    {
        leaf = _leaves[epoch][i];
        proof = new bytes32[](i == 0 ? NODES - 1 : NODES - i);
        uint256 next;
        if (i != 0) proof[next++] = _root(epoch, i);
        for (uint256 j = i == 0 ? 1 : i + 1; j < NODES; ++j) {
            proof[next++] = oracle.leafHash(_leaves[epoch][j]);
        }
    }
}
