"""Never gets beyond its import."""

import time

time.sleep(1_000)
