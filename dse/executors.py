"""Where designs are evaluated: in this process, in others beside it, or on a Dask cluster.

All three are a `concurrent.futures.Executor` behind one `Crew`, which hands out tasks, yields answers as
they come and hands out again what was lost with a worker. What comes out does not depend on who did the
work, nor on how it was cut into tasks, as long as the problem is deterministic and treats each row alone.

Processes import the main module of the script that starts them, so a script needs
``if __name__ == "__main__":`` around what it does.
"""

from __future__ import annotations

import math
import os
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from contextlib import ExitStack, contextmanager, nullcontext
from threading import Thread
from time import perf_counter
from types import MappingProxyType
from typing import Any

from siliform.graph_ir.errors import UserError, nearest

#: Names that `--executor` takes.
EXECUTORS = ("serial", "local", "dask")
#: One thread a worker: several processes share the cores already, and sums keep their order.
ONE_THREAD: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(
        (
            "OMP_NUM_THREADS",
            "OPENBLAS_NUM_THREADS",
            "MKL_NUM_THREADS",
            "VECLIB_MAXIMUM_THREADS",
            "NUMEXPR_NUM_THREADS",
            "NUMBA_NUM_THREADS",
        ),
        "1",
    )
)
_SECONDS_TO_CONNECT = 20.0
_SECONDS_TO_END = 10.0
_SECONDS_BETWEEN_COUNTS = 2.0
_SECONDS_FOR_A_WORKER = 120.0  # a batch system may take a while to start the first


class Pool(ABC):
    """An executor that can be had anew when its workers die.

    Attributes
    ----------
    workers : how many tasks run at once.
    lost : exceptions of a future whose worker died with it.
    deaths : how often a worker died of a task before `lost` is told.
    shares_fate : whether the death of one worker loses the tasks of all.
    """

    workers: int
    lost: tuple[type[BaseException], ...] = ()
    deaths = 1
    shares_fate = False

    @abstractmethod
    def submit(self, call: Callable[..., Any], *given: Any) -> Future[Any]:
        """Have something done."""

    @abstractmethod
    def close(self) -> None:
        """End the work at once, and with it the processes that were started for it."""

    def renew(self) -> None:
        """Have workers again, after some were lost."""
        self.close()


class Serial(Pool):
    """This process, by one thread: a task is done when it is handed out."""

    workers = 1

    def __init__(self) -> None:
        self._threads = ExitStack()
        self._threads.enter_context(_one_thread())

    def submit(self, call: Callable[..., Any], *given: Any) -> Future[Any]:
        """Do it now. Ctrl-C goes through; what the call raises is in the future, as elsewhere."""
        future: Future[Any] = Future()
        try:
            future.set_result(call(*given))
        except Exception as error:
            future.set_exception(error)
        return future

    def close(self) -> None:
        """Give the process its threads back."""
        self._threads.close()


class Local(Pool):
    """Processes beside this one, by loky, which notices when one of them dies."""

    shares_fate = True

    def __init__(self, workers: int) -> None:
        try:
            import loky
        except ImportError as error:
            raise _missing("loky", "local") from error
        self.workers = workers
        self._made = loky.ProcessPoolExecutor
        self.lost = (loky.process_executor.BrokenProcessPool,)
        self._executor: Executor | None = None

    def submit(self, call: Callable[..., Any], *given: Any) -> Future[Any]:
        """Have it done by the next free process."""
        try:
            with _sigint_blocked():
                if self._executor is None:
                    self._executor = self._made(
                        self.workers, env=dict(ONE_THREAD), initializer=_serve, initargs=(os.getpid(),)
                    )
                return self._executor.submit(call, *given)
        except self.lost as error:  # broke since the last answer: told as every loss is
            future: Future[Any] = Future()
            future.set_exception(error)
            return future

    def close(self) -> None:
        """Kill the processes; another task would start new ones."""
        if self._executor is None:
            return
        executor, self._executor = self._executor, None
        processes = list((getattr(executor, "_processes", None) or {}).values())
        # A worker that is killed may die with a lock of loky, whose thread then waits for ever: it is given a
        # while, and the processes are killed from here.
        ending = Thread(target=executor.shutdown, kwargs={"wait": True, "kill_workers": True}, daemon=True)
        ending.start()
        ending.join(_SECONDS_TO_END)
        if ending.is_alive():
            for process in processes:
                process.kill()
            ending.join(_SECONDS_TO_END)


