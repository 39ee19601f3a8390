"""OpenZeppelin's standard Merkle tree, written for these tests alone."""

from eth_utils import keccak


def _pair(a, b):
    return keccak(min(a, b) + max(a, b))


class Tree:
    """Leaf hashes are sorted and filled in from the end of the array."""

    def __init__(self, leaves):
        ordered = sorted(leaves)
        count = len(ordered)
        self.nodes = [b""] * (2 * count - 1)
        for place, leaf in enumerate(ordered):
            self.nodes[2 * count - 2 - place] = leaf
        for i in range(count - 2, -1, -1):
            self.nodes[i] = _pair(self.nodes[2 * i + 1], self.nodes[2 * i + 2])

    @property
    def root(self):
        return self.nodes[0]

    def proof(self, leaf):
        place = self.nodes.index(leaf)
        found = []
        while place > 0:
            found.append(self.nodes[place + 1 if place % 2 else place - 1])
            place = (place - 1) // 2
        return found
