"""The way of a message out: intake, policy, signing, queue, relay."""
