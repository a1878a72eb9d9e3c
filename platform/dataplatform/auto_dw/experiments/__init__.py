"""What models, prompts and settings are worth: the same schemas judged with each, scored, and logged to MLflow.

In come Workspaces, what is to be compared, and the truth, which is taken away from the judge; out go runs with their
metrics, in MLflow or in a folder. It keeps an LLM's answers, and changes no verdict and no word of a schema.
The commands call it, and benchmarks/train_autodw.py, which logs what it learned by `log_run`; no wing does.
"""

from dataplatform.auto_dw.experiments.tracking import log_run

__all__ = ["log_run"]
