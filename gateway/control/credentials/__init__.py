"""App passwords: how they look, how they are kept, and who may come in with one."""
