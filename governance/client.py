"""What holders ask of the chain and tell it: proposals, votes, delegation, parameters."""

from dataclasses import dataclass

from governance.ballot import OPEN_STATES, Ballot, require_state
from governance.decode import Action, decode_action
from governance.errors import (
    MismatchError,
    OneLiveProposalError,
    PowerMissingError,
    ProposalUnknownError,
    ValueRefusedError,
)
from governance.proposal import Proposal, check_bounds, parameter_change
from governance.tally import Tally, VoteEvent, compare, count
from governance.timelock import Wait
from qnet.address import checksum_address
from qnet.chain.contract import Event
from qnet.chain.contracts import Contracts
from qnet.chain.governing import ProposalActions, ProposalState, Support
from qnet.chain.values import Block, Call
from qnet.parameters import BOUNDS, NetworkParameters
from qnet.units import format_qnet

MAX_PROPOSALS = 10_000
MIN_ID_DIGITS = 4
_VOTE_EVENTS = ("VoteCast", "VoteCastWithParams")


@dataclass(frozen=True, slots=True)
class ProposalView:
    """A proposal as the chain shows it now.

    Attributes:
        proposal_id: the governor's id, equal to the one recomputed from `proposal`.
        proposer: 20 bytes.
        proposal: what it calls and says.
        state: where it stands.
        snapshot_s: unix time at which votes are weighed.
        deadline_s: unix time at which voting ends.
        eta_s: unix time from which it may be executed; 0 when it is not queued.
        tally: the contract's count.
    """

    proposal_id: int
    proposer: bytes
    proposal: Proposal
    state: ProposalState
    snapshot_s: int
    deadline_s: int
    eta_s: int
    tally: Tally

    @property
    def chain_actions(self) -> ProposalActions:
        """Its calls in the form the governor's wrapper takes."""
        parts = self.proposal
        return ProposalActions(parts.targets, parts.values, parts.calldatas)


@dataclass(frozen=True, slots=True)
class Power:
    """Where an account's votes come from, wei.

    Attributes:
        tokens: votes of tokens delegated to it.
        staked: votes of staked principal delegated to it.
        balance: tokens it owns, whoever votes with them.
        delegate: who votes with its tokens; zero address when nobody does.
        staked_delegate: who votes with its staked principal.
    """

    tokens: int
    staked: int
    balance: int
    delegate: bytes
    staked_delegate: bytes

    @property
    def total(self) -> int:
        """All votes it can cast."""
        return self.tokens + self.staked


