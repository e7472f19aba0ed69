"""Events on their way to webhooks: written down for each, signed, sent, tried again."""
