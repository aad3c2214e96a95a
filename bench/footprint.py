"""What a process takes of the machine, as Linux counts it."""

from pathlib import Path

_KIB = 1_024


def seconds_computed(pid: int) -> float:
    """The processor time of all its threads that still run."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def mebibytes(pid: int) -> float:
    """Its memory, with its part of what it shares with others; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    [kibibytes] = [int(line.split()[1]) for line in lines if line.startswith("Pss:")]
    return kibibytes / _KIB
