"""How rules name lists. Pure."""

from __future__ import annotations

import re

LIST_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?")
LIST_NAME_RULE = "1 to 63 of a-z, 0-9 and . _ -, a letter or digit first and last"
