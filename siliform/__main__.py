"""``python -m siliform`` is the command line."""

from siliform.cli import main

main()
