"""How a stack looks on a terminal."""

from __future__ import annotations

import time

from jeex_cli.ops.lifecycle import StackReport
from jeex_cli.output import Output, duration, table
from jeex_cli.runtimes.base import ServiceState


def stack_table(output: Output, report: StackReport) -> str:
    """Services, states, since when, and addresses; what went wrong stands below it."""
    # What runs once and has done its work is no news, unless this command ran it.
    shown = [
        one for one in report.services if one.port or one.name in report.took or one.status not in ("completed", "stopped")
    ]
    rows = [[service.title, service.status, _when(service, report), _where(service)] for service in shown]
    lines = table(("SERVICE", "STATE", "STARTED IN" if report.took else "SINCE", "ADDRESS"), rows).splitlines()
    colors = ["2", *["" if service.status == "running" else "33" if service.ok else "31" for service in shown]]
    lines = [
        output.paint(line, color) if color and output.stdout.isatty() else line
        for line, color in zip(lines, colors, strict=True)
    ]
    lines += [f"{service.title}: {service.detail}" for service in shown if service.detail]
    lines += [
        f"{service.title} has port {service.port}, for {report.moved[service.name]} was taken (jeex ports)"
        for service in shown
        if service.name in report.moved
    ]
    if report.queue is not None and (report.queue.waiting or report.queue.running):
        late = f", the oldest for {duration(report.queue.oldest)}" if report.queue.oldest >= 1 else ""
        lines.append(f"queue: {report.queue.waiting} waiting{late}, {report.queue.running} running (jeex jobs list)")
    if any(service.status in ("crashed", "failed", "unhealthy") for service in shown):
        lines.append("`jeex up` starts what is down; `jeex logs SERVICE` shows why it ended.")
    elif all(service.status == "stopped" for service in shown):
        lines.append("`jeex up` starts it.")
    return "\n".join([*lines, f"runtime: {report.runtime}, {report.seconds:.2f} s"])


def next_steps(report: StackReport) -> str:
    """What a person would do after the first `up`."""
    api = next((service.address for service in report.services if service.name == "api" and service.address), None)
    lines = ["Next:", "  jeex tenant create acme --admin alice@acme.example  a tenant and its key"]
    if api:
        lines.append(f"  {api:<51} the API, to try out")
    lines.append("  jeex logs -f                                        what happens")
    return "\n".join(lines)


def _when(service: ServiceState, report: StackReport) -> str:
    if report.took:
        return f"{report.took[service.name]:.2f} s" if service.name in report.took else ""
    if service.since is None:
        return ""
    return f"{duration(max(0.0, time.time() - service.since))} ago"


def _where(service: ServiceState) -> str:
    if service.address:
        return service.address
    return f"127.0.0.1:{service.port}" if service.port else ""
