"""One run = one short-lived process, forked from a warmed fork server.

Whatever the training code does (raise, crash, hang, exhaust the memory) is then the exit of one
process and a status. The process sends plain bytes up a pipe: a JSON header and Arrow IPC streams.
"""

import contextlib
import importlib
import json
import math
import multiprocessing
import os
import pickle
import platform
import re
import resource
import signal
import sys
import threading
import time
import traceback
import types
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection, wait
from typing import Any

from analysis_lib.configuration import HEALTHY, Run
from analysis_lib.corpus.journal import Row, digest
from analysis_lib.corpus.schema import STATUSES, spec_id, to_bytes, trace_tables
from analysis_lib.errors import InputError

__all__ = ["GPU_TRAINER", "LOCK", "TRAINER", "clean", "resume_all", "run_child", "stop_all"]

TRAINER = "analysis_lib.training:train"
"""The trainer of the project: ``train(run) -> Trace``."""

GPU_TRAINER = "analysis_lib.training:train_on_gpu"
"""The same on the first GPU."""

LOCK = threading.Lock()
"""Held while a process is started or its exit code is read: multiprocessing polls all children
in ``start``, and two threads that read one exit code get the false code 255."""

_REFUSED = "refused"
_LARGEST = 64 * 2**20
_GRACE = 1.0
_LIVE: set = set()
_STOP = threading.Event()
_OUT_OF_MEMORY = re.compile(r"can't allocate memory|not enough memory|out of memory", re.I)


def clean(text: object, limit: int = 500) -> str:
    """Return text as one printable line of at most ``limit`` characters.

    Examples
    --------
    >>> clean("bad\\n\\x1b[31mred\\x00")
    'bad red'
    """
    try:
        text = str(text)
    except Exception:
        text = "(a message that cannot be shown)"
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text[: 20 * limit])
    text = "".join(c for c in text if c.isprintable() or c.isspace())
    text = re.sub(r"\s+", " ", text).strip()
    return text if len(text) <= limit else text[: limit - 3] + "..."


# ---------------------------------------------------------------------------- in the child


def _plain(value: object) -> object:
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, int | float | None) else clean(value)


def _environment() -> dict:
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in ("torch", "numpy", "pyarrow"):
        if module := sys.modules.get(name):
            found[name] = str(module.__version__)
    if torch := sys.modules.get("torch"):
        found["cpu_capability"] = torch.backends.cpu.get_cpu_capability()
        found["threads"] = torch.get_num_threads()
        if torch.cuda.is_initialized():  # only where the run itself has used one
            found["gpu"] = torch.cuda.get_device_name()
    return found


def _reserved() -> int:
    with contextlib.suppress(OSError), open("/proc/self/status") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("VmData")) * 1024
    return 0


def _limits(cpu_s: int, wall_s: float, memory_gib: float | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides
    for number in (signal.SIGXCPU, signal.SIGALRM, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 5))
    if memory_gib is not None:  # beyond what allocators and libraries have reserved by now
        size = int(memory_gib * 2**30) + _reserved()
        resource.setrlimit(resource.RLIMIT_DATA, (size, size))
    signal.setitimer(signal.ITIMER_REAL, wall_s)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("800")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-1:]
    places = [f"[{os.path.basename(f.filename)}:{f.lineno} in {f.name}]" for f in frames]
    return "".join(" " + clean(place, 120) for place in places)


def _found(trainer: str | bytes) -> Callable:
    if isinstance(trainer, bytes):
        try:
            return pickle.loads(trainer)
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            raise InputError(f"the trainer cannot be read from its pickle ({why})") from None
    module, _, name = trainer.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise InputError(f"no trainer '{trainer}' ({type(error).__name__}: {error})") from None


def _prepared(spec: Mapping, trainer: str | bytes) -> tuple[Callable, Run]:
    """Return what trains, and what is trained; refuse what this version does not know."""
    train = _found(trainer)
    run = Run.from_spec(spec)
    if trainer in (TRAINER, GPU_TRAINER):
        from analysis_lib.faults import get_operator
        from analysis_lib.programs import get_program

        program, operator = get_program(spec["program"]), spec["operator"]
        if operator != HEALTHY and (reason := get_operator(operator).applies(program)):
            raise InputError(f"operator '{operator}' does not apply to '{program.name}': {reason}")
    if trainer == GPU_TRAINER:
        from analysis_lib.training import find_device

        find_device("cuda")
    return train, run


