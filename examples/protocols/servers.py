"""The servers behind the front door, each in threads of this process: pages, a chat, a shop.

What they speak is what their names in trunkline.toml say: HTTP/1.1 by the standard library,
WebSocket by websockets, gRPC by grpcio. None of them knows TLS, HTTP/2 from browsers, compression
or the PROXY protocol: those are the front door's.
"""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc  # type: ignore[import-untyped, unused-ignore]
from websockets.sync.server import Server, ServerConnection, serve

HOST = "127.0.0.1"
PRICES = {b"lantern": 1900, b"compass": 2450, b"kettle": 3200}
EVENTS = 5
EVENT_INTERVAL_S = 0.2


class Pages(BaseHTTPRequestHandler):
    """Three pages: a greeting, what the server sees of a request, and a list that goes on."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet
    color = ""

    def do_GET(self) -> None:
        """Answer by path."""
        path = self.path.partition("?")[0]
        if path == "/events":
            self._send_events()
        elif path == "/headers":
            self._send("application/json", json.dumps(dict(self.headers), indent=1))
        elif path == "/catalogue":
            lines = (f"<li>item {number}, in {self.color}</li>\n" for number in range(2_000))
            self._send("text/html", "".join(lines))
        else:
            self._send("text/plain", f"hello from {self.color}\n")

    def _send(self, content_type: str, text: str) -> None:
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_events(self) -> None:
        """Server-sent events; the end of the connection is theirs."""
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for number in range(1, EVENTS + 1):
            self.wfile.write(f"data: {number} of {EVENTS}, from {self.color}\n\n".encode())
            self.wfile.flush()
            time.sleep(EVENT_INTERVAL_S)

    def log_message(self, *_: object) -> None:
        """Say nothing: the front door has an access log."""


class PageServer(ThreadingHTTPServer):
    """Takes as many connections at once as the front door may open."""

    daemon_threads = True
    request_queue_size = 512


def answer_messages(connection: ServerConnection) -> None:
    """The chat: each message back, in capital letters."""
    for message in connection:
        connection.send(message.upper())


class Shop(grpc.GenericRpcHandler):  # type: ignore[misc, unused-ignore]
    """`demo.Shop` with a method of each kind. Its messages are text, so nothing is generated."""

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """The method that is called; None = UNIMPLEMENTED."""
        methods = {
            "/demo.Shop/Price": grpc.unary_unary_rpc_method_handler(price),
            "/demo.Shop/Watch": grpc.unary_stream_rpc_method_handler(watch),
            "/demo.Shop/Total": grpc.stream_unary_rpc_method_handler(total),
            "/demo.Shop/Haggle": grpc.stream_stream_rpc_method_handler(haggle),
        }
        return methods.get(details.method)


def price(product: bytes, context: grpc.ServicerContext) -> bytes:
    """What one product costs, in cents."""
    if product not in PRICES:
        context.abort(grpc.StatusCode.NOT_FOUND, f"no product {product.decode()}")
    return b"%d" % PRICES[product]


def watch(product: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
    """Its price, again and again: it falls."""
    cents = int(price(product, context))
    for percent in (100, 95, 90):
        yield b"%d" % (cents * percent // 100)
        time.sleep(EVENT_INTERVAL_S)


def total(products: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
    """What all of them cost together."""
    return b"%d" % sum(int(price(product, context)) for product in products)


def haggle(offers: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
    """An answer to each offer as it comes."""
    for offer in offers:
        yield b"sold" if int(offer) >= 1_500 else b"more, please"


class DemoServers:
    """All of them on their ports, until the `with` block ends."""

    def __init__(self, blue: int, green: int, chat: int, shop: int) -> None:
        self._ports = {"blue": blue, "green": green}
        self._chat_port, self._shop_port = chat, shop
        self._stack = ExitStack()

    def __enter__(self) -> None:
        for color, port in self._ports.items():
            handler = type(color, (Pages,), {"color": color})
            self._run(PageServer((HOST, port), handler))
        self._run(serve(answer_messages, HOST, self._chat_port))
        shop = grpc.server(ThreadPoolExecutor(32), handlers=[Shop()])
        shop.add_insecure_port(f"{HOST}:{self._shop_port}")
        shop.start()
        self._stack.callback(shop.stop, None)

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _run(self, server: PageServer | Server) -> None:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self._stack.callback(server.shutdown)
