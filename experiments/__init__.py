"""The commands. Their imports take seconds, in which Ctrl-C may come already."""

import multiprocessing
import os
import sys

from jmpose_jax import stopping

# Python's name of a program that it is about to look for is "-m"; ours is installed as `jmpose`.
if os.path.basename((sys.argv or [""])[0]) in ("-m", "jmpose") and multiprocessing.parent_process() is None:
    stopping.install(loading=True)