def _train(train: Callable, run: Run) -> tuple[dict, list[bytes]]:
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
    trace = train(run)
    if trace.status not in ("ok", "nonfinite"):
        raise ValueError(f"the trainer returned the unknown status {trace.status!r}")
    tables = trace_tables(trace.epochs, trace.layers, expected=run.epochs)
    record = {str(k): _plain(v) for k, v in trace.record.items()}
    head = {"status": trace.status, "reason": clean(trace.reason or ""), "record": record}
    return head, [to_bytes(table) for table in tables]


def _main(pipe: Connection, spec: dict, trainer: str | bytes, limits: tuple) -> None:
    start = time.monotonic()
    _limits(*limits)
    blobs: list[bytes] = []
    head: dict[str, Any]
    try:
        try:
            train, run = _prepared(spec, trainer)
        except InputError as error:
            head = {"status": _REFUSED, "reason": clean(error, 2000)}
        else:
            head, blobs = _train(train, run)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        head = {"status": "crashed", "reason": f"left with exit code {code}"}
    except BaseException as error:
        memory = isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(clean(error))
        place = _place(error)
        kind = type(error).__name__
        reason = clean(f"{kind}: {clean(error)}", 500 - len(place)) + place
        head = {"status": "oom" if memory else "raised", "reason": reason}
    if sum(map(len, blobs)) > _LARGEST:
        head = {"status": "crashed", "reason": f"result is larger than {_LARGEST >> 20} MiB"}
        blobs = []
    used = resource.getrusage(resource.RUSAGE_SELF)
    head.setdefault("record", {})
    head["record"]["cpu_s"] = round(used.ru_utime + used.ru_stime, 3)
    head["record"]["wall_s"] = round(time.monotonic() - start, 3)
    head |= {"environment": _environment(), "digests": [digest(blob) for blob in blobs]}
    pipe.send_bytes(json.dumps(head, allow_nan=False).encode(errors="replace"))
    for blob in blobs:
        pipe.send_bytes(blob)
    pipe.close()
    os._exit(0)  # no exit handlers of whatever the run has loaded


# --------------------------------------------------------------------------- in the driver


def _start_once(context: Any, arguments: tuple) -> tuple:
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=_main, args=(writer, *arguments), daemon=True)
    with LOCK, writer:
        main = sys.modules["__main__"]
        try:  # the child must not import, let alone run, the script of the user
            if _STOP.is_set():
                raise InterruptedError("the generation was stopped")
            sys.modules["__main__"] = types.ModuleType("__main__")
            process.start()
            _LIVE.add(process)
        except BaseException:
            reader.close()
            raise
        finally:
            sys.modules["__main__"] = main
    return process, reader


def _start(arguments: tuple) -> tuple[multiprocessing.process.BaseProcess, Connection]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["analysis_lib.corpus.warm"])
    for pause in (0.05, 0.2, 0.8, 3.2, None):
        try:
            return _start_once(context, arguments)
        except InterruptedError:
            raise
        except (OSError, EOFError) as error:  # the fork server died; it is started anew
            if pause is None:
                raise RuntimeError(f"no process could be started: {clean(error)}") from error
        time.sleep(pause)
    raise AssertionError("unreachable")


def _exit_code(process: multiprocessing.process.BaseProcess, patience: float) -> int | None:
    wait([process.sentinel], patience)
    with LOCK:
        process.join(0)
        return process.exitcode


def _kernel_kills() -> int:
    with contextlib.suppress(OSError), open("/proc/vmstat") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("oom_kill "))
    return 0


def _receive(pipe: Connection, patience: float) -> tuple[dict, list[bytes]] | None:
    if not pipe.poll(patience):
        raise TimeoutError
    try:
        head = json.loads(pipe.recv_bytes(_LARGEST))
        blobs = [pipe.recv_bytes(_LARGEST) for _ in head["digests"]]
    except (EOFError, OSError, ValueError):
        return None
    return (head, blobs) if [digest(b) for b in blobs] == head["digests"] else None


