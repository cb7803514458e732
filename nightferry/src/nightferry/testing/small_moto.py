"""Import moto in half of the time and with 50 MB less memory, and shorten its resets and requests.

moto's module of EC2 reads all instance types of all regions, and each reset creates hundreds of machine images; nothing
on Fargate has them. It also loads botocore's list of regions three times. moto's server lists the folders of its
package for each request.
"""

from __future__ import annotations

import re
import sys
from unittest import mock

from nightferry.credentials import new_botocore_session
from nightferry.errors import needs_extra

_UNUSED = re.compile("instance_type|amis")  # in the names of moto's files


def import_ec2() -> None:
    """Import moto's module of EC2, without instance types and images, before anything else imports it."""
    if "moto.ec2.models" in sys.modules:
        return
    with needs_extra("testing"):
        from moto import backends
        from moto.utilities import utils

    modules = frozenset(backends.list_of_moto_modules())
    backends.list_of_moto_modules = lambda: modules
    load = utils.load_resource
    loader = new_botocore_session().get_component("data_loader")
    with (
        mock.patch("moto.utilities.utils.load_resource", lambda name: {} if _UNUSED.search(name) else load(name)),
        mock.patch("botocore.loaders.create_loader", return_value=loader),
    ):
        import moto.ec2.models  # noqa: F401
