"""The installation itself: its revision, its keys, its first rows."""
