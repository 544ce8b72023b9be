"""Attacks on synchronisations: links that are cut, servers under attack, what is done to them. See utils/sync-campaign."""

import os
import sys

# The client of the benchmarks.
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))
