"""Other programs' logs as they are measured beside ours: one record an operation, by as many
producers at once, each of which waits for its acknowledgement before it goes on.

Each function appends for about `seconds` in a folder of its own and returns records a second.
"""

import asyncio
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path


class Unable(Exception):
    """Why a peer cannot be measured here, in a sentence."""


def rocksdb(folder: Path, producers: int, record: int, seconds: int, durable: bool) -> float:
    """The write-ahead log under random puts; memtables are large, so that nothing is flushed."""
    command = ["db_bench", "--benchmarks=fillrandom", f"--db={folder}", "--num=100000000"]
    command += [f"--duration={seconds}", f"--threads={producers}", f"--value_size={record}"]
    command += ["--key_size=8", "--compression_type=none", f"--sync={int(durable)}"]
    command += ["--write_buffer_size=4000000000", "--max_write_buffer_number=4"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"fillrandom\s*:.*?([\d.]+) ops/sec", output)
    if not found:
        raise Unable(f"db_bench printed no rate: {output[-300:]}")
    return float(found[1])


def sqlite(folder: Path, producers: int, record: int, seconds: int, durable: bool) -> float:
    """One connection, since SQLite has one writer; what the producers would send while a
    transaction commits is the next one, so each has as many records as there are producers."""
    database = sqlite3.connect(folder / "log.db", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute(f"PRAGMA synchronous={'FULL' if durable else 'OFF'}")
    database.execute("CREATE TABLE log (id INTEGER PRIMARY KEY, value BLOB)")
    rows = [(os.urandom(record),)] * producers
    count, start = 0, time.perf_counter()
    while time.perf_counter() < start + seconds:
        database.execute("BEGIN")
        database.executemany("INSERT INTO log (value) VALUES (?)", rows)
        database.execute("COMMIT")
        count += producers
    rate = count / (time.perf_counter() - start)
    database.close()
    return rate


@contextmanager
def _server(command: list[str], ready, log: Path):
    """A server that runs until the block ends."""
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 10
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise Unable(f"{command[0]} did not start: {log.read_text()[-300:]}")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


def redis(folder: Path, producers: int, record: int, seconds: int, durable: bool) -> float:
    """Streams: XADD, with an append-only file that is synced before each reply, or by the system."""
    path = folder / "redis.sock"
    command = ["redis-server", "--port", "0", "--unixsocket", str(path), "--dir", str(folder)]
    command += ["--appendonly", "yes", "--save", "", "--daemonize", "no"]
    command += ["--appendfsync", "always" if durable else "no"]
    command += ["--auto-aof-rewrite-percentage", "0"]

    def measure(count: int) -> float:
        bench = ["redis-benchmark", "-s", str(path), "-c", str(producers), "-n", str(count)]
        bench += ["--csv", "xadd", "log", "*", "v", "x" * record]
        output = subprocess.run(bench, check=True, capture_output=True, text=True).stdout
        return float(output.strip().splitlines()[-1].split('","')[1].strip('"'))

    with _server(command, path.exists, folder / "redis.log"):
        probe = measure(max(1000, 10 * producers))
        # All of the stream stays in the server's memory.
        return measure(int(min(probe * seconds, 2e9 / record)) + producers)


def nats(folder: Path, producers: int, record: int, seconds: int, durable: bool) -> float:
    """JetStream's file store. `sync_interval: always` came with version 2.10; without it a server
    syncs every two minutes and cannot be compared where records are to be durable."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    always = "sync_interval: always, " if durable else ""
    settings = folder / "nats.conf"
    settings.write_text(
        f'listen: "127.0.0.1:{port}"\n'
        f'jetstream: {{ {always}store_dir: "{folder}/js", max_file_store: 20G }}\n'
    )
    check = subprocess.run(
        ["nats-server", "-c", str(settings), "-t"], capture_output=True, text=True
    )
    if check.returncode != 0:
        version = subprocess.run(["nats-server", "--version"], capture_output=True, text=True)
        raise Unable(f"{version.stdout.strip()} cannot sync before it acknowledges")

    def is_ready() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    command = ["nats-server", "-c", str(settings)]
    with _server(command, is_ready, folder / "nats.log"):
        return asyncio.run(_publish(port, producers, record, seconds))


async def _publish(port: int, producers: int, record: int, seconds: int) -> float:
    import nats as client

    connection = await client.connect(f"nats://127.0.0.1:{port}")
    stream = connection.jetstream(timeout=30)
    await stream.add_stream(name="log", subjects=["log"])
    payload = os.urandom(record)
    start = time.perf_counter()

    async def produce() -> int:
        count = 0
        while time.perf_counter() < start + seconds:
            await stream.publish("log", payload)
            count += 1
        return count

    total = sum(await asyncio.gather(*(produce() for _ in range(producers))))
    rate = total / (time.perf_counter() - start)
    await connection.close()
    return rate


PEERS = {
    "RocksDB WAL": (rocksdb, "db_bench"),
    "SQLite WAL": (sqlite, None),
    "Redis Streams": (redis, "redis-server"),
    "NATS JetStream": (nats, "nats-server"),
}


def measure(name: str, parent: Path, *load) -> float:
    """Measures a peer in a new folder, which is removed. Throws `Unable`."""
    function, tool = PEERS[name]
    if tool and not shutil.which(tool):
        raise Unable(f"{tool} is not installed")
    folder = parent / f"peer-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        return function(folder, *load)
    except (subprocess.CalledProcessError, OSError, ImportError, asyncio.TimeoutError) as error:
        print(f"bench-log: {name}: {error}", file=sys.stderr)
        raise Unable(f"failed: {type(error).__name__}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
