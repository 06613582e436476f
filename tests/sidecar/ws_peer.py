# ws_peer.py client URL CERTIFICATE - another reading of the RFCs (websockets for Python) speaks to
#   our echo; to a wss: one, if the certificate is right.
# ws_peer.py server - the same as a server, an echo for our test client; prints its port.
import asyncio
import ssl
import sys

import websockets
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory as Client,
    ServerPerMessageDeflateFactory as Server,
)

LARGE = 16 * 1024 * 1024

OFFERS = {  # how it is offered: what must be answered for what is sent to us
    None: None,
    Client(): 15,
    Client(server_max_window_bits=9): 9,
    Client(server_max_window_bits=12, client_max_window_bits=9): 12,
    Client(client_max_window_bits=True, server_no_context_takeover=True): 15,
    Client(client_no_context_takeover=True, server_no_context_takeover=True): 15,
}


def messages():
    yield ""
    yield "Hello, Straße, 世界, \U0001f514"
    yield bytes(range(256))
    for n in 125, 126, 65535, 65536, 1 << 20:
        yield "".join('{"id":%d},' % i for i in range(n // 8))[:n]
        yield bytes(i * i % 251 for i in range(n))


async def speak(url, context, offer, window):
    extensions = [offer] if offer else None
    async with websockets.connect(url, ssl=context, compression=None, extensions=extensions,
                                  max_size=LARGE) as ws:
        agreed = [e.remote_max_window_bits for e in ws.extensions]
        assert agreed == ([window] if window else []), agreed
        for m in messages():
            await ws.send(m)
            assert await ws.recv() == m
        await ws.send(["in ", "three ", "fragments"])
        assert await ws.recv() == "in three fragments"
        await asyncio.wait_for(await ws.ping(b"there?"), 20)
        for i in range(200):
            await ws.send("message %d" % i)
        for i in range(200):
            assert await ws.recv() == "message %d" % i
        await ws.close(3333, "done")
    assert ws.close_code == 3333


async def client(url, certificate):
    secure = url.startswith("wss:")
    context = ssl.create_default_context(cafile=certificate) if secure else None
    for offer, window in OFFERS.items():
        await asyncio.wait_for(speak(url, context, offer, window), 60)


async def echo(ws):
    async for m in ws:
        await ws.send(m)


async def server():
    deflate = Server(server_no_context_takeover=True, client_no_context_takeover=True)
    async with websockets.serve(echo, "127.0.0.1", 0, compression=None, extensions=[deflate],
                                max_size=LARGE) as s:
        print("listening on %d" % s.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


asyncio.run(server() if sys.argv[1] == "server" else client(*sys.argv[2:]))
