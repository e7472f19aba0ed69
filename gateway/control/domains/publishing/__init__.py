"""The platform's own zones: what should stand in them, putting it there, and taking it back."""
