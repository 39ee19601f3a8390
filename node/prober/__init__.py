"""The auditor process: probes nodes for one committee member."""
