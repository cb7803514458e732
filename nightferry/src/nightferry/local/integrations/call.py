"""``python -m nightferry.local.integrations.call PACKAGE.MODULE:CALLABLE``: call a function's local callable.

Standard input contains the argument as JSON. Standard output receives ``{"output": …}``, or
``{"errorType": …, "errorMessage": …}`` if the callable raises an exception. Anything that the callable prints goes to
standard error. Only messages of exceptions written for users are included, because the result is stored in the
execution's history and other messages may quote data.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any


def main() -> None:
    """Call the callable once."""
    output_file = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with output_file:
        json.dump(_call(sys.argv[1], json.load(sys.stdin)), output_file)


def _call(target: str, argument: Any) -> dict[str, Any]:
    from nightferry.errors import NightferryError
    from nightferry.states import StatesError

    try:
        module, _, name = target.partition(":")
        function = getattr(importlib.import_module(module), name)
        output = function(argument)
        json.dumps(output, allow_nan=False)
    except StatesError as error:
        return {"errorType": error.error or "", "errorMessage": error.cause or ""}
    except Exception as error:
        message = str(error) if isinstance(error, NightferryError | ImportError | AttributeError) else ""
        return {"errorType": type(error).__name__, "errorMessage": message}
    return {"output": output}


if __name__ == "__main__":
    main()
