"""The watch over custom domains: looked at by a schedule, remembered, and moved from state to state."""
