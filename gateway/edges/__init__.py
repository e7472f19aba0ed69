"""Where the world talks to us: parse, gather facts, ask, reply. No rules, no SQL."""
