"""`python -m handler`: the image's entry point, and the laptop's."""

import sys

from handler.main import main

sys.exit(main())
