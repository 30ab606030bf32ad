"""Triton decides when it is first imported whether it compiles or interprets: here it interprets."""

import os

os.environ.setdefault("TRITON_INTERPRET", "1")
