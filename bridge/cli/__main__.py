# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m bridge.cli`."""

import sys

from bridge.cli import main

sys.exit(main())
