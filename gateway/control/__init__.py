"""The control plane: what lasts and changes seldom. Models, rules and transactions of every resource."""
