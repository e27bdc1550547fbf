"""Parallel: jobs in this process, in worker processes, in any executor, or on a Dask cluster.

- ``Workers``: runs jobs; results do not depend on the number of workers
- ``Flow``: jobs given one by one, results as they finish
- ``ExecutorLike``: what may run jobs: an executor, a function that makes one, or a Dask address
- ``WorkerLost``: the result of a job whose worker died
- ``WorkersGoneError``: the cluster itself is gone
"""

from gaaf_gp.parallel.executors import ExecutorLike, Flow, Workers
from gaaf_gp.parallel.transfer import WorkerLost, WorkersGoneError

__all__ = [
    "ExecutorLike",
    "Flow",
    "WorkerLost",
    "Workers",
    "WorkersGoneError",
]
