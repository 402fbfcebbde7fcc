"""The real server with one crash point armed: `LSP_AGENT_CRASH_AT=name[:n] python -m tests.crash.child serve …`."""

import os
import sys

from lsp_agent.__main__ import main
from tests.crash.points import arm

if __name__ == "__main__":
    arm(os.environ["LSP_AGENT_CRASH_AT"])
    sys.exit(main())
