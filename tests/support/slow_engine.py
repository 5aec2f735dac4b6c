"""An engine whose imports never end."""

import time

time.sleep(600)
