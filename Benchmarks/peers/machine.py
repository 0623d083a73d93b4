"""What was measured on: facts for the head of the tables, without names or paths."""

import os
import platform
import subprocess
from pathlib import Path


def _first(path: str, key: str) -> str:
    for line in Path(path).read_text().splitlines():
        if line.startswith(key):
            return line.split(":", 1)[1].strip()
    return "unknown"


def facts() -> dict[str, str]:
    flags = _first("/proc/cpuinfo", "flags").split()
    wanted = ["avx2", "avx512f", "avx512_vnni", "avx512_bf16", "vpclmulqdq"]
    swift = subprocess.run(["swift", "--version"], capture_output=True, text=True).stdout
    release = platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    memory = int(_first("/proc/meminfo", "MemTotal").split()[0]) / 2**20
    return {
        "Processor": _first("/proc/cpuinfo", "model name")
        + f", {os.cpu_count()} cores (" + ", ".join(f for f in wanted if f in flags) + ")",
        "Memory": f"{memory:.0f} GiB",
        "System": f"{release}, Linux {platform.release()}",
        "Swift": next((w for w in swift.split() if w[0].isdigit()), "unknown"),
        "fio": subprocess.run(["fio", "--version"], capture_output=True, text=True).stdout.strip(),
    }
