"""trunkline: load balancing and an API gateway on a native data plane.

`trunkline.core` is what every role shares, `trunkline.lb` and `trunkline.gateway` are the roles,
and `trunkline.cli` is the `trunkline` command. Each role is a folder at the repository's root,
linked here.
"""

__version__ = "0.1.0"
