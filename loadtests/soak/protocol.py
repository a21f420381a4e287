"""What users and servers of the soak agree on: paths, contents, names of calls."""

HELLO = "hello from a server of the soak\n"
DOWNLOAD_CHUNK = bytes(range(256)) * 64
DOWNLOAD_CHUNKS = 128
UPLOAD = DOWNLOAD_CHUNK * 64
EVENTS = 20
EVENT_INTERVAL_S = 0.05

# gRPC: messages are plain bytes, no code is generated.
SERVICE = "soak.Echo"
MORTAL_SERVICE = "soak.Mortal"
CALL = "Say"
STREAM = "SayAll"
STREAMED_MESSAGES = 10


def event(number: int) -> bytes:
    """A server-sent event."""
    return f"data: {number}\n\n".encode()
