"""From a TOML file to checked models.

Read in this order: `document` reads and merges the files, `positions` knows the lines, `values` and
`models`, `pool`, `http` say what may stand in them, `validation` turns refusals into sentences, and
`load` does it all at once.
"""
