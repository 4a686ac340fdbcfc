"""Nodes that faults can be done to: each with a host, a disk and a clock of its own where they are to be had."""

import contextlib
import os
import shutil

from chaos_clock import Clock
from chaos_clock import build as build_clock
from chaos_disks import Disk, LittleCpu, NotHere, SlowDisk
from cluster_support import ClusterNode
from support import Http, Redis, clean_environment


class ChaosNode(ClusterNode):
    """A node whose addresses stay.

    `disk`, `slow_disk`, `cpu` and `clock` are None where this machine gives us none.
    """

    disk = slow_disk = cpu = clock = None

    def __init__(self, folder, name, host, ports, prefix, *flags):
        super().__init__(folder, name, ports[0], *flags)
        self.host = host
        self.ports = ports
        self.prefix = prefix

    @property
    def peer_address(self):
        return f"{self.host}:{self.peer_port}"

    def command(self, *more):
        words = super().command(*more)
        for flag, port in zip(("peer", "http", "resp", "grpc"), self.ports, strict=True):
            words[words.index(f"--{flag}-addr") + 1] = f"{self.host}:{port}"
        return [*self.prefix, *words]

    def environment(self):
        return {**clean_environment(), **(self.clock.environment() if self.clock else {})}

    def redis(self, **options):
        return Redis(self.resp_port, host=self.host, **options)

    def http(self, method, target, body=None, headers=None, port=None):
        with contextlib.closing(Http(port or self.http_port, host=self.host)) as client:
            return client.request(method, target, body, headers)

    def use_disk(self, disk):
        self.disk = disk
        self.data_dir = disk.place / "data"

    def lose_disk(self):
        """What it had on its disk is gone; it must not run."""
        shutil.rmtree(self.data_dir)


class Equipment:
    """Gives nodes what faults need, and tells what cannot be had here, and why."""

    def __init__(self, folder, cleanup):
        self.folder = folder
        self.cleanup = cleanup
        self.missing = {}

    def equip(self, node):
        """Before its first start."""
        self.attempt("full disks", lambda: self.give_disk(node))
        if node.disk is not None:
            self.attempt("slow disks", lambda: self.give(node, "slow_disk", SlowDisk(node.disk, node.name)))
        self.attempt("little CPU", lambda: self.give(node, "cpu", LittleCpu(node.name)))
        self.attempt("clock jumps", lambda: self.give_clock(node))

    def attempt(self, what, give):
        try:
            give()
        except NotHere as why:
            self.missing.setdefault(what, str(why))

    def give_disk(self, node):
        disk = Disk(self.folder, node.name)
        self.cleanup(disk.close)
        node.use_disk(disk)

    def give(self, node, name, tool):
        self.cleanup(tool.close)
        setattr(node, name, tool)

    def give_clock(self, node):
        library = self.folder / "clock.so"
        if not os.path.exists(library):
            build_clock(self.folder)
        node.clock = Clock(library, self.folder, node.name)
