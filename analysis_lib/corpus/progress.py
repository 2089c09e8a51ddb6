"""What a generation has done so far, and how it is shown while it works."""

import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from analysis_lib.corpus.schema import STATUSES

__all__ = ["Progress", "Summary"]

_EVERY = 30.0


@dataclass
class Summary:
    """What a call of :func:`~analysis_lib.corpus.generate.generate` did.

    Parameters
    ----------
    planned : int
        Runs of the plan.
    already : int
        Runs the journal held before.
    recorded : Counter
        Status -> runs recorded by this call.
    lost : dict of str to str
        run_id -> why the engine lost it. Nothing is recorded of these; the next call tries again.
    given_up : dict of str to str
        Program -> why the rest of its runs were not started.
    stopped : str
        Why the whole call was ended early; empty if it was not.
    interrupted : bool
        Whether the call was ended by Ctrl-C.
    seconds : float
        Duration of the call in seconds.

    Examples
    --------
    >>> print(Summary(planned=10, already=4, recorded=Counter(ok=5, raised=1), seconds=3.0))
    10 runs planned, 4 there before, 6 recorded now (ok 5, raised 1) in 3 s
    """

    planned: int
    already: int = 0
    recorded: Counter = field(default_factory=Counter)
    lost: dict[str, str] = field(default_factory=dict)
    given_up: dict[str, str] = field(default_factory=dict)
    stopped: str = ""
    interrupted: bool = False
    seconds: float = 0.0

    @property
    def remaining(self) -> int:
        """Runs of the plan that the journal does not hold."""
        return self.planned - self.already - self.recorded.total()

    @property
    def complete(self) -> bool:
        """Whether the journal holds every run of the plan."""
        return self.remaining == 0

    @property
    def line(self) -> str:
        """Counts, rate and minutes left in one line."""
        made = self.recorded.total()
        rate = made / self.seconds if self.seconds > 0 else 0.0
        counts = " ".join(f"{s} {self.recorded[s]}" for s in STATUSES if self.recorded[s])
        parts = [f"{self.already + made}/{self.planned} {counts}".strip(), f"{rate:.1f} run/s"]
        if rate > 0:
            parts.append(f"{self.remaining / rate / 60:.0f} min left")
        if self.lost:
            parts.append(f"{len(self.lost)} lost")
        return " | ".join(parts)

    def __str__(self):
        counts = ", ".join(f"{s} {self.recorded[s]}" for s in STATUSES if self.recorded[s])
        lines = [
            f"{self.planned} runs planned, {self.already} there before, "
            f"{self.recorded.total()} recorded now ({counts or 'none'}) in {self.seconds:.0f} s"
        ]
        lines += [f"gave up on {program}: {why}" for program, why in self.given_up.items()]
        if self.stopped:
            lines.append(f"stopped: {self.stopped}")
        if self.lost:
            run_id, why = next(iter(self.lost.items()))
            lines.append(f"{len(self.lost)} runs lost by the engine, e.g. {run_id}: {why}")
        if self.interrupted:
            lines.append("interrupted; everything recorded so far is kept")
        if not self.complete:
            lines.append(f"{self.remaining} runs remain; the same command continues")
        return "\n".join(lines)


class Progress:
    """A bar on a terminal, a line every 30 s elsewhere, or nothing.

    Parameters
    ----------
    summary : Summary
        Kept up to date by the caller; its ``seconds`` are set here.
    show : bool, optional
        False shows nothing.
    """

    def __init__(self, summary: Summary, show: bool | None = None):
        self.summary, self.show, self.bar = summary, show is not False, None
        self.start = self.last = time.monotonic()
        self._told: set[str] = set()
        if self.show and sys.stderr.isatty():
            from tqdm import tqdm

            self.bar = tqdm(
                total=summary.planned, initial=summary.already, unit="run", file=sys.stderr
            )

    def tick(self, made: int = 0) -> None:
        """Show that ``made`` more runs are recorded, or only that time passed."""
        now = time.monotonic()
        self.summary.seconds = now - self.start
        if self.bar is not None and made:
            self.bar.set_postfix(self.summary.recorded, refresh=False)
            self.bar.update(made)
        elif self.bar is None and self.show and now - self.last >= _EVERY:
            self.last = now
            self.say(self.summary.line)

    def first(self, what: str, text: str) -> None:
        """Show the first ``what`` at once; further ones are only counted."""
        if what not in self._told:
            self._told.add(what)
            self.say(f"first {what}: {text}")

    def say(self, text: str) -> None:
        """Show a line."""
        if self.bar is not None:
            self.bar.write(text, file=sys.stderr)
        elif self.show:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Show the last state."""
        self.tick()
        if self.bar is not None:
            self.bar.close()
