"""Puts a new process in the place of this one without losing a connection (docs/design/003).

Read in this order: `handover` is what passes between the two, `command` what is started, `upgrader`
the side of the old process, `predecessor` that of the new one.
"""
