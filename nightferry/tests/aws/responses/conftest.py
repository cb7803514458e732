"""The world of this folder, and botocore with a shared loader, because loading its models dominates a command."""

from __future__ import annotations

from collections.abc import Iterator

import botocore.handlers
import botocore.loaders
import botocore.retries.standard
import botocore.session
import pytest

from tests.aws.responses.commands import World, respond_instead_of_moto


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    loader = botocore.loaders.create_loader()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.loaders, "create_loader", lambda *_: loader)
        patch.setattr(botocore.retries.standard.ExponentialBackoff, "delay_amount", lambda *_: 0)
        handlers = [*botocore.handlers.BUILTIN_HANDLERS, ("before-call", respond_instead_of_moto)]
        patch.setattr(botocore.handlers, "BUILTIN_HANDLERS", handlers)
        world = World(tmp_path_factory.mktemp("toy") / "toy")
        with world.fake:
            world.fill()
            yield world
