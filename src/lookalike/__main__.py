"""`python -m lookalike` is `lookalike`."""

import sys

from lookalike.cli import program

sys.exit(program())
