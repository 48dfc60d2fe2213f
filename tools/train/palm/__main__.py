"""Run ``python -m tools.train.palm``."""

import sys

from .main import main

sys.exit(main())
