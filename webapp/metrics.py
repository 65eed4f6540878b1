"""What this process tells Prometheus: nothing is counted for it alone, the parts' own state is read when it asks."""

import os
from collections.abc import Callable, Iterator

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from webapp import __version__
from webapp.rendering import build
from webapp.responses import READ
from webapp.vitals import Reading, Vitals

router = APIRouter()

Values = dict[tuple[str, ...], float]
# Name, what it is, its labels, and the values of a reading by the labels' values.
Family = tuple[str, str, tuple[str, ...], Callable[[Reading], Values]]

_GAUGES: tuple[Family, ...] = (
    (
        "feed_lag_seconds",
        "How long ago the moment is up to which every committed change has been told to the views.",
        (),
        lambda now: {(): now.feed_lag_s},
    ),
    (
        "sockets",
        "Open WebSockets: pages on /live, programs on /messages.",
        ("endpoint",),
        lambda now: {("/live",): now.pages, ("/messages",): now.programs},
    ),
    (
        "views",
        "Live views: those that somebody looks at, and those kept for who returns.",
        ("state",),
        lambda now: {("watched",): now.views_watched, ("kept",): now.views_kept},
    ),
    (
        "courier_busy",
        "1 while this process notifies on behalf of all writers.",
        (),
        lambda now: {(): now.courier_is_busy},
    ),
    (
        "pool_connections",
        "Connections of the database pool.",
        ("state",),
        lambda now: {("in_use",): now.pool_in_use, ("idle",): now.pool_idle},
    ),
    (
        "pool_waiting",
        "Requests and views that wait for a connection of the database pool.",
        (),
        lambda now: {(): now.pool_waiting},
    ),
)
_COUNTERS: tuple[Family, ...] = (
    ("changes", "Committed changes that the feed has told.", (), lambda now: {(): now.changes}),
    ("resyncs", "How often the feed had everything shown afresh.", (), lambda now: {(): now.resyncs}),
    ("frames", "Frames written to sockets.", (), lambda now: {(): now.frames}),
    ("frame_bytes", "Bytes of the frames written to sockets.", (), lambda now: {(): now.frame_bytes}),
    ("renders", "Templates rendered.", (), lambda now: {(): now.renders}),
    (
        "conflations",
        "Times a client was passed over, to get the newest state later: it was slow, or had had its share of frames.",
        ("reason",),
        lambda now: {("slow",): now.passed_over, ("share",): now.postponed},
    ),
)


class VitalsCollector(Collector):
    """Makes metrics of the vital signs."""

    def __init__(self, vitals: Vitals) -> None:
        self._vitals = vitals

    def collect(self) -> Iterator[Metric]:
        """Read everything at one moment."""
        now, database = self._vitals.read(), self._vitals.database
        for families, kind in ((_GAUGES, GaugeMetricFamily), (_COUNTERS, CounterMetricFamily)):
            for name, text, labels, values in families:
                family = kind(f"live_inventory_{name}", text, labels=labels)
                for label_values, value in values(now).items():
                    family.add_metric(label_values, value)
                yield family
        if database.notify_queue_use is not None:
            text = "How full the NOTIFY queue of the whole PostgreSQL server is, from 0 to 1; asked every minute."
            yield GaugeMetricFamily("live_inventory_notify_queue_usage_ratio", text, database.notify_queue_use)
        yield InfoMetricFamily(
            "live_inventory_build",
            "What runs: release, digest of templates and static files, version of PostgreSQL.",
            {"version": __version__, "build": build(), "postgresql": database.version or ""},
        )


class Registry(Collector):
    """The metrics of one application. Each process answers for itself, so its number is a label of every sample."""

    def __init__(self, *collectors: Collector) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        for collector in collectors:
            self._registry.register(collector)

    def collect(self) -> Iterator[Metric]:
        """Read all of them."""
        pid = {"pid": str(os.getpid())}
        for metric in self._registry.collect():
            metric.samples = [
                sample._replace(labels={**sample.labels, **pid})
                for sample in metric.samples
                if not sample.name.endswith("_created")  # process_start_time_seconds says it once for all
            ]
            yield metric


@router.api_route("/metrics", methods=READ)
async def metrics(request: Request) -> Response:
    """Answer Prometheus in the format that it asks for."""
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    headers = {"Content-Type": content_type, "Cache-Control": "no-store"}
    return Response(encode(request.app.state.metrics), headers=headers)
