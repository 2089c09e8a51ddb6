"""Measure the engine and write data/reports/scale.csv, which the book shows: make bench.

Every row: name, value, unit, goal, what was measured. Times are wall-clock seconds beside whatever
else the machine is doing, the best of some rounds; the load before each part is in the report.
Parts can be measured anew alone: python tests/benchmarks/scale.py engines
To see that it runs, without the recorded report: python tests/benchmarks/scale.py --quick --out DIR
"""

import argparse
import contextlib
import csv
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).parent
KITS = [str(HERE), str(HERE.parent / "corpus")]
sys.path[:0] = KITS
os.environ["PYTHONPATH"] = os.pathsep.join([*KITS, os.environ.get("PYTHONPATH", "")])

from analysis_lib import ROOT  # noqa: E402
from analysis_lib.configuration import Configuration, Run  # noqa: E402
from analysis_lib.corpus.child import run_child  # noqa: E402
from analysis_lib.corpus.cluster import local_cluster  # noqa: E402
from analysis_lib.corpus.generate import generate  # noqa: E402
from analysis_lib.corpus.journal import Journal  # noqa: E402
from analysis_lib.corpus.schema import spec_id  # noqa: E402

OUT = ROOT / "data" / "reports"
PROGRAM = "cnn1d_meats"
FULL = {"starts": 40, "runs": 6, "rounds": 3, "resumed": 10_000, "simulated": 100_000}
QUICK = {"starts": 8, "runs": 2, "rounds": 1, "resumed": 1_000, "simulated": 2_000}
COLD = """
import time, torch
model = torch.nn.Linear(8, 1)
optimizer = torch.optim.Adam(model.parameters())
model(torch.ones(4, 8)).square().mean().backward()
optimizer.step()
print(time.process_time())
"""


