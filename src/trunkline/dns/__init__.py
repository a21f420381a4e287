"""The nameserver: zones of its own, answered with authority."""
