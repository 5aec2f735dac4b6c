"""What all tests share."""

import importlib
import sys

sys.modules.setdefault("support", importlib.import_module("tests.support"))
