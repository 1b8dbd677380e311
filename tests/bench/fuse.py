# SPDX-License-Identifier: Apache-2.0
"""FUSE exports beside qemu-storage-daemon's, in one run: the servers take turns in each round, the median of the rounds
counts, and ratios are printed; qemu-storage-daemon is 1 (else our own classic transport). After each rate stands what
a request costs the server's processor, in microseconds. The client is fio with direct I/O on the mounted file.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from support.fusetest import PARAMETER, mounts  # noqa: E402

SIZE = 256 << 20
CASES = [(f"4 KiB {op}, depth {depth}", ["--rw=" + op, "--bs=4k", f"--iodepth={depth}"])
         for op in ("randread", "randwrite") for depth in (1, 32)] + \
        [(f"1 MiB read, {jobs} job{'s' if jobs > 1 else ''}", ["--rw=read", "--bs=1M", "--iodepth=4", f"--numjobs={jobs}"])
         for jobs in (1, 4)] + \
        [("4 KiB randread, 4 jobs x depth 8", ["--rw=randread", "--bs=4k", "--iodepth=8", "--numjobs=4"])]


class Server:
    def __init__(self, name, program, folder, node, uring=None):
        self.name, self.uring = name, uring
        self.file = folder / f"{name}.mnt"
        self.file.touch()
        more = "" if uring is None else f",io-uring={'on' if uring else 'off'}"
        self.command = [*map(str, program), "--blockdev", node, "--export",
                        f"fuse,id=e0,node-name=n0,mountpoint={self.file},writable=on{more}"]

    def start(self):
        before = PARAMETER.read_text() if self.uring else None
        if self.uring:
            PARAMETER.write_text("Y\n")
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE)
        while str(self.file) not in mounts():
            if self.process.poll() is not None:
                raise SystemExit(f"{self.name}: {self.process.stderr.read().decode()}")
            os.sched_yield()
        os.stat(self.file)
        if self.uring:
            PARAMETER.write_text(before)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.process.stderr.close()

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def servers(options, folder, backend):
    image = folder / "image"
    if backend == "file" and not image.exists():
        subprocess.run(["dd", "if=/dev/urandom", f"of={image}", "bs=1M", f"count={SIZE >> 20}"], check=True,
                       stderr=subprocess.DEVNULL)
    node = f"file,node-name=n0,filename={image}" if backend == "file" else f"null-co,node-name=n0,size={SIZE}"
    release = pathlib.Path(options.release)
    ours = [release / "host/cli/outportd", "--plugin-dir", release / "plugins/fuse"]
    found = [Server("outport", ours, folder, node, False)]
    if PARAMETER.exists():
        found.append(Server("outport-io-uring", ours, folder, node, True))
    oracle = os.environ.get("OUTPORT_ORACLE_BIN")
    if oracle:
        found.append(Server("qemu-storage-daemon", [pathlib.Path(oracle) / "qemu-storage-daemon"], folder, node))
    return found


def load(server, arguments, seconds):
    """(requests a second, microseconds of the server's processor for each)"""
    before = server.cpu_seconds()
    out = subprocess.run(["fio", "--name=b", f"--filename={server.file}", f"--size={SIZE}", "--ioengine=libaio",
                          "--direct=1", "--time_based", f"--runtime={seconds}", "--group_reporting",
                          "--output-format=json", *arguments], check=True, capture_output=True, text=True)
    job = json.loads(out.stdout[out.stdout.index("{"):])["jobs"][0]
    done = job["read"]["total_ios"] + job["write"]["total_ios"]
    return job["read"]["iops"] + job["write"]["iops"], 1e6 * (server.cpu_seconds() - before) / max(done, 1)


def measure(options, folder, backend, results):
    running = servers(options, folder, backend)
    for server in running:
        server.start()
        load(server, CASES[1][1], 1)  # warm
    for title, arguments in CASES:
        if options.only and options.only not in title:
            continue
        samples = {server.name: [] for server in running}
        for _ in range(options.rounds):
            for server in running:
                samples[server.name].append(load(server, arguments, options.seconds))
        medians = {name: [statistics.median(v) for v in zip(*values)] for name, values in samples.items()}
        results.append({"backend": backend, "case": title, "medians": medians, "samples": samples})
        base = medians.get("qemu-storage-daemon") or medians["outport"]
        print(f"{backend:5} {title:34} " + "  ".join(f"{name} {rate / base[0]:.2f} ({rate:.0f}/s, {cost:.1f} us)"
                                                     for name, (rate, cost) in medians.items()), flush=True)
    for server in running:
        server.stop()


def main():
    parser = argparse.ArgumentParser(prog="./dev bench fuse")
    parser.add_argument("--build", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--release", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=int, default=2, help="for each sample")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--backend", choices=["null", "file"], action="append")
    parser.add_argument("--only", help="cases whose title contains this")
    parser.add_argument("--json", help="write all samples there")
    options = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory(prefix="op-bench-") as folder:
        for backend in options.backend or ["null", "file"]:
            measure(options, pathlib.Path(folder), backend, results)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
