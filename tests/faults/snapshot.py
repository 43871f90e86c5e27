"""One snapshot and its copies: `python -m tests.faults.snapshot RUNTIME_API…`, one copy for each address.

The process is forked where Lambda takes its snapshot: the model is loaded, and nothing was asked yet. A fork copies the
memory as a restored snapshot has it, seeds and caches included. It copies no threads, so the model runs on one.
"""

import os
import sys

from handler.access import access_of
from handler.main import _LIGHTER, _serve_lambda, build_app
from handler.request_log import request_log_of
from handler.settings import load_lambda_environment, load_settings
from handler.timeline import Timeline


def main(addresses: list[str]) -> int:
    for name, value in _LIGHTER.items():
        os.environ.setdefault(name, value)
    os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"] = "snap-start"
    settings = load_settings()
    log = request_log_of(settings, load_lambda_environment())
    access = access_of(settings, on_lambda=True)
    app = build_app(settings, Timeline(), access, log)
    copies = []
    for address in addresses:
        os.environ["AWS_LAMBDA_RUNTIME_API"] = address
        if (pid := os.fork()) == 0:
            _serve_lambda(app, settings, load_lambda_environment(), address, access.on_restore, log)
            return 0
        copies.append(pid)
    return max(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in copies)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
