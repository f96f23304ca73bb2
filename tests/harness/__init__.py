"""What the tests stand on: the server as a process, producers, a ledger outside its disk, faults,
and an oracle that reads its stores through public formats only."""
