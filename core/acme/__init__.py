"""Automatic certificates by ACME (RFC 8555), on the control side.

Read in this order: `wanted` says what the configuration asks for, `store` keeps it on disk,
`certificate` reads and makes certificates, `schedule` decides when to try, `account` and `order`
speak to the issuer, `challenges` and `front` to the data plane, `renewal` keeps it all going.
"""
