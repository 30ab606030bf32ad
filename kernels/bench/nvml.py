"""Clocks, power and energy counter of a GPU, by NVML, else by nvidia-smi, else not at all; nothing is set."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from siliform.kernels.bench.energy import NoEnergy

_QUERY = "clocks.sm,clocks.mem,power.draw,temperature.gpu"
_NOTHING: Mapping[str, float | None] = {
    "sm_hz": None,
    "memory_hz": None,
    "power_w": None,
    "temperature_c": None,
}
SMI_S = 5.0  # assumption: nvidia-smi answers within a second


@dataclass(frozen=True)
class Sensors:
    """What can be read of one GPU. `nvml` and `handle` are None where pynvml is not there or found none.

    `uuid` is as NVML spells it ("GPU-..."), since indices of NVML and CUDA differ where devices are hidden.
    """

    uuid: str
    nvml: ModuleType | None
    handle: Any

    @classmethod
    def of(cls, uuid: str) -> Sensors:
        """The sensors of the GPU of that UUID."""
        try:
            import pynvml
        except ImportError:
            return cls(uuid, None, None)
        try:
            pynvml.nvmlInit()
            return cls(uuid, pynvml, pynvml.nvmlDeviceGetHandleByUUID(uuid))
        except pynvml.NVMLError:  # a driver without NVML, or one that hides it: nvidia-smi is asked instead
            return cls(uuid, None, None)

    def driver(self) -> str | None:
        """The driver's version."""
        if self.nvml is not None:
            told: str | bytes = self.nvml.nvmlSystemGetDriverVersion()
            return told if isinstance(told, str) else told.decode()
        return _smi(self.uuid, "driver_version")

    def clocks(self) -> Mapping[str, float | None]:
        """Clocks in hertz, power and temperature as they are now; None for what cannot be read."""
        if self.nvml is None:
            return parsed_clocks(_smi(self.uuid, _QUERY))
        nvml, handle = self.nvml, self.handle
        return {
            "sm_hz": self._asked(lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM) * 1e6),
            "memory_hz": self._asked(lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM) * 1e6),
            "power_w": self._asked(lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1e3),
            "temperature_c": self._asked(
                lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)
            ),
        }

    def energy_j(self) -> float:
        """The counter of the board's energy in joules; NoEnergy where there is none."""
        if self.nvml is None:
            raise NoEnergy("NVML cannot be asked (pip install nvidia-ml-py)")
        try:
            return float(self.nvml.nvmlDeviceGetTotalEnergyConsumption(self.handle)) / 1e3
        except self.nvml.NVMLError as error:
            raise NoEnergy(f"NVML has no energy counter of this GPU: {error}") from error

    def _asked(self, read: Any) -> float | None:
        assert self.nvml is not None
        try:
            return float(read())
        except self.nvml.NVMLError:
            return None


def parsed_clocks(told: str | None) -> Mapping[str, float | None]:
    """What nvidia-smi answers to the query of clocks (MHz), power (W) and temperature, by its names here."""
    words = [word.strip() for word in (told or "").split(",")]
    if len(words) != len(_NOTHING):
        return _NOTHING
    scales = (1e6, 1e6, 1.0, 1.0)
    return {
        name: float(word) * scale if word.replace(".", "", 1).isdigit() else None
        for name, word, scale in zip(_NOTHING, words, scales, strict=True)
    }


def _smi(uuid: str, query: str) -> str | None:
    """One line of what nvidia-smi answers; None where it is not there or refuses."""
    command = ["nvidia-smi", f"--id={uuid}", f"--query-gpu={query}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SMI_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
