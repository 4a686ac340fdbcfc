"""The servers that are measured: started on free loopback ports, with their CPU and memory."""

import os
import pathlib
import re
import socket
import subprocess
import time

START_SECONDS = 60
TICKS = os.sysconf("SC_CLK_TCK")
REDIS_DURABILITY = {
    "memory": ["--appendonly", "no"],
    "interval": ["--appendonly", "yes", "--appendfsync", "everysec"],
    "always": ["--appendonly", "yes", "--appendfsync", "always"],
}


class Measured:
    """One process that answers RESP on `port`."""

    def __init__(self, command, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log_path = self.folder / "log"
        self.command = [str(word) for word in command]
        self.port = self.http_port = self.process = None

    def spawn(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith("KVSTORE_")}
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.folder, env=env,
            )  # fmt: skip

    def wait(self, ready):
        """Returns what `ready` returned once it was true. Raises RuntimeError."""
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            answer = ready()
            if answer:
                return answer
            time.sleep(0.01)
        self.stop()
        raise RuntimeError("no start: " + self.log_path.read_text(errors="replace")[-2000:])

    def cpu_seconds(self):
        """Time on a core so far, all threads that live, to the nanosecond."""
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

    def cpu_ticks(self):
        """The same split into (user, kernel), in steps of 10 ms."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) / TICKS, int(fields[12]) / TICKS

    def rss_bytes(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024

    def end(self):
        """Ends it as an operator would; what it holds stays on the disk."""
        self.process.terminate()
        self.process.wait(START_SECONDS)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()


class Ours(Measured):
    def __init__(self, binary, folder, engine, durability):
        any_port = "127.0.0.1:0"
        self.data = pathlib.Path(folder) / "data"
        super().__init__(
            [binary, "server", "--data-dir", self.data, "--http-addr", any_port,
             "--grpc-addr", any_port, "--resp-addr", any_port, "--peer-addr", any_port,
             "--default-engine", engine, "--durability", durability, "--default-history", "0",
             "--log-level", "warning"],
            folder,
        )  # fmt: skip

    def start(self):
        self.spawn()
        self.wait(lambda: re.search(r"^  grpc .*\n", self.log_path.read_text(), re.MULTILINE))
        text = self.log_path.read_text()
        self.http_port = int(re.search(r"^  http +http://[^:]+:(\d+)", text, re.MULTILINE)[1])
        self.port = int(re.search(r"^  redis +\S*?:(\d+)\b", text, re.MULTILINE)[1])
        return self


class Redis(Measured):
    def __init__(self, folder, durability):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        super().__init__(
            ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", folder,
             "--daemonize", "no", *REDIS_DURABILITY[durability]],
            folder,
        )  # fmt: skip
        self.chosen = port

    def start(self):
        self.spawn()
        self.wait(lambda: "Ready to accept connections" in self.log_path.read_text())
        self.port = self.chosen
        return self


class Nginx(Measured):
    """A worker that answers GET /v1/keys/<anything> with a fixed JSON object from memory."""

    def __init__(self, folder, body):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        folder = pathlib.Path(folder)
        super().__init__(["nginx", "-p", folder, "-c", "nginx.conf", "-e", folder / "log"], folder)
        self.chosen = port
        (self.folder / "nginx.conf").write_text(
            "daemon off; master_process off; worker_processes 1; pid nginx.pid;\n"
            "events { worker_connections 1024; }\n"
            "http { access_log off; default_type application/json; keepalive_requests 100000000;\n"
            "  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n"
            "  uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n"
            f"  server {{ listen 127.0.0.1:{port}; location / {{ return 200 '{body}'; }} }} }}\n"
        )

    def start(self):
        self.spawn()
        self.wait(self.answers)
        self.http_port = self.chosen
        return self

    def answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.chosen)) == 0
