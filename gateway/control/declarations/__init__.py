"""What an installation is to have, in files: planned, applied all or nothing, exported."""
