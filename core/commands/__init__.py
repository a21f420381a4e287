"""What the `trunkline` command does, one module for each group of commands.

Each returns the exit code. `trunkline.cli` reads the arguments and imports only what it needs.
"""