def _from_exit(code: int | None, cpu_s: float, wall_s: float, oom: bool) -> tuple[str, str]:
    if code is None:
        return "crashed", "closed its pipe without a result"
    if code == -signal.SIGXCPU:
        return "cpu_limit", f"used more than {cpu_s} s of CPU time"
    if code == -signal.SIGALRM:
        return "timeout", f"took longer than {wall_s} s"
    if code == -signal.SIGKILL:
        return ("oom", "killed by the kernel: out of memory") if oom else ("killed", "SIGKILL")
    if code < 0:
        return "crashed", f"died by {signal.Signals(-code).name}"
    return "crashed", f"left with exit code {code}"


def _attempt(arguments: tuple) -> tuple[dict, list[bytes]]:
    _, _, (cpu_s, wall_s, _) = arguments
    kills, start = _kernel_kills(), time.monotonic()
    process, pipe = _start(arguments)
    try:
        with pipe:
            result = _receive(pipe, wall_s + 30)
        if result is not None:
            _exit_code(process, _GRACE)
            return result
        code = _exit_code(process, _GRACE)  # a dying process may need a moment to be dead
        oom = _kernel_kills() > kills
        status, reason = _from_exit(code, cpu_s, wall_s, oom)
    except TimeoutError:
        status, reason = "timeout", f"took longer than {wall_s} s and ignored its alarm"
    finally:
        if _exit_code(process, 0) is None:
            process.kill()
            _exit_code(process, _GRACE)
        with LOCK:
            _LIVE.discard(process)
    record = {"wall_s": round(time.monotonic() - start, 3)}
    return {"status": status, "reason": reason, "record": record, "environment": {}}, []


def run_child(
    spec: Mapping,
    *,
    trainer: str | bytes = TRAINER,
    cpu_s: int = 60,
    wall_s: float = 600,
    memory_gib: float | None = None,
) -> Row:
    """Train one run in a process of its own and return what became of it.

    Only a SIGKILL from outside earns a second attempt; everything else is a result.

    Parameters
    ----------
    spec : mapping
        ``run.spec``.
    trainer : str or bytes
        ``"module:function"``, importable in the child, which has the ``sys.path`` of the caller;
        or a pickle of the function, for one that the child could not import.
    cpu_s : int
        Limit of CPU time in seconds: status ``cpu_limit``.
    wall_s : float
        Limit of wall-clock time in seconds: status ``timeout``. A backstop, well above ``cpu_s``.
    memory_gib : float, optional
        Limit of what the run allocates beyond a warmed process, in GiB: status ``oom``.

    Returns
    -------
    Row
        With one of the statuses of :data:`analysis_lib.corpus.schema.STATUSES`.

    Raises
    ------
    InputError
        If the process knows neither the trainer nor this recipe, program or operator, or if this
        process may not start any. That is no result of the run, and nothing is to be recorded.
    """
    if multiprocessing.current_process().daemon:
        raise InputError(
            f"process {os.getpid()} on {platform.node()} may not start processes; start Dask "
            "workers with DASK_DISTRIBUTED__WORKER__DAEMON=False in their environment"
        )
    arguments = (dict(spec), trainer, (math.ceil(cpu_s), float(wall_s), memory_gib))
    attempts = 0
    head: dict[str, Any] = {"status": "killed"}
    while head["status"] == "killed" and attempts < 2:
        head, blobs = _attempt(arguments)
        attempts += 1
        if head["status"] == "killed" and _STOP.is_set():
            raise InterruptedError("the generation was stopped")
    if head["status"] == _REFUSED:
        raise InputError(
            f"the process that trains refuses {spec.get('program')}/{spec.get('operator')}: "
            f"{head['reason']}; plan and train with the same version of the project"
        )
    assert head["status"] in STATUSES
    epochs, layers = blobs or (None, None)
    return Row(
        run_id=spec_id(spec),
        spec=dict(spec),
        status=head["status"],
        reason=head["reason"],
        attempts=attempts,
        record=head["record"],
        environment=head["environment"],
        epochs=epochs,
        layers=layers,
        epochs_sha256=digest(epochs),
        layers_sha256=digest(layers),
    )


def stop_all() -> None:
    """Kill the processes of this driver; running calls of :func:`run_child` then raise."""
    _STOP.set()
    with LOCK:
        for process in _LIVE:
            with contextlib.suppress(OSError, ValueError):
                process.kill()


def resume_all() -> None:
    """Allow processes again after :func:`stop_all`."""
    _STOP.clear()
