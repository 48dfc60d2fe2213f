"""Run ``python -m tools.train.popi``."""

import sys

from .main import main

sys.exit(main())
