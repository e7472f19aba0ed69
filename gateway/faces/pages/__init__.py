"""Pages for people without a login: what a customer publishes for a domain, and how far that is."""
