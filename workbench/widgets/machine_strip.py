"""One row about the machine: processor, memory, load, GPU, and what the run takes of them."""

from rich.text import Text

from workbench.machine import Usage
from workbench.widgets.rows import Line


class MachineStrip(Line):
    """Shows one look at the machine; nothing is sent for what stays as it was."""

    DEFAULT_CSS = "MachineStrip { color: $text-muted; }"

    def show_host(self, host: str) -> None:
        """Say where a run is whose machine cannot be asked: what is used of this one says nothing about it."""
        self.show(Text(f" on {host}, not this machine", no_wrap=True))

    def show_usage(self, usage: Usage) -> None:
        """Write what is used, the run first."""
        parts = []
        if usage.run_gib is not None:
            percent = "-" if usage.run_percent is None else f"{usage.run_percent:,}"
            parts.append(f"run {percent:>3} % of a core {usage.run_gib:.1f} GiB")
        for place, gpu in enumerate(usage.gpus):
            name = "gpu" if len(usage.gpus) == 1 else f"gpu{place}"
            parts.append(f"{name} {gpu.percent:>3} % {gpu.used_gib:.1f}/{gpu.total_gib:.0f} GiB")
        parts.append(f"cpu {usage.cpu_percent:>3} %")
        parts.append(f"mem {usage.used_gib:.1f}/{usage.total_gib:.0f} GiB")
        parts.append(f"load {usage.load:.1f}/{usage.cores}")
        self.show(Text(" " + "  ".join(parts), no_wrap=True))
