"""Test the background work of calls: it can be canceled more than once."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from nightferry.local.integrations.resource_call import Background, ResourceCall


def test_a_second_cancellation_does_not_interrupt_the_cleanup() -> None:
    steps: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            steps.append("cleaned up")

    async def main() -> None:
        background = Background()
        call = cast(Any, type("Token", (), {"token": "t"})())
        background.begin(cast(ResourceCall, call), work())
        await asyncio.sleep(0)
        background.cancel("t")
        await asyncio.sleep(0)
        await background.close()

    asyncio.run(main())
    assert steps == ["cleaned up"]
