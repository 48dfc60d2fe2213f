"""``python -m pocketpref`` is the command ``pocketpref``."""

import sys

from pocketpref.cli import main

if __name__ == "__main__":
    sys.exit(main())
