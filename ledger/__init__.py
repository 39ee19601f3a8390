"""The committee: audits, rewards, reports and the consensus."""
