"""asyncio's side of the interoperation tests: an echo server, or a client of one.

    peer.py client HOST PORT CAFILE|-
    peer.py server CERT KEY | peer.py server - -

A client sends a message, checks the echo, and prints what its protocol was told. A server prints its port, serves one
connection, and prints the same.
"""

import asyncio
import ssl
import sys

MESSAGE = bytes(1 + n % 255 for n in range(1_000_000)) + b"\0"


class Recorder(asyncio.Protocol):
    def __init__(self, over):
        self.over = over
        self.heard = bytearray()
        self.calls = []

    def connection_made(self, transport):
        self.transport = transport
        self.calls.append("made")

    def data_received(self, data):
        if self.calls[-1] != "data":
            self.calls.append("data")
        self.heard += data

    def eof_received(self):
        self.calls.append("eof")

    def connection_lost(self, error):
        self.calls.append("lost" if error is None else f"lost({error!r})")
        self.over.set_result(None)


class Client(Recorder):
    def connection_made(self, transport):
        super().connection_made(transport)
        transport.write(MESSAGE)
        if transport.can_write_eof():
            transport.write_eof()


class Server(Recorder):
    def data_received(self, data):
        super().data_received(data)
        self.transport.write(data)
        if data.endswith(b"\0") and not self.transport.can_write_eof():
            self.transport.close()


async def main():
    over = asyncio.get_running_loop().create_future()
    role, *rest = sys.argv[1:]
    loop = asyncio.get_running_loop()
    if role == "client":
        host, port, cafile = rest
        context = None if cafile == "-" else ssl.create_default_context(cafile=cafile)
        name = None if context is None else "localhost"
        _, protocol = await loop.create_connection(
            lambda: Client(over), host, int(port), ssl=context, server_hostname=name
        )
    else:
        cert, key = rest
        context = None
        if cert != "-":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(cert, key)
        protocol = Server(over)
        server = await loop.create_server(lambda: protocol, "127.0.0.1", 0, ssl=context)
        print(server.sockets[0].getsockname()[1], flush=True)
    await over
    assert protocol.heard == MESSAGE, len(protocol.heard)
    print(*protocol.calls, flush=True)


asyncio.run(asyncio.wait_for(main(), 50))
