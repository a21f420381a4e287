"""What trunkline has to do with systemd.

`notify` tells it how the process is, `activation` takes the sockets that it has opened. Both are no
more than a few environment variables, so any service manager that sets them will do.
"""
