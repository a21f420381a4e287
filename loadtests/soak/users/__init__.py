"""The users: one file for each way of talking to trunkline."""
