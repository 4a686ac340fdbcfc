"""Wall clocks that jump: a library between a process and its C library, made when a test runs.

It adds to CLOCK_REALTIME what an eight-byte file says, which the test changes while the process
runs. CLOCK_MONOTONIC stays as it is: that one never jumps.
"""

import mmap
import os
import pathlib
import shutil
import struct
import subprocess

from chaos_disks import NotHere

COMPILERS = ("cc", "gcc", "clang", "clang-19")
SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int (*real)(clockid_t, struct timespec*);
static volatile long long* ahead;

__attribute__((constructor)) static void begin(void) {
    const char* path = getenv("CHAOS_CLOCK");
    real = (int (*)(clockid_t, struct timespec*))dlsym(RTLD_NEXT, "clock_gettime");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file >= 0) {
        void* found = mmap(0, 8, PROT_READ, MAP_SHARED, file, 0);
        ahead = found == MAP_FAILED ? 0 : found;
        close(file);
    }
}

int clock_gettime(clockid_t clock, struct timespec* now) {
    int result = real ? real(clock, now) : (int)syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && ahead && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        long long sum = now->tv_sec * 1000000000LL + now->tv_nsec + *ahead;
        now->tv_sec = sum / 1000000000LL;
        now->tv_nsec = sum % 1000000000LL;
    }
    return result;
}

int gettimeofday(struct timeval* restrict now, void* restrict zone) {
    (void)zone;
    struct timespec precise;
    int result = clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return result;
}

time_t time(time_t* now) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (now) {
        *now = precise.tv_sec;
    }
    return precise.tv_sec;
}
"""


def build(folder):
    """Returns: the library. Raises NotHere."""
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler is None:
        raise NotHere("there is no C compiler")
    folder = pathlib.Path(folder)
    source, library = folder / "clock.c", folder / "clock.so"
    source.write_text(SOURCE)
    words = [compiler, "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise NotHere(f"{compiler}: {done.stderr.strip()[:500]}")
    return library


class Clock:
    """How far ahead of the truth one process's wall clock is."""

    def __init__(self, library, folder, name):
        self.library = library
        self.path = pathlib.Path(folder) / f"clock-{name}"
        self.path.write_bytes(bytes(8))
        with open(self.path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 8)

    def environment(self):
        return {"LD_PRELOAD": os.fspath(self.library), "CHAOS_CLOCK": os.fspath(self.path)}

    def set_ahead(self, seconds):
        self.map[:] = struct.pack("=q", int(seconds * 1e9))
