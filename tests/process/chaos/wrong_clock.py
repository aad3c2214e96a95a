"""Programs whose wall clock can be set while they run, and no clock but theirs.

A small library comes between the program and the clock of the system. It adds to it what a file
says.
"""

import shutil
import struct
import subprocess
from pathlib import Path
from typing import Final

from tests.process.killing.lives import Launch, Process, as_a_program

_COMPILER: Final = shutil.which("cc")
_SOURCE: Final = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static const volatile long *ahead;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("SECONDS_AHEAD");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *shared = file < 0 ? MAP_FAILED : mmap(0, sizeof *ahead, PROT_READ, MAP_SHARED, file, 0);
    if (shared != MAP_FAILED) ahead = shared;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    static int (*ask)(clockid_t, struct timespec *);
    if (!ask) ask = dlsym(RTLD_NEXT, "clock_gettime");
    int failure = ask(clock, time);
    if (!failure && clock == CLOCK_REALTIME && ahead) time->tv_sec += *ahead;
    return failure;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *seconds) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (seconds) *seconds = now.tv_sec;
    return now.tv_sec;
}
"""


def why_none_can_be_set() -> str | None:
    """Why no program can have a clock of its own here; None if one can."""
    return None if _COMPILER else "there is no C compiler on this machine (cc)"


def with_clocks_of_their_own(folder: Path) -> Launch:
    """Starts programs, each with a clock that `set_clock` can set."""
    source, library = folder / "clock.c", folder / "clock.so"
    source.write_text(_SOURCE)
    subprocess.run(
        [_COMPILER or "cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True
    )

    def launch(options: list[str], where: Path, output: Path) -> Process:
        set_clock(output, 0)
        environment = {"LD_PRELOAD": str(library), "SECONDS_AHEAD": str(_file_of(output))}
        return as_a_program(options, where, output, environment)

    return launch


def set_clock(output: Path, seconds_ahead: int) -> None:
    """Set the clock of the program that writes its output to this file."""
    _file_of(output).touch()
    with _file_of(output).open("r+b") as file:
        file.write(struct.pack("@l", seconds_ahead))


def _file_of(output: Path) -> Path:
    return output.with_suffix(".clock")