class GovernanceClient:
    """Reads governance state and builds checked calls.

    Args:
        contracts: the deployed contracts.
    """

    def __init__(self, contracts: Contracts) -> None:
        self._all = contracts
        self._governor = contracts.governor
        self._chain = contracts.client

    # -- reading ---------------------------------------------------------------------------

    @property
    def chain_id(self) -> int:
        """Id of the chain the contracts stand on."""
        return self._chain.chain_id

    async def latest(self) -> Block:
        """The chain's latest block; its time is governance's clock."""
        return await self._chain.block("latest")

    async def parameters(self) -> NetworkParameters:
        """All parameters, checked against the hash the contract keeps.

        Raises:
            MismatchError: hash and values disagree.
        """
        values = await self._all.parameters.all()
        told = await self._all.parameters.hash()
        if values.hash() != told:
            raise MismatchError(
                "the parameters' hash differs from the one recomputed",
                why=f"contract 0x{told.hex()}, here 0x{values.hash().hex()}",
            )
        return values

    async def proposals(self) -> list[ProposalView]:
        """All proposals, newest first."""
        events = await self._events("ProposalCreated")
        return [await self._view(event) for event in reversed(events[-MAX_PROPOSALS:])]

    async def find(self, word: str) -> ProposalView:
        """The proposal whose id is or begins with `word`; `latest` for the newest.

        Raises:
            ProposalUnknownError: none, or several.
        """
        events = await self._events("ProposalCreated")
        if word == "latest":
            found = events[-1:]
        else:
            exact = [e for e in events if str(e.arguments["proposalId"]) == word]
            found = exact or [
                e
                for e in events
                if len(word) >= 4 and str(e.arguments["proposalId"]).startswith(word)
            ]
        if len(found) != 1:
            raise ProposalUnknownError(
                f"no proposal {word}" if not found else f"{len(found)} proposals begin with {word}",
                why=f"there are {len(events)} proposals",
                try_=("qnet gov list",),
            )
        return await self._view(found[0])

    async def _view(self, event: Event) -> ProposalView:
        told = event.arguments
        proposal = Proposal(
            targets=tuple(told["targets"]),
            values=tuple(told["values"]),
            calldatas=tuple(told["calldatas"]),
            description=str(told["description"]),
        )
        proposal_id = int(told["proposalId"])
        if proposal.proposal_id != proposal_id:
            raise MismatchError(
                "a proposal's id differs from the one recomputed from its content",
                why=f"chain {proposal_id}, here {proposal.proposal_id}",
            )
        state = await self._governor.state(proposal_id)
        on_chain = await self._governor.tally(proposal_id)
        return ProposalView(
            proposal_id=proposal_id,
            proposer=told["proposer"],
            proposal=proposal,
            state=state,
            snapshot_s=int(told["voteStart"]),
            deadline_s=await self._governor.deadline_s(proposal_id),
            eta_s=await self._governor.eta_s(proposal_id),
            tally=Tally(on_chain.against_wei, on_chain.for_wei, on_chain.abstain_wei),
        )

    async def _events(self, *names: str) -> list[Event]:
        """All events of the governor of some names, oldest first."""
        topics = [t for t, entry in self._governor.abi.events.items() if entry.name in names]
        last = (await self.latest()).number
        found: list[Event] = []
        for log in await self._chain.logs(
            [self._governor.address],
            from_block=self._all.deployment.start_block,
            to_block=last,
            topics=topics,
        ):
            event = self._governor.event(log)
            if event is not None:
                found.append(event)
        return found

    def decode(self, proposal: Proposal) -> list[Action]:
        """What each call of a proposal does."""
        deployed = self._all.deployment.contracts.items()
        names = {contract.address: name for name, contract in deployed}
        parts = zip(proposal.targets, proposal.values, proposal.calldatas, strict=True)
        return [decode_action(*part, names=names) for part in parts]

    async def votes(self, proposal_id: int) -> list[VoteEvent]:
        """All votes cast on a proposal, oldest first."""
        return [
            VoteEvent(
                voter=event.arguments["voter"],
                support=int(event.arguments["support"]),
                weight=int(event.arguments["weight"]),
                params=event.arguments.get("params", b""),
                reason=str(event.arguments["reason"]),
            )
            for event in await self._events(*_VOTE_EVENTS)
            if event.arguments["proposalId"] == proposal_id
        ]

    async def recount(self, view: ProposalView) -> Tally:
        """Count a proposal's votes from their events and compare with the contract.

        Raises:
            MismatchError: the two differ.
        """
        counted = count(await self.votes(view.proposal_id))
        compare(counted, view.tally)
        return counted

    async def power(self, account: bytes) -> Power:
        """An account's votes now."""
        token, hub = self._all.token, self._all.hub
        return Power(
            tokens=await token.votes(account),
            staked=await hub.votes(account),
            balance=await token.balance_of(account),
            delegate=await token.delegate_of(account),
            staked_delegate=await hub.delegate_of(account),
        )

    async def quorum(self, view: ProposalView) -> int:
        """Votes that must take part in a proposal; the latest figure before its snapshot."""
        now = (await self.latest()).timestamp
        return await self._governor.quorum(min(view.snapshot_s, now - 1))

    # -- checked calls ---------------------------------------------------------------------

    async def propose_parameter(
        self, name: str, value: int, *, proposer: bytes, reason: str = ""
    ) -> tuple[Proposal, Call]:
        """Build a proposal to change one parameter, checked as the governor will check it.

        Raises:
            NotFoundError: no such parameter.
            ValueRefusedError: the value lies outside the parameter's bounds.
            PowerMissingError: the proposer has too few votes.
            OneLiveProposalError: its last proposal is not decided.
            MismatchError: our id differs from the governor's.
        """
        now = (await self.latest()).timestamp
        old = await self._current_value(name)
        await self._check_chain_bounds(name, value)
        proposal = parameter_change(
            parameters=self._all.parameters.address,
            name=name,
            old=old,
            new=value,
            proposer=proposer,
            now=now,
            reason=reason,
        )
        await self._check_proposer(proposer, now)
        actions = ProposalActions(proposal.targets, proposal.values, proposal.calldatas)
        told = await self._governor.proposal_id(actions, proposal.description_hash)
        if told != proposal.proposal_id:
            raise MismatchError(
                "the governor computes another id for this proposal",
                why=f"governor {told}, here {proposal.proposal_id}",
            )
        return proposal, self._governor.propose(actions, proposal.description)

    async def _current_value(self, name: str) -> int:
        if name not in BOUNDS:
            NetworkParameters.profile("main").with_value(name, 0)  # raises NotFoundError
        return await self._all.parameters.get(name)

    async def _check_chain_bounds(self, name: str, value: int) -> None:
        """Bounds on the chain can be narrower than ours: the calendar is fixed at birth."""
        check_bounds(name, value)
        low, high = await self._all.parameters.bounds(name)
        if not low <= value <= high:
            raise ValueRefusedError(
                f"{name} = {value} is out of bounds on this chain",
                why="it can never change" if low == high else f"it must lie in {low} to {high}",
            )

    async def _check_proposer(self, proposer: bytes, now: int) -> None:
        needed = await self._governor.proposal_threshold()
        held = await self._governor.votes(proposer, now - 1)
        if held < needed:
            raise PowerMissingError(
                f"{checksum_address(proposer)} has {format_qnet(held)} votes,"
                f" a proposal takes {format_qnet(needed)}",
                why="tokens vote only after they were delegated",
                try_=("qnet gov delegate self", "ask a holder with more votes to propose"),
            )
        live = await self._governor.latest_proposal_of(proposer)
        if live and await self._governor.state(live) in OPEN_STATES:
            raise OneLiveProposalError(
                f"{checksum_address(proposer)} has a proposal that is not decided yet",
                why=f"proposal {live}",
                try_=(f"qnet gov show {live}", f"qnet gov cancel {live}"),
            )

    async def vote(
        self, word: str, voter: bytes, support: Support, reason: str = ""
    ) -> tuple[ProposalView, Ballot, Call]:
        """Build a vote, checked as the governor will check it.

        Raises:
            ProposalUnknownError: no such proposal.
            ProposalStateError: voting is not open.
            AlreadyVotedError: the account has voted.
            PowerMissingError: it had no votes at the snapshot.
        """
        view = await self.find(word)
        require_state(view.proposal_id, view.state, ProposalState.ACTIVE, step="voting")
        power = await self._governor.votes(voter, view.snapshot_s)
        ballot = Ballot(view.proposal_id, voter, support, power, reason)
        voted = await self._governor.has_voted(view.proposal_id, voter)
        ballot.check(view.state, has_voted=voted)
        return view, ballot, self._governor.cast_vote(view.proposal_id, support, reason)

    async def queue(self, word: str) -> tuple[ProposalView, Call]:
        """Build the call that queues a proposal that won.

        Raises:
            ProposalStateError: it did not win, or is queued already.
        """
        view = await self.find(word)
        require_state(view.proposal_id, view.state, ProposalState.SUCCEEDED, step="queueing")
        return view, self._governor.queue(view.chain_actions, view.proposal.description_hash)

    async def execute(self, word: str) -> tuple[ProposalView, Call]:
        """Build the call that carries out a queued proposal.

        Raises:
            ProposalStateError: it is not queued.
            TimelockClosedError: its waiting time is not over.
        """
        view = await self.find(word)
        require_state(view.proposal_id, view.state, ProposalState.QUEUED, step="execution")
        Wait(view.eta_s, (await self.latest()).timestamp).check()
        return view, self._governor.execute(view.chain_actions, view.proposal.description_hash)

    async def cancel(self, word: str, account: bytes) -> tuple[ProposalView, Call]:
        """Build the call that takes back the account's own proposal before its vote.

        Raises:
            ProposalStateError: voting has begun.
            ProposalUnknownError: the proposal is somebody else's.
        """
        view = await self.find(word)
        require_state(view.proposal_id, view.state, ProposalState.PENDING, step="cancelling")
        if view.proposer != account:
            raise ProposalUnknownError(
                f"{checksum_address(account)} did not make this proposal",
                why=f"{checksum_address(view.proposer)} did",
            )
        return view, self._governor.cancel(view.chain_actions, view.proposal.description_hash)


def _named(events: list[Event], word: str) -> list[Event]:
    """Proposals whose id is `word`, else those whose id begins with at least four such digits."""
    ids = [(str(event.arguments["proposalId"]), event) for event in events]
    exact = [event for number, event in ids if number == word]
    if exact or len(word) < MIN_ID_DIGITS:
        return exact
    return [event for number, event in ids if number.startswith(word)]
