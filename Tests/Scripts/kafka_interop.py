#!/usr/bin/env python3
"""Holds Cordwood's record batches against kafka-python, an independent implementation.

usage: kafka_interop.py fixtures DIR     write batches of every kind, and what they hold, as text
       kafka_interop.py segments DIR     read the segments that Cordwood wrote, and compare
       kafka_interop.py check            both, with `swift test` as the other side

The text has a line for each batch and record; bytes are hexadecimal, `-` is a missing field.
Tests/CordwoodLogTests/Support/KafkaText.swift makes the same lines.
"""

import argparse
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from kafka.record.util import calc_crc32c

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
SEGMENT_HEADER_BYTES = 4096
TIMESTAMP_TYPE, TRANSACTIONAL, CONTROL = 8, 16, 32
ABORT, COMMIT = 0, 1
ROOT = pathlib.Path(__file__).resolve().parents[2]


def text_of(value):
    return "-" if value is None else bytes(value).hex()


def record_line(offset, time, key, value, headers):
    pairs = ",".join(f"{text_of(name.encode())}:{text_of(data)}" for name, data in headers)
    return (
        f"record offset={offset} time={time} key={text_of(key)} value={text_of(value)}"
        f" headers={pairs}\n"
    )


def batch_line(batch):
    bits = batch.attributes
    return (
        f"batch base={batch.base_offset} last={batch.last_offset} codec={bits & 7}"
        f" append-time={bits >> 3 & 1} transactional={bits >> 4 & 1} control={bits >> 5 & 1}"
        f" first-time={batch.first_timestamp} max-time={batch.max_timestamp}"
        f" producer={batch.producer_id}/{batch.producer_epoch}/{batch.base_sequence}"
        f" records={batch.records_count}\n"
    )


# What kafka-python writes


def changed(raw, base_offset, bits, max_time):
    """Sets what a broker sets (the offset, the time of the append, control), and the CRC."""
    raw = bytearray(raw)
    struct.pack_into(">q", raw, 0, base_offset)
    (attributes,) = struct.unpack_from(">h", raw, 21)
    struct.pack_into(">h", raw, 21, attributes | bits)
    if max_time is not None:
        struct.pack_into(">q", raw, 35, max_time)
    struct.pack_into(">I", raw, 17, calc_crc32c(memoryview(raw)[21:]))
    return bytes(raw)


def build(records, base_offset, codec=0, bits=0, producer=(-1, -1, -1), append_time=None):
    """A batch by kafka-python's builder, and the lines for what was put in."""
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=codec, is_transactional=bool(bits & TRANSACTIONAL),
        producer_id=producer[0], producer_epoch=producer[1], base_sequence=producer[2],
        batch_size=1 << 24)
    for delta, (time, key, value, headers) in enumerate(records):
        assert builder.append(delta, time, key, value, headers) is not None
    if append_time is not None:
        bits |= TIMESTAMP_TYPE
    raw = changed(builder.build(), base_offset, bits, append_time)
    batch = DefaultRecordBatch(raw)
    assert batch.compression_type == codec, "the records do not compress"
    lines = batch_line(batch)
    for delta, (time, key, value, headers) in enumerate(records):
        time = time if append_time is None else append_time
        lines += record_line(base_offset + delta, time, key, value, headers)
    return raw, lines


def random_records(generator, count):
    def field():
        kind = generator.randrange(4)
        if kind == 0:
            return None
        if kind == 1:
            return b""
        if kind == 2:
            return generator.randbytes(generator.randrange(40))
        return b"A" * generator.randrange(300)

    def headers():
        names = ["", "a", "na\u00efve", "\U0001f332"]
        return [(generator.choice(names), field()) for _ in range(generator.randrange(4))]

    start = 1_700_000_000_000
    records = [(start, b"first", b"A" * 100, [("kind", b"x")])]
    for _ in range(count - 1):
        time = start + generator.randrange(-100_000, 100_000)
        records.append((time, field(), field(), headers()))
    return records


def marker(kind, base_offset, producer, time):
    """The control batch that ends a transaction."""
    record = (time, struct.pack(">hh", 0, kind), struct.pack(">hi", 0, 3), [])
    return build(
        [record], base_offset, bits=TRANSACTIONAL | CONTROL, producer=(producer[0], producer[1], -1))


