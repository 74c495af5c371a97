"""Constructs an encoder once with the network on, so that it fetches what it will need without.

Run by path in the submission's own environment and behind its locks: argument 1 is the folder of
auricle's `child.py`, whose way of importing encoders is used, argument 2 the order as JSON. The
last line that is printed says how many parameters the encoder has: ``{"num_parameters": n}``.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def main() -> int:
    """Import the class and make one of it."""
    sys.path.insert(0, sys.argv[1])
    import child  # type: ignore[import-not-found]

    del sys.path[0]
    order: dict[str, Any] = json.loads(sys.argv[2])
    maker = child.Child(-1, [])
    try:
        maker.load(order)
    except BaseException as error:  # SystemExit too, as where encoders are checked
        here = error.__traceback__
        told = child.describe(error.with_traceback(here.tb_next if here else None))
        sys.stderr.write(f"\n{told.get('traceback') or told['text']}\n")
        return 1
    number = maker.number_of_parameters()
    sys.stdout.write("\n" + json.dumps({"num_parameters": number}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
