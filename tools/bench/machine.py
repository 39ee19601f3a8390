"""What a bench ran on, so that figures can be compared."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

FLAGS = ("aes", "vaes", "avx2", "avx512f", "avx512ifma", "sha_ni")
PACKAGES = ("qnet", "cryptography", "utls", "blake3", "uvloop")


def machine() -> dict[str, Any]:
    """Processor, flags, cores, load and versions."""
    info = _cpuinfo()
    flags = info.get("flags", "").split()
    return {
        "cpu": info.get("model name", platform.processor() or platform.machine()),
        "flags": [flag for flag in FLAGS if flag in flags],
        "cores": os.cpu_count(),
        "load_1m": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
    }


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured quantity.

    Attributes:
        name: What.
        unit: In what.
        samples: Every measurement.
    """

    name: str
    unit: str
    samples: Sequence[float]

    def row(self) -> dict[str, Any]:
        """The JSON row: median of n with its spread (half the range between quartiles)."""
        return {
            "name": self.name,
            "unit": self.unit,
            "n": len(self.samples),
            "qnet": round(statistics.median(self.samples), 3),
            "peer": None,
            "ratio": None,
            "spread": round(spread(self.samples), 3),
            "best": round(max(self.samples) if "/s" in self.unit else min(self.samples), 3),
        }


def cpu_seconds(pid: int) -> float:
    """Processor time a process has used, user and system; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def spread(samples: Sequence[float]) -> float:
    """Half the range between the quartiles; 0 for a single sample."""
    if len(samples) < 2:
        return 0.0
    low, _, high = statistics.quantiles(samples, n=4, method="inclusive")
    return (high - low) / 2


def _cpuinfo() -> dict[str, str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines if ":" in line)
    info: dict[str, str] = {}
    for key, _, value in pairs:
        info.setdefault(key.strip(), value.strip())
    return info
