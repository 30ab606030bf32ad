"""Serving: requests with prompts and answers, batched on one design over time."""

from siliform.simulator.serving.batching import BATCHINGS, first_fit_decreasing
from siliform.simulator.serving.memory import KvMemory
from siliform.simulator.serving.report import ServingReport, Setting
from siliform.simulator.serving.request import ServingRequest
from siliform.simulator.serving.server import Policy, Run, Served, Step, run_server
from siliform.simulator.serving.source import generate_requests, requests_from_csv
from siliform.simulator.serving.stepcost import Cost, StepCost

__all__ = [
    "BATCHINGS",
    "Cost",
    "KvMemory",
    "Policy",
    "Run",
    "Served",
    "ServingReport",
    "ServingRequest",
    "Setting",
    "Step",
    "StepCost",
    "first_fit_decreasing",
    "generate_requests",
    "requests_from_csv",
    "run_server",
]
