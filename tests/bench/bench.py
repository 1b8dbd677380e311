# SPDX-License-Identifier: Apache-2.0
"""Figures beside qemu-storage-daemon's, nbdkit's and a floor's, in one run: the servers take turns in each round, the
median of the rounds counts, and what is printed first is ratios. nbdkit is 1, since it is the same everywhere.

The floor answers from one static buffer and has no block layer: nothing over sockets is faster than it.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

CASES = [
    # title, arguments of nbdload, figure
    ("4 KiB random read, depth 1", ["--op", "randread", "--depth", "1"], "iops"),
    ("4 KiB random read, depth 32", ["--op", "randread", "--depth", "32"], "iops"),
    ("4 KiB random write, depth 1", ["--op", "randwrite", "--depth", "1"], "iops"),
    ("4 KiB random write, depth 32", ["--op", "randwrite", "--depth", "32"], "iops"),
    ("1 MiB read, depth 4", ["--op", "read", "--depth", "4", "--block", "1048576"], "mib_s"),
    ("4 KiB random read, 8 x depth 8", ["--op", "randread", "--depth", "8", "--connections", "8"], "iops"),
]
SIZE = 1 << 30


class Server:
    """A server on a unix socket of its own."""

    def __init__(self, name, command, folder, export="x"):
        self.name = name
        self.socket = folder / f"{name}.sock"
        self.export = export
        self.command = [str(c).replace("SOCKET", str(self.socket)) for c in command]
        self.process = None

    def start(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE)
        while not listening(self.socket):
            if self.process.poll() is not None:
                raise SystemExit(f"{self.name}: {self.process.stderr.read().decode()}")
            os.sched_yield()

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        self.socket.unlink(missing_ok=True)


def listening(path):
    from support.daemon import listening as kernel_says
    return kernel_says(path)


def servers(options, folder, backend):
    """Those that can be had, for one back end."""
    image = folder / "image"
    if backend == "file" and not image.exists():
        subprocess.run(["dd", "if=/dev/urandom", f"of={image}", "bs=1M", f"count={SIZE >> 20}"], check=True,
                       stderr=subprocess.DEVNULL)
    node = f"file,node-name=n0,filename={image}" if backend == "file" else \
        f"null-co,node-name=n0,size={SIZE},read-zeroes=on"
    qsd = ["--blockdev", node, "--nbd-server", "addr.type=unix,addr.path=SOCKET",
           "--export", "nbd,id=e0,node-name=n0,name=x,writable=on"]
    release = pathlib.Path(options.release)
    found = [Server("outport", [release / "host/cli/outportd", "--plugin-dir", release / "plugins/nbd", *qsd], folder)]
    oracle = os.environ.get("OUTPORT_ORACLE_BIN")
    if oracle:
        found.append(Server("qemu-storage-daemon", [pathlib.Path(oracle) / "qemu-storage-daemon", *qsd], folder))
    if shutil.which("nbdkit"):
        plugin = ["file", image] if backend == "file" else ["memory", SIZE]
        found.append(Server("nbdkit", ["nbdkit", "-f", "-U", "SOCKET", *plugin], folder))
    if backend == "null":
        found.append(Server("floor", [support(options, "nbdfloor"), "SOCKET"], folder))
    return found


def support(options, name):
    return pathlib.Path(options.build) / "tests" / "support" / name


def load(options, server, arguments, seconds):
    out = subprocess.run([support(options, "nbdload"), "--to", f"unix:{server.socket}", "--export", server.export,
                          "--seconds", str(seconds), *arguments], check=True, capture_output=True, text=True)
    return json.loads(out.stdout)


def measure(options, folder, backend, results):
    running = servers(options, folder, backend)
    for server in running:
        server.start()
        load(options, server, CASES[1][1], 0.2)  # warm
    for title, arguments, figure in CASES:
        if options.only and options.only not in title:
            continue
        samples = {server.name: [] for server in running}
        for _ in range(options.rounds):
            for server in running:
                samples[server.name].append(load(options, server, arguments, options.seconds)[figure])
        medians = {name: statistics.median(values) for name, values in samples.items()}
        results.append({"backend": backend, "case": title, "figure": figure, "medians": medians, "samples": samples})
        show(backend, title, figure, medians)
    for server in running:
        server.stop()


def show(backend, title, figure, medians):
    base = medians.get("nbdkit") or medians["outport"]
    peers = [v for n, v in medians.items() if n not in ("outport", "floor")]
    cells = "  ".join(f"{name} {value / base:.2f} ({value:.0f})" for name, value in medians.items())
    best = f"  outport to the best peer {medians['outport'] / max(peers):.2f}" if peers else ""
    print(f"{backend:5} {title:32} {'MiB/s' if figure == 'mib_s' else 'req/s'}  {cells}{best}", flush=True)


def startup(options, folder, results):
    """From the start of the process to the first read served, in turns."""
    samples = {}
    for _ in range(options.starts):
        for server in servers(options, folder, "null"):
            if server.name == "floor":
                continue
            began = time.perf_counter()
            server.start()
            load(options, server, ["--op", "read", "--requests", "1"], 0)
            samples.setdefault(server.name, []).append(1000 * (time.perf_counter() - began))
            server.stop()
    medians = {name: statistics.median(values) for name, values in samples.items()}
    results.append({"case": "start to first read", "figure": "ms", "medians": medians, "samples": samples})
    base = medians.get("qemu-storage-daemon") or medians["outport"]
    print("start to first read, qemu-storage-daemon = 1:  " +
          "  ".join(f"{name} {ms / base:.2f} ({ms:.1f} ms)" for name, ms in medians.items()), flush=True)


def fio(options, folder, results):
    """The same by fio's client, which costs more than a good server."""
    running = servers(options, folder, "null")
    medians = {}
    for server in running:
        server.start()
        uri = f"nbd+unix:///{server.export}?socket={server.socket}"
        out = subprocess.run(["fio", "--name=b", "--ioengine=nbd", f"--uri={uri}", "--rw=randread", "--bs=4k",
                              "--iodepth=32", "--time_based", f"--runtime={max(1, int(options.seconds))}",
                              "--output-format=json"], check=True, capture_output=True, text=True, cwd=folder)
        medians[server.name] = json.loads(out.stdout[out.stdout.index("{"):])["jobs"][0]["read"]["iops"]
        server.stop()
    results.append({"backend": "null", "case": "fio randread depth 32", "figure": "iops", "medians": medians})
    show("null", "fio: 4 KiB random read, depth 32", "iops", medians)


def main():
    parser = argparse.ArgumentParser(prog="./dev bench")
    parser.add_argument("--build", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--release", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each sample")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--starts", type=int, default=50)
    parser.add_argument("--backend", choices=["null", "file"], action="append")
    parser.add_argument("--only", help="cases whose title contains this; no start-up figures then")
    parser.add_argument("--json", help="write all samples there")
    options = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory(prefix="op-bench-") as folder:
        folder = pathlib.Path(folder)
        for backend in options.backend or ["null", "file"]:
            measure(options, folder, backend, results)
        if not options.only:
            if shutil.which("fio"):
                fio(options, folder, results)
            startup(options, folder, results)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
