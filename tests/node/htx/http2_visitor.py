"""An HTTP/2 client that knows nothing of links, on top of the h2 library."""

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, PingAckReceived, ResponseReceived

from node.htx.http2_server import Http2Server
from node.htx.site import default_site

NOW = 1_800_000_000.0
GET = [(":method", "GET"), (":authority", "a"), (":scheme", "https"), (":path", "/")]


class Visitor:
    def __init__(self, site=None, admit=lambda _request: False):
        self.server = Http2Server(site or default_site(), admit)
        self.h2 = H2Connection(H2Configuration(client_side=True))
        self.h2.initiate_connection()
        self.headers = {}
        self.bodies = {}
        self.pongs = 0
        self.answer = self.server.start()
        self.take(self.answer)

    def take(self, data):
        for event in self.h2.receive_data(data):
            if isinstance(event, ResponseReceived):
                self.headers[event.stream_id] = dict(event.headers)
            elif isinstance(event, DataReceived):
                body = self.bodies.get(event.stream_id, b"") + event.data
                self.bodies[event.stream_id] = body
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, PingAckReceived):
                self.pongs += 1

    def run(self):
        while data := self.h2.data_to_send():
            answer = self.server.receive(data, NOW)
            self.answer += answer
            self.take(answer)
        return self

    def get(self, headers=GET, body=None):
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, headers, end_stream=body is None)
        if body is not None:
            self.h2.send_data(stream, body, end_stream=True)
        self.run()
        return stream
