"""A small disk of its own for each node: one that can be filled, and one that can be made slow.

A disk is an ext4 file system in a sparse file on a loop device. A balloon, a file beside the
node's data, takes all the room there is; the block controller of cgroup v1 slows it down.
"""

import os
import pathlib
import shutil
import subprocess
import time

DISK_BYTES = 1 << 30
BLOCK_BYTES = 4096
MEMORY_DISK = pathlib.Path("/dev/shm")  # noqa: S108, where fsync costs nothing
TOOL_SECONDS = 30
TOOLS = ("losetup", "mkfs.ext4", "mount", "umount")
BLKIO = pathlib.Path("/sys/fs/cgroup/blkio")
CPU = pathlib.Path("/sys/fs/cgroup/cpu")
CPU_PERIOD_US = 100_000


class NotHere(Exception):
    """This machine does not give it to us. The message says why."""


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True, timeout=TOOL_SECONDS, check=False)
    if done.returncode != 0:
        raise NotHere(f"{' '.join(map(str, words))}: {done.stderr.strip()}")
    return done.stdout.strip()


class Disk:
    """A file system of `size` bytes, mounted at `place`. Raises NotHere."""

    def __init__(self, folder, name, size=DISK_BYTES):
        missing = [tool for tool in TOOLS if shutil.which(tool) is None]
        if missing:
            raise NotHere(f"{missing[0]} is not installed")
        if os.geteuid() != 0:
            raise NotHere("only root may mount")
        roomy = MEMORY_DISK.is_dir() and shutil.disk_usage(MEMORY_DISK).free > 4 * size
        where = MEMORY_DISK if roomy else pathlib.Path(folder)
        self.image = where / f"kvstore-disk-{os.getpid()}-{pathlib.Path(folder).name}-{name}"
        self.place = pathlib.Path(folder) / f"disk-{name}"
        self.device = None
        self.is_mounted = False
        try:
            self.make(size)
        except BaseException:
            self.close()
            raise

    def make(self, size):
        with open(self.image, "wb") as image:
            image.truncate(size)
        run("mkfs.ext4", "-q", "-F", "-m", "0", self.image)
        self.place.mkdir()
        self.device = run("losetup", "-f", "--show", self.image)
        run("mount", self.device, self.place)
        self.is_mounted = True

    @property
    def balloon(self):
        return self.place / "balloon"

    def fill(self):
        """Takes all the room there is, to the last block."""
        with open(self.balloon, "ab") as balloon:
            size = os.fstat(balloon.fileno()).st_size
            piece = shutil.disk_usage(self.place).free
            while piece >= BLOCK_BYTES:
                try:
                    os.posix_fallocate(balloon.fileno(), size, piece)
                    size += piece
                except OSError:  # what the file system itself needs for so much
                    piece //= 2

    def empty(self):
        self.balloon.unlink(missing_ok=True)

    def number(self):
        """The device's major and minor, as cgroup files want it."""
        return pathlib.Path(f"/sys/block/{pathlib.Path(self.device).name}/dev").read_text().strip()

    def close(self):
        if self.is_mounted:
            # Lazily: a process that has just ended, or a look of the system's own, may hold it a moment longer.
            run("umount", "--lazy", self.place)
            self.is_mounted = False
        if self.device:
            run("losetup", "-d", self.device)
            self.device = None
        self.image.unlink(missing_ok=True)


class Throttle:
    """A cgroup of version 1, with a limit that can be set and taken away. Raises NotHere."""

    def __init__(self, controller, limit_file, name):
        self.folder = controller / f"kvstore-chaos-{os.getpid()}-{name}"
        if not (controller / "cgroup.procs").exists():
            raise NotHere(f"there is no {controller} of cgroup version 1")
        try:
            self.folder.mkdir()
            if not (self.folder / limit_file).exists():
                raise NotHere(f"{controller} knows no {limit_file}")
        except OSError as error:
            raise NotHere(f"{self.folder}: {error.strerror}") from error
        self.limit_file = self.folder / limit_file

    def hold(self, pid, limit):
        self.limit_file.write_text(limit)
        (self.folder / "cgroup.procs").write_text(str(pid))

    def release(self, limit):
        self.limit_file.write_text(limit)

    def close(self):
        """After its process has ended."""
        end = time.monotonic() + TOOL_SECONDS
        while self.folder.exists():
            try:
                self.folder.rmdir()
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)


class SlowDisk(Throttle):
    """Limits how many writes a second one process does on one disk."""

    def __init__(self, disk, name):
        super().__init__(BLKIO, "blkio.throttle.write_iops_device", name)
        self.disk = disk

    def slow(self, pid, writes_a_second):
        self.hold(pid, f"{self.disk.number()} {writes_a_second}")

    def heal(self):
        self.release(f"{self.disk.number()} 0")


class LittleCpu(Throttle):
    def __init__(self, name):
        super().__init__(CPU, "cpu.cfs_quota_us", name)

    def slow(self, pid, percent):
        self.hold(pid, str(CPU_PERIOD_US * percent // 100))

    def heal(self):
        self.release("-1")
