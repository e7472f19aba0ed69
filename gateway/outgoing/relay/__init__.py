"""Takes queued mail onward: fair order, connections, transactions, outcomes."""
