"""What on this host would stop trunkline or slow it down, why, and the command that mends it.

Each module looks at one part of the host and yields findings. Those that only read files take a
`Host`, whose root may be any folder: so a test is a folder of files. `needs` says what a
configuration asks for, `probes` tries what no file tells.
"""