class Dask(Pool):
    """The workers of a Dask scheduler; without an address, some processes on this machine."""

    deaths = 2  # Dask itself has tried it on other workers by then, but others may have shared those

    def __init__(self, workers: int, address: str | None) -> None:
        try:
            import distributed
        except ImportError as error:
            raise _missing("distributed", "dask") from error
        self.lost = (distributed.KilledWorker,)
        self.address = address
        self._cluster: Any = None
        if address is None:
            self._cluster = distributed.LocalCluster(
                n_workers=workers, threads_per_worker=1, dashboard_address=None, env=dict(ONE_THREAD)
            )
        try:
            self._client = distributed.Client(self._cluster or address, timeout=_SECONDS_TO_CONNECT)
        except (OSError, TimeoutError, ValueError) as error:
            raise _unreachable(address, f"no scheduler answers there ({error})") from error
        try:
            self._client.wait_for_workers(1, timeout=_SECONDS_FOR_A_WORKER)
        except TimeoutError as error:
            self.close()
            raise _unreachable(address, "a scheduler without a worker") from error
        self._count, self._counted_at = 1, -math.inf
        self._executor = self._client.get_executor(retries=3, pure=False)

    @property
    def workers(self) -> int:  # type: ignore[override]
        """Threads of the workers that are there, asked every few seconds; a cluster may grow and shrink."""
        if perf_counter() - self._counted_at > _SECONDS_BETWEEN_COUNTS:
            try:
                self._count = max(1, sum(self._client.nthreads().values()))
            except OSError as error:
                raise scheduler_gone() from error
            self._counted_at = perf_counter()
        return self._count

    def submit(self, call: Callable[..., Any], *given: Any) -> Future[Any]:
        """Have it done by any worker."""
        try:
            found: Future[Any] = self._executor.submit(call, *given)
        except OSError as error:
            raise scheduler_gone() from error
        return found

    def renew(self) -> None:
        """The scheduler goes on with the workers that are left."""

    def close(self) -> None:
        """Take back what is not done, and end the processes that were started for it."""
        if hasattr(self, "_executor"):
            self._executor.shutdown(wait=False)
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()


def pool_named(name: str, jobs: int, address: str | None = None) -> Pool:
    """The pool of a name in `EXECUTORS`; "local" with one job is this process.

    Raises
    ------
    UserError : another name, less than one job, an address without Dask, a scheduler that does not answer.
    """
    asked = f"--executor {name} --jobs {jobs}" + (f" --address {address}" if address else "")
    if name not in EXECUTORS:
        found, advice = "no executor of that name", f"use one of the nearest: {nearest(name, EXECUTORS)}"
    elif jobs < 1:
        found, advice = "less than one job", "give 1 or more"
    elif address is not None and name != "dask":
        found, advice = "an address, which only dask has a use for", "add --executor dask, or leave it out"
    elif name == "dask":
        return Dask(jobs, address)
    else:
        return Serial() if name == "serial" or jobs == 1 else Local(jobs)
    raise UserError(asked=asked, found=found, where="--executor", next_step=advice)


@contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Threads and processes started inside never see Ctrl-C; this thread sees it at the end.

    A process inherits what is blocked, so that none dies of Ctrl-C before it has come to `_serve`, with a
    lock of loky that others then wait for.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Inside, this process computes by one thread, as workers do: the libraries it has and those to come."""
    # Numba refuses to compile once its own variable has changed; its sums are the same by any number.
    told = {name: value for name, value in ONE_THREAD.items() if not name.startswith("NUMBA")}
    before = {name: os.environ.get(name) for name in told}
    os.environ.update(told)
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else os.cpu_count() or 1
    if torch:
        torch.set_num_threads(1)
    try:
        from threadpoolctl import threadpool_limits

        limited: Any = threadpool_limits(1)
    except ImportError:  # comes with scikit-learn; BLAS then keeps its threads
        limited = nullcontext()
    try:
        with limited:
            yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(threads)


def _serve(master: int) -> None:
    """In a worker: leave Ctrl-C to the process that started it, and end when that one is gone.

    A master that is killed cannot say so, and loky's workers would wait for ever. PR_SET_PDEATHSIG would be
    wrong here: it tells of the death of a thread, and loky starts processes from several.
    """
    import threading
    import time

    def watch() -> None:
        while os.getppid() == master:
            time.sleep(0.5)
        os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=watch, daemon=True).start()


def scheduler_gone() -> UserError:
    """A Dask scheduler that went away while it had tasks."""
    return UserError(
        asked="answers of the workers",
        found="the scheduler that had the tasks is gone",
        where="--executor dask",
        next_step="start it again and resume: all that was finished is in the store",
    )


def _missing(package: str, executor: str) -> UserError:
    return UserError(
        asked=f"--executor {executor}",
        found=f"the package {package} is not installed",
        where="--executor",
        next_step=f"pip install {package}, or use --executor serial",
    )


def _unreachable(address: str | None, found: str) -> UserError:
    return UserError(
        asked=f"a Dask cluster at {address or 'this machine'}",
        found=found,
        where="--address",
        next_step="start `dask scheduler` and `dask worker ADDRESS --nthreads 1`, and give its address",
    )
