"""Run ``python -m tools.train.profile_to_peft``."""

import sys

from .main import main

sys.exit(main())
