"""A pool whose links are lists, for the parts of the mixnet that send."""

from types import SimpleNamespace

from node.mix.packet import units_of


class ListLink:
    """A link that keeps what it is given."""

    def __init__(self, node_id=None):
        self.peer = SimpleNamespace(node_id=node_id)
        self.link_id = id(self)
        self.is_closed = False
        self.queued_bytes = 0
        self.records = []

    def send_record(self, kind, content):
        self.records.append((kind, content))

    @property
    def units(self):
        return [unit for _, content in self.records for unit in units_of(content)]


class ListPool:
    """Links by node id; a dial waits until the test answers it."""

    def __init__(self):
        self.open = {}
        self.asked = []

    def links(self):
        return self.open

    def add(self, node_id):
        self.open[node_id] = ListLink(node_id)
        return self.open[node_id]

    def want(self, index, node_id, waiter):
        if node_id in self.open:
            waiter(self.open[node_id], "")
        else:
            self.asked.append((index, waiter))


class ListMeter:
    """Counts packets by neighbour."""

    def __init__(self):
        self.out, self.came = {}, {}

    def sent(self, node_id, cells):
        self.out[node_id] = self.out.get(node_id, 0) + len(cells)

    def received(self, node_id, cells):
        self.came[node_id] = self.came.get(node_id, 0) + len(cells)
