"""`python -m handler`: the image's entry point, and the laptop's."""

import sys

from handler.main import main
from handler.timeline import Timeline

sys.exit(main(Timeline.of_process()))
