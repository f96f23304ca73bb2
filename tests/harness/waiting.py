"""Waiting for a condition that the server promises within a bound."""

import time

#: An acknowledged event is visible within two seconds; the rest is for a busy test machine.
VISIBLE_SECONDS = 10.0


def eventually(condition, seconds: float = VISIBLE_SECONDS, what: str = "condition"):
    """Ask until the condition gives something true; returns that. Fails when time is up."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what} did not hold within {seconds} s"
        time.sleep(0.05)
