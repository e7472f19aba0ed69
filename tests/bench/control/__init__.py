"""How fast the control plane is: provisioning, lists, how soon every worker obeys, memory."""
