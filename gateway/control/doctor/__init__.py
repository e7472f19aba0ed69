"""Looking at the whole installation from outside in: what is right, what is not, and what to do about it."""
