"""Runs of a source: which moves, in which order, side by side; going on after a crash; replays."""

from dataplatform.runs.order import EntityResult, Order, RunResult
from dataplatform.runs.run import run

__all__ = ["EntityResult", "Order", "RunResult", "run"]
