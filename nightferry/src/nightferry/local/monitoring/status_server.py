"""``/health`` and ``/metrics``. The dashboard's application serves them behind its gate."""

from __future__ import annotations

import json

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nightferry.job.redaction import redactor
from nightferry.local.monitoring.health import Health
from nightferry.local.monitoring.metrics import CONTENT_TYPE, Metrics
from nightferry.printable import make_printable

HOST = "127.0.0.1"
DEFAULT_PORT = 8470


def create_routes(health: Health, metrics: Metrics) -> list[Route]:
    """Create the two routes."""

    async def get_health(_: Request) -> Response:
        problems = redactor.redact_value(await health.find_problems())  # because nobody logs in to read them
        body = {"status": "unhealthy" if problems else "healthy", "problems": problems}
        content = make_printable(json.dumps(body, ensure_ascii=False))
        return Response(content, 503 if problems else 200, media_type="application/json")

    async def get_metrics(_: Request) -> Response:
        return Response(metrics.render(), media_type=CONTENT_TYPE)

    return [Route("/health", get_health), Route("/metrics", get_metrics)]
