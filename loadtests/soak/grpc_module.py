"""The `grpc` module, untyped: grpcio ships no types, and whether stubs are installed differs."""

import importlib
from typing import Any

grpc: Any = importlib.import_module("grpc")
