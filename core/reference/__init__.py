"""The algorithms of the native module in plain Python: their readable specification.

Each has the interface of its native twin, and tests/native runs one suite over both. Nothing here
imports `trunkline_native`; nothing here is fast.
"""
