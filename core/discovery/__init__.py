"""Finds a pool's servers while the process runs.

`source` is the seam: anything that can say which servers there are. `file` and `names` (DNS) are
two such sources; `discovery` keeps asking them, remembers the last good answer and tells of
changes.
"""
