"""Autobahn's cases against a WebSocket server: ``run_cases.py URL OUTPUT CASES``.

Writes a JSON object to the file OUTPUT: the id of each case → its verdict. CASES are ids with ``*``
in them, separated by commas; ``*`` alone is all 517.

A program of its own, because the case files are Autobahn's of Python 2: kosoku changes ``binascii``
and the module search path for them, in the process that runs them.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

from kosoku import FailureError, run_fuzzingclient

# More would not be faster on two cores; most cases wait for their peer.
CONCURRENCY = 4


async def verdicts(url: str, cases: list[str]) -> dict[str, list[object]]:
    """Of the messages and of the close, with the close code that came and whether it was clean."""
    try:
        results = await run_fuzzingclient(url, cases=cases, concurrency=CONCURRENCY)
    except FailureError as failure:
        results = failure.results
    return {
        result.case_id: [
            result.behavior.value,
            result.behavior_close.value,
            result.remote_close_code,
            result.was_clean,
        ]
        for result in results
    }


if __name__ == "__main__":
    url, output, cases = sys.argv[1:]
    Path(output).write_text(json.dumps(asyncio.run(verdicts(url, cases.split(",")))))
    # kosoku 0.1's own threads may outlive the interpreter and abort the process (seen in 1 of 10).
    os._exit(0)
