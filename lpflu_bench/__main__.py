"""``python -m lpflu_bench``."""

import sys

from lpflu_bench.cli import main

sys.exit(main())
