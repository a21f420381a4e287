"""What the tests stand on: real processes, real sockets, and faults on demand.

Every helper here works on loopback with ports the kernel picked, is bounded in time, and ends only
what it started. Nothing in it imitates a peer that could be installed and run instead.
"""