def stand_ins(count):
    """Runs of the stand-in trainer."""
    return [Run(Configuration(f"p{n % 50}"), n // 50) for n in range(count)]


def warm_up(folder, size):
    """Start of a process from the warmed fork server, and its first optimizer step."""
    starts, steps, count = [], [], size["starts"]
    for run in stand_ins(count):
        at = time.monotonic()
        record = run_child(run.spec, trainer="bench_trainer:begin").record
        starts.append(1000 * (record["began"] - at))
        steps.append(1000 * record["step_s"])
    yield "child_start_ms", min(starts), "ms", 50, f"start of the process of a run, best of {count}"
    yield (
        "first_step_ms",
        statistics.median(steps),
        "ms",
        50,
        "CPU time of its first optimizer step, median",
    )
    yield "server_threads", record["threads"], "", 1, "threads of the server that is forked"
    done = subprocess.run([sys.executable, "-c", COLD], capture_output=True, text=True, check=True)
    yield "cold_step_ms", 1000 * float(done.stdout), "ms", "", "the same in a new interpreter"


def timed(function, *arguments, **options):
    """Seconds a call takes."""
    at = time.monotonic()
    function(*arguments, **options)
    return time.monotonic() - at


def engines(folder, size):
    """The same real runs in a bare loop, on threads, and on Dask; the best of some rounds."""
    from analysis_lib.training import train

    count, seconds, cpu = size["runs"], {}, {}
    plan, quiet = [Run(Configuration(PROGRAM), seed) for seed in range(count)], {"progress": False}
    train(plan[0])  # caches and lazy imports

    def loop():
        for run in plan:
            at = time.process_time()
            train(run)
            cpu.setdefault("loop", []).append(time.process_time() - at)

    def engine(name, **options):
        generate(plan, folder / f"{name}.db", **quiet, **options)
        with Journal(folder / f"{name}.db") as found:
            cpu[name] = [row.record["cpu_s"] for row in found.rows()] + cpu.get(name, [])
        (folder / f"{name}.db").unlink()

    import torch

    torch.set_num_threads(1)
    for _ in range(size["rounds"]):
        rounds = {"loop": timed(loop)}
        rounds["one"] = timed(engine, "one", workers=1)
        rounds["two"] = timed(engine, "two", workers=2)
        with local_cluster(2) as executor:
            generate(stand_ins(4), folder / "w.db", executor=executor, trainer=STUB, **quiet)
            rounds["dask"] = timed(engine, "dask", executor=executor)
        seconds = {name: min(s, seconds.get(name, s)) for name, s in rounds.items()}
    runs = f"{count} runs of {PROGRAM}"
    yield "loop_s", seconds["loop"], "s", "", f"{runs} in a bare loop"
    yield "one_worker_s", seconds["one"], "s", "", f"{runs}, 1 worker"
    yield "two_workers_s", seconds["two"], "s", "", f"{runs}, 2 workers"
    yield "dask_s", seconds["dask"], "s", "", f"{runs}, Dask with 2 workers"
    overhead = 1000 * (seconds["one"] - seconds["loop"]) / count
    yield "overhead_ms", overhead, "ms", "", "overhead per run, 1 worker against the loop"
    own = statistics.median(cpu["one"]) - statistics.median(cpu["loop"])
    yield "overhead_cpu_ms", 1000 * own, "ms", "", "overhead of CPU time per run, likewise, median"
    half = 100 * (2 * seconds["two"] / seconds["loop"] - 1)
    yield "overhead_percent", half, "%", 15, "overhead of 2 workers against half the loop"
    yield "scaling", seconds["one"] / seconds["two"], "x", 1.85, "speed of 2 workers against 1"
    yield "dask_ratio", seconds["dask"] / seconds["two"], "x", "", "time on Dask against threads"


STUB = "corpus_stub:train"


class AtOnce(Executor):
    """Has every result at once, as if a large cluster had worked on it; one trace for all."""

    def __init__(self, run):
        from corpus_kit import row_of

        self.row = row_of(run)

    def submit(self, function, spec, **options):
        future = Future()
        future.set_result(replace(self.row, run_id=spec_id(spec), spec=dict(spec)))
        return future


MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def journal(folder, size):
    """Resume of a finished journal, and the cost of a commit."""
    plan = stand_ins(size["resumed"])
    quiet = {"executor": AtOnce(plan[0]), "progress": False}
    made = timed(generate, plan[:500], folder / "few.db", **quiet)
    yield (
        "commit_ms",
        1000 * made / 500,
        "ms",
        "",
        "time of the driver per run, simulated, on this disk",
    )
    with tempfile.TemporaryDirectory(dir=MEMORY) as memory:
        path = Path(memory) / "j.db"
        made = timed(generate, plan, path, **quiet)
        yield "driver_ms", 1000 * made / len(plan), "ms", "", "the same on a file system in memory"
        again = [Run.from_spec(run.spec) for run in plan]  # keys are computed anew
        seconds = timed(generate, again, path, **quiet)
        yield "resume_s", seconds, "s", 5, f"repeating a finished campaign of {len(plan):,} runs"
        kilobytes = path.stat().st_size / len(plan) / 1e3
        yield "journal_kb", kilobytes, "kB", "", "journal per stand-in run"


def many(count):
    """Peak memory of a driver; run in a process of its own, on a file system in memory."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        plan = [Run(Configuration(f"p{n % 1000}"), n // 1000, 1) for n in range(count)]
        summary = generate(plan, Path(folder) / "j.db", executor=AtOnce(plan[0]), progress=False)
    assert summary.complete
    with open("/proc/self/status", encoding="utf-8") as file:  # ru_maxrss counts the parent, too
        peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM:"))
    print(peak * 1.024e-3)


def own_memory(process):
    """File -> MiB in memory of it, with "" for what is no file, shared pages shared out."""
    found = Counter()
    for area in process.memory_maps(grouped=False):
        found[area.path if area.path[:1] == "/" else ""] += area.rss / 2**20
    found[""] = 0
    with open(f"/proc/{process.pid}/smaps_rollup", encoding="utf-8") as file:
        for line in file:
            if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
                found[""] += int(line.split()[1]) / 2**10
    return found


def workers_memory():
    """MiB of all processes this one has started, and MiB that the largest run shares with none.

    A file is shared out among the processes of this campaign alone, whatever other jobs use it.
    """
    import psutil

    driver = psutil.Process()
    started, private = [], [0.0]
    for process in driver.children(recursive=True):
        with contextlib.suppress(psutil.Error, OSError):
            started.append(own_memory(process))
            if process.ppid() != driver.pid:  # a run, forked by the server
                private.append(process.memory_full_info().uss / 2**20)
    total, mine = sum(found.pop("") for found in started), own_memory(driver)
    for name in set().union(*started):
        sizes = [found[name] for found in started if found[name]]
        total += max(sizes, default=0) * len(sizes) / (len(sizes) + (name in mine))
    return total, max(private)


def memory(folder, size):
    """Memory of the driver with many runs, and of the processes of two workers."""
    count = size["simulated"]
    command = [sys.executable, __file__, "--simulate", str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    yield (
        "driver_mb",
        float(done.stdout),
        "MB",
        1000,
        f"peak memory of the driver, {count:,} simulated runs",
    )
    import analysis_lib.programs  # noqa: F401  as the driver of the command has it

    sizes, stop = [], threading.Event()

    def watch():
        while not stop.wait(0.1):
            sizes.append(workers_memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    plan = [Run(Configuration(PROGRAM), seed) for seed in range(size["runs"])]
    generate(plan, folder / "m.db", workers=2, progress=False)
    stop.set()
    watcher.join()
    # nearly the largest: for a moment, a run that ends and the next one are both there
    total, private = (statistics.quantiles(f, n=20)[-1] for f in zip(*sizes, strict=True))
    yield "worker_mib", total / 2, "MiB", 200, "memory per worker of 2, shared pages shared out"
    yield (
        "worker_own_mib",
        private,
        "MiB",
        "",
        "memory of each further worker: what a run shares with none",
    )


PARTS = {"warm": warm_up, "engines": engines, "journal": journal, "memory": memory}


def main(parts, out, size):
    """Measure some parts, or everything, and keep the other rows of the report."""
    rows, report = {}, out / "scale.csv"
    if report.exists() and parts:
        with report.open(newline="", encoding="utf-8") as file:
            rows = {row[0]: row[1:] for row in list(csv.reader(file))[1:]}
    for part in parts or PARTS:
        load = os.getloadavg()[0]
        rows[f"load_{part}"] = [f"{load:.2f}", "", "", f"load of the machine before: {part}"]
        with tempfile.TemporaryDirectory() as folder:
            for name, value, *rest in PARTS[part](Path(folder), size):
                rows[name] = [f"{value:.4g}", *rest]
                print(name, *rows[name], flush=True)
        out.mkdir(parents=True, exist_ok=True)
        with report.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["name", "value", "unit", "goal", "what"])
            writer.writerows([name, *rest] for name, rest in rows.items())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; or all")
    parser.add_argument("--quick", action="store_true", help="few repeats, to see that it runs")
    parser.add_argument("--out", type=Path, default=OUT, help="where the table goes")
    parser.add_argument("--simulate", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if unknown := set(chosen.parts) - set(PARTS):
        parser.error(f"unknown part {min(unknown)}; known: {', '.join(PARTS)}")
    if chosen.simulate:
        many(chosen.simulate)
    else:
        main(chosen.parts, chosen.out, QUICK if chosen.quick else FULL)
