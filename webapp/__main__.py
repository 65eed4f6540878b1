"""`python -m webapp` is the console command."""

import sys

from webapp.cli import main

sys.exit(main())
