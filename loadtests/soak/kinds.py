"""The mixture: which users there are, how many, and what they are exposed to."""

from loadtests.soak.traffic import Kind
from loadtests.soak.users import calls, http1, http2, websocket

KINDS = (
    Kind("http1", http1.browse, users=8),
    Kind("http1_tls", http1.browse, users=4, tls=True),
    Kind("http1_mortal", http1.browse, users=4, mortal=True),
    Kind("upload", http1.upload, users=1),
    Kind("upload_tls", http1.upload, users=1, tls=True),
    Kind("download", http1.download, users=1),
    Kind("download_tls", http1.download, users=1, tls=True),
    Kind("events", http1.listen, users=4),
    Kind("events_tls", http1.listen, users=2, tls=True),
    Kind("http2", http2.browse, users=3),
    Kind("http2_tls", http2.browse, users=3, tls=True),
    Kind("http2_mortal", http2.browse, users=2, mortal=True),
    Kind("websocket", websocket.chat, users=20),
    Kind("websocket_tls", websocket.chat, users=10, tls=True),
    Kind("grpc_unary", calls.call, users=3),
    Kind("grpc_stream", calls.stream, users=3),
    Kind("grpc_mortal", calls.call, users=2, mortal=True),
)
