"""When dysonsim was imported: a source file that has changed since is not what was imported (`cache.py`)."""

from __future__ import annotations

import time

CLOCK = 0.01  # seconds by which the time stamps of files may lag behind
IMPORTED = time.time() - CLOCK
