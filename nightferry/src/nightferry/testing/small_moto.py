"""Import moto in half of the time, and with 50 MB less memory.

moto's module of EC2 reads all instance types of all regions, which nothing on Fargate has, and loads botocore's list of
regions three times.
"""

from __future__ import annotations

import sys
from unittest import mock

from nightferry.credentials import new_botocore_session
from nightferry.errors import needs_extra


def import_ec2() -> None:
    """Import moto's module of EC2, without its instance types, before anything else imports it."""
    if "moto.ec2.models" in sys.modules:
        return
    with needs_extra("testing"):
        from moto.utilities import utils

    load = utils.load_resource
    loader = new_botocore_session().get_component("data_loader")
    with (
        mock.patch("moto.utilities.utils.load_resource", lambda name: {} if "instance_type" in name else load(name)),
        mock.patch("botocore.loaders.create_loader", return_value=loader),
    ):
        import moto.ec2.models  # noqa: F401