def write_fixtures(folder, seed):
    generator = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)

    def write(name, batches):
        (folder / f"{name}.bin").write_bytes(b"".join(raw for raw, _ in batches))
        (folder / f"{name}.txt").write_text("".join(lines for _, lines in batches))

    for codec, name in enumerate(CODECS):
        first = random_records(generator, 12)
        second = random_records(generator, 5)
        write(name, [build(first, 1000, codec), build(second, 1012, codec)])
        append_time = build(first, 7, codec, append_time=1_700_000_123_456)
        write(f"{name}-append-time", [append_time])
        producer = (4711, 2, 40)
        data = build(second, 20, codec, bits=TRANSACTIONAL, producer=producer)
        end = marker(COMMIT if codec % 2 else ABORT, 25, producer, 1_700_000_000_500)
        write(f"{name}-transaction", [data, end])
    # More than one block of every codec's framing.
    wide = [(1, None, generator.randbytes(900) + b"A" * 1500, []) for _ in range(100)]
    for codec, name in enumerate(CODECS):
        if seed is None:
            write(f"{name}-large", [build(wide, 0, codec)])


# What Cordwood wrote


def batches_of_segment(path):
    data = path.read_bytes()[SEGMENT_HEADER_BYTES:]
    position = 0
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">i", data, position + 8)
        if length == 0:
            # Reserved space: nothing but zeros may follow.
            assert not any(data[position:]), f"{path}: bytes behind the last batch"
            break
        batch = DefaultRecordBatch(data[position : position + 12 + length])
        assert batch.size_in_bytes == 12 + length and batch.magic == 2, path
        assert batch.validate_crc(), f"{path}: kafka-python finds another CRC"
        yield batch
        position += 12 + length


def compare_segments(folder):
    logs = sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0].isdigit())
    assert logs, f"no logs in {folder}"
    for log in logs:
        codec = CODECS.index(log.name.split("-")[1])
        lines, codecs, count = "", set(), 0
        segments = sorted(log.glob("*.log"))
        for segment in segments:
            for batch in batches_of_segment(segment):
                codecs.add(batch.compression_type)
                count += 1
                producer = f"{batch.producer_id}/{batch.producer_epoch}/{batch.base_sequence}"
                if batch.is_control_batch:
                    (record,) = batch
                    end = {COMMIT: "commit", ABORT: "abort"}[record.type]
                    lines += (f"marker offset={record.offset} {end} producer={producer}"
                              f" value={text_of(record.value)}\n")
                    continue
                if batch.is_transactional:
                    lines += f"transaction offset={batch.base_offset} producer={producer}\n"
                for record in batch:
                    lines += record_line(
                        record.offset, record.timestamp, record.key, record.value, record.headers)
        # What does not get smaller is written plain.
        assert codec in codecs and codecs <= {0, codec}, f"{log}: codecs {codecs}"
        expected = (folder / f"{log.name}.txt").read_text()
        if lines != expected:
            sys.exit(f"{log}: kafka-python reads other records than were appended")
        print(f"{log.name}: {len(segments)} segments, {count} batches, "
              f"{lines.count('record ')} records, {lines.count('marker ')} markers agree")


def check():
    with tempfile.TemporaryDirectory(prefix="cordwood-kafka-") as work:
        work = pathlib.Path(work)
        write_fixtures(work / "batches", seed=None)
        (work / "segments").mkdir()
        environment = os.environ | {
            "CORDWOOD_KAFKA_BATCHES": str(work / "batches"),
            "CORDWOOD_KAFKA_SEGMENTS": str(work / "segments"),
        }
        command = ["swift", "test", "--filter", "KafkaInteropTests"]
        subprocess.run(command, cwd=ROOT, env=environment, check=True)
        compare_segments(work / "segments")
        print(f"Cordwood reads {len(list((work / 'batches').glob('*.bin')))} files of "
              "kafka-python's batches.")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    jobs = parser.add_subparsers(dest="job", required=True)
    fixtures = jobs.add_parser("fixtures")
    fixtures.add_argument("folder", type=pathlib.Path)
    fixtures.add_argument("--seed", type=int, default=1)
    segments = jobs.add_parser("segments")
    segments.add_argument("folder", type=pathlib.Path)
    jobs.add_parser("check")
    arguments = parser.parse_args()
    if arguments.job == "fixtures":
        write_fixtures(arguments.folder, arguments.seed)
    elif arguments.job == "segments":
        compare_segments(arguments.folder)
    else:
        check()


if __name__ == "__main__":
    main()
