"""Texts of exit policies for property tests."""

from hypothesis import strategies as st

ADDRESSES = st.one_of(
    st.sampled_from(["*", "*4", "*6", "0.0.0.0/1", "128.0.0.0/1", "[2000::]/3", "[::]/1"]),
    st.builds(lambda a, bits: f"{a}/{bits}", st.ip_addresses(v=4), st.integers(0, 32)),
    st.builds(lambda a, bits: f"[{a}]/{bits}", st.ip_addresses(v=6), st.integers(0, 64)),
    st.sampled_from(["93.184.216.34", "93.184.0.0/16", "[2606:4700::1111]", "[2606:4700::]/32"]),
)
EDGES = st.sampled_from([1, 2, 22, 79, 80, 81, 443, 8000, 65_534, 65_535])
RANGES = st.one_of(
    st.just("*"),
    st.sampled_from(["web", "reduced"]),
    EDGES.map(str),
    st.tuples(EDGES, EDGES).map(lambda ends: f"{min(ends)}-{max(ends)}"),
)
PORTS = st.builds(
    lambda head, tail: ",".join([head, *tail]), RANGES, st.lists(EDGES.map(str), max_size=2)
)
RULES = st.builds(
    lambda verb, address, ports: f"{verb} {address}:{ports}",
    st.sampled_from(["accept", "reject"]),
    ADDRESSES,
    PORTS,
)
ITEMS = st.one_of(
    RULES, RULES, RULES, st.sampled_from(["web", "reduced", "open", "none", "# note"])
)


def policies(most=6):
    """Policies of up to `most` rules and presets."""
    return st.lists(ITEMS, max_size=most).map("\n".join)
