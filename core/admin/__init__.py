"""The admin API: HTTP on loopback, with a bearer token, on the control plane's event loop."""
