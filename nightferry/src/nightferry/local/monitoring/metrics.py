"""The engine's figures for Prometheus. docs/local-engine.md names every one of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from nightferry.catalog.catalog import Catalog
from nightferry.contract import StopCode
from nightferry.local.store import RunRecord, StartRecord, Store
from nightferry.local.triggers.scheduler import Scheduler

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_DURATIONS = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600)  # seconds


def classify_run(record: RunRecord) -> str:
    """How a run ended, in one word."""
    if record.run.exit_code == 0:
        return "succeeded"
    if record.run.stop_code == StopCode.NOT_STARTED:
        return "not_started"
    return "stopped" if record.run.stop_code in (StopCode.BY_USER, StopCode.TERMINATED) else "failed"


class Metrics:
    """Counts what happens while this engine works, and reads what is there from the store when asked."""

    def __init__(self, store: Store, catalog: Catalog, scheduler: Scheduler, running: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._runs = Counter(
            "nightferry_runs", "Runs that ended, since the engine began.", ("task", "status"), registry=self._registry
        )
        self._durations = Histogram(
            "nightferry_run_duration_seconds",
            "From a process's start to its end.",
            ("task", "status"),
            buckets=_DURATIONS,
            registry=self._registry,
        )
        self._waits = Histogram(
            "nightferry_run_wait_seconds",
            "From asking for a run to its process's start.",
            ("task",),
            buckets=_DURATIONS,
            registry=self._registry,
        )
        self._starts = Counter(
            "nightferry_starts",
            "Starts by schedules and triggers that were decided upon, since the engine began.",
            ("source", "outcome"),
            registry=self._registry,
        )
        Gauge(
            "nightferry_engine_start_time_seconds", "When the engine began.", registry=self._registry
        ).set_to_current_time()
        self._registry.register(_StoreCollector(store, catalog, scheduler, running))

    def run_ended(self, record: RunRecord) -> None:
        """A run has stopped."""
        run, status = record.run, classify_run(record)
        self._runs.labels(run.task, status).inc()
        if run.started_at is not None:
            self._waits.labels(run.task).observe(max(0.0, (run.started_at - run.created_at).total_seconds()))
            if run.stopped_at is not None:
                took = (run.stopped_at - run.started_at).total_seconds()
                self._durations.labels(run.task, status).observe(max(0.0, took))

    def start_decided(self, start: StartRecord) -> None:
        """A schedule or trigger has started something, or not."""
        self._starts.labels(start.source, start.outcome).inc()

    def render(self) -> bytes:
        """All figures in Prometheus's text format."""
        return generate_latest(self._registry)


class _StoreCollector(Collector):
    """What there is at this moment."""

    def __init__(self, store: Store, catalog: Catalog, scheduler: Scheduler, running: Callable[[], int]) -> None:
        self._store = store
        self._catalog = catalog
        self._scheduler = scheduler
        self._running = running

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing is read before somebody asks."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges."""
        queue = GaugeMetricFamily("nightferry_queued_runs", "Runs that wait their turn.", labels=("task",))
        depths = self._store.queue_depths()
        for task in sorted({*self._catalog.tasks, *depths}):
            queue.add_metric((task,), depths.get(task, 0))
        yield queue
        yield GaugeMetricFamily("nightferry_running_runs", "Runs at work.", value=self._running())
        executions = GaugeMetricFamily(
            "nightferry_open_executions", "Executions that have not ended.", labels=("workflow",)
        )
        opened = self._store.open_counts()
        for workflow in sorted({*self._catalog.workflows, *opened}):
            executions.add_metric((workflow,), opened.get(workflow, 0))
        yield executions
        yield GaugeMetricFamily(
            "nightferry_scheduler_lag_seconds",
            "How long the oldest due start has waited; 0 when none is due.",
            value=self._scheduler.overdue(),
        )
        yield GaugeMetricFamily(
            "nightferry_scheduler_lateness_seconds",
            "How long after its time the last scheduled start was made.",
            value=self._scheduler.lateness,
        )
        due = GaugeMetricFamily("nightferry_schedule_next_fire_seconds", "When it fires next.", labels=("schedule",))
        for time, name in self._scheduler.next_fires():
            due.add_metric((name,), time.timestamp())
        yield due
        size = sum(file.stat().st_size for file in self._store.file.parent.glob(self._store.file.name + "*"))
        yield GaugeMetricFamily("nightferry_store_bytes", "Size of the store's files.", value=size)
        process = psutil.Process(os.getpid())
        yield GaugeMetricFamily(
            "nightferry_engine_memory_bytes", "Memory of the engine.", value=process.memory_info().rss
        )
        yield GaugeMetricFamily("nightferry_engine_open_files", "Open files of the engine.", value=process.num_fds())
