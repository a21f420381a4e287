"""What the servers of ``testkit/origins.py`` run: they write down what they read, answer `ok`."""
