"""A grpcio server with the health service of gRPC's own package, or without it.

Both packages ship no types, and whether stubs are installed differs; so they are imported untyped.
"""

import importlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, Self

from testkit.certificates import Issued

_grpc: Any = importlib.import_module("grpc")
_service: Any = importlib.import_module("grpc_health.v1.health")
_messages: Any = importlib.import_module("grpc_health.v1.health_pb2")
_stubs: Any = importlib.import_module("grpc_health.v1.health_pb2_grpc")

Serving = Literal["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"]


class GrpcHealth:
    """Serves on loopback while the ``with`` block lasts; as a whole it is SERVING.

    Args:
        issued: For its TLS port.
        has_service: Whether it can be asked for its health.
    """

    def __init__(self, issued: Issued | None = None, *, has_service: bool = True) -> None:
        self._server = _grpc.server(ThreadPoolExecutor(2))
        self._health = _service.HealthServicer()
        if has_service:
            _stubs.add_HealthServicer_to_server(self._health, self._server)
        self.port: int = self._server.add_insecure_port("127.0.0.1:0")
        """In the clear."""
        self.tls_port = 0
        if issued is not None:
            pair = (issued.key.read_bytes(), issued.certificate.read_bytes())
            credentials = _grpc.ssl_server_credentials([pair])
            self.tls_port = self._server.add_secure_port("127.0.0.1:0", credentials)

    def set(self, service: str, serving: Serving) -> None:
        """Say this of a service from now on."""
        self._health.set(service, _messages.HealthCheckResponse.ServingStatus.Value(serving))

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()
