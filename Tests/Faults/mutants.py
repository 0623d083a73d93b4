#!/usr/bin/env python3
"""Breaks what durability and search stand on, one piece at a time, and demands that the tests notice.

A copy of the sources gets all the mutations at once, each behind a check of an environment variable,
so that one build serves all. A mutation whose text is not found, once, is an error: the table must
follow the code. A test run that passes with a mutation on is a survivor, and fails the job.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import report

# How long a run may take, and how long one goes on behind its first failure.
SUITE_SECONDS = 900
MORE_SECONDS = 15

SWITCH = '''#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

private let chosenMutant = getenv("CORDWOOD_MUTANT").map { String(cString: $0) }

/// Whether the code is to be broken in this way.
package func isMutant(_ name: String) -> Bool { chosenMutant == name }
'''


@dataclass
class Mutant:
    name: str
    what: str
    file: str
    old: str
    new: str
    # Suites that are to notice it, as `swift test --filter` has it.
    suites: str = "OperationFaultTests|RandomFaultTests|PartitionLogCrashTests"


LOG = "Sources/CordwoodLog/"
ACTIVE = LOG + "Segment/ActiveSegment.swift"
EDITS = LOG + "Manifest/EditLog.swift"
ENDING = "Sources/Cordwood/Transactions/TransactionCoordinator+Ending.swift"
VECTORS = "Sources/CordwoodVectors/"
INDEX_FILE = VECTORS + "IndexFile/IndexFile.swift"
GRAPH_SEARCH = VECTORS + "HNSW/HNSWIndex+Search.swift"
EXCHANGE = "Sources/Cordwood/Exchange/"
SEALER = "Sources/Cordwood/Collections/Segments/Sealer.swift"

# In this order: a later one may stand inside what an earlier one has put in.
MUTANTS = [
    Mutant("retry-sync", "a sync that failed is tried again, and then believed", ACTIVE,
           "        try await file.write([data, Self.slot(watermark, of: header)], thenSync: sync)\n",
           "        do throws(StorageError) {\n"
           "            try await file.write([data, Self.slot(watermark, of: header)], thenSync: sync)\n"
           "        } catch {\n"
           '            guard isMutant("retry-sync"), error.operation == "fdatasync" else { throw error }\n'
           "            try await file.sync()\n"
           "        }\n"),
    Mutant("skip-sync", "a durable group is written and not synced", ACTIVE,
           "Self.slot(watermark, of: header)], thenSync: sync)",
           'Self.slot(watermark, of: header)], thenSync: sync && !isMutant("skip-sync"))'),
    Mutant("early-ack", "a group is acknowledged before it is written", LOG + "PartitionLog.swift",
           "            let start = observer?.now()\n            try await active.write(",
           '            let start = observer?.now()\n'
           '            if isMutant("early-ack") {\n'
           "                tell(group)\n"
           "                for index in group.entries.indices { group.entries[index].waiter = nil }\n"
           "            }\n"
           "            try await active.write("),
    Mutant("skip-segment-name", "the name of a new segment is not synced", ACTIVE,
           "        do throws(StorageError) { try await storage.syncDirectory(directory) } catch {",
           '        do throws(StorageError) {\n'
           '            if !isMutant("skip-segment-name") { try await storage.syncDirectory(directory) }\n'
           "        } catch {",
           "OperationFaultTests|PartitionLogDamageTests|PartitionLogCrashTests"),
    Mutant("skip-roll-names", "the names of a roll's files are not synced", LOG + "PartitionLog+Roll.swift",
           "        if includingLast { try await storage.syncDirectory(directory) }",
           '        if includingLast, !isMutant("skip-roll-names") {\n'
           "            try await storage.syncDirectory(directory)\n        }"),
    Mutant("skip-manifest-name", "the name of a manifest that was written anew is not synced", EDITS,
           "        try await storage.rename(staged, to: path)\n"
           "        try await storage.syncDirectory(path.parent)",
           "        try await storage.rename(staged, to: path)\n"
           '        if !isMutant("skip-manifest-name") { try await storage.syncDirectory(path.parent) }'),
    Mutant("skip-edit-sync", "an edit of the manifest is not synced before it takes effect", EDITS,
           "            try await file.write([write], thenSync: true)",
           '            try await file.write([write], thenSync: !isMutant("skip-edit-sync"))'),
    Mutant("no-crc", "the checksum of a batch is not looked at", LOG + "Segment/SegmentCursor.swift",
           "        guard found == header.checksum else {",
           '        guard found == header.checksum || isMutant("no-crc") else {',
           "PartitionLogCrashTests|PartitionLogDamageTests|TailScanTests"),
    Mutant("no-chain", "the chain, which covers the batches' headers, is not looked at",
           LOG + "Segment/Landmark.swift",
           "            && (!withChain || (chain ?? cursor.chain) == cursor.chain)",
           '            && (!withChain || isMutant("no-chain")\n'
           "                || (chain ?? cursor.chain) == cursor.chain)",
           "PartitionLogDamageTests|TailScanTests|SegmentReaderTests"),
    Mutant("eager-watermark", "the watermark claims the group that is written with it", ACTIVE,
           "            sequence: watermarkSequence, durable: durable, groupEnd: newEnd.position,",
           '            sequence: watermarkSequence, durable: isMutant("eager-watermark") ? newEnd : durable,\n'
           "            groupEnd: newEnd.position,"),
    Mutant("keep-tail", "what a crash tore is left behind the end", ACTIVE,
           "        try await stopWork()\n        try await file.truncate(to: end.position)",
           "        try await stopWork()\n"
           '        if !isMutant("keep-tail") { try await file.truncate(to: end.position) }'),
    Mutant("trust-tail", "what recovery read behind the watermark is not written anew", ACTIVE,
           "        var position = min(trusted, stop)",
           '        var position = isMutant("trust-tail") ? stop : min(trusted, stop)'),
    Mutant("cut-damage", "damage below the watermark is taken for a torn tail",
           LOG + "Recovery/TailScan.swift",
           "                if isBelowDurable {\n                    quarantineBelowDurable(rest)",
           '                if isBelowDurable, !isMutant("cut-damage") {\n'
           "                    quarantineBelowDurable(rest)",
           "PartitionLogDamageTests|TailScanTests"),
    Mutant("trust-index", "a page of an index is believed whatever its checksum",
           LOG + "Index/IndexPage.swift",
           "            checksum == self.checksum(of: bytes, at: checksumPosition),",
           "            checksum == self.checksum(of: bytes, at: checksumPosition)\n"
           '                || isMutant("trust-index"),',
           "IndexPageTests|IndexFileTests|PartitionLogDamageTests"),
    Mutant("unsynced-seal", "a segment is sealed before its records are on the medium", ACTIVE,
           "        try await file.sync()\n        noteDurable(end, times)",
           '        if !isMutant("unsynced-seal") { try await file.sync() }\n'
           "        noteDurable(end, times)",
           "OperationFaultTests|RandomFaultTests|PartitionLogCrashTests"),
    Mutant("early-unlink", "files go before the manifest's edit is durable",
           LOG + "Manifest/ManifestStore.swift",
           "        try await file.append(edits.map { $0.encode() })\n        manifest = next",
           '        if isMutant("early-unlink") {\n'
           "            manifest = next\n            _ = await removeGarbage()\n        }\n"
           "        try await file.append(edits.map { $0.encode() })\n        manifest = next",
           "OperationFaultTests|CompactionCrashTests"),
    Mutant("early-commit", "a transaction is decided before its records are on the medium", ENDING,
           "            if marker == .commit {\n                let failures = await inEach(next.partitions)",
           '            if marker == .commit, !isMutant("early-commit") {\n'
           "                let failures = await inEach(next.partitions)",
           "OperationFaultTests|RandomFaultTests|TransactionTests"),
    Mutant("undecided-commit", "the markers are written before the decision is on the medium", ENDING,
           "            try await write(id, entry, next)\n            entry.told = []",
           '            if isMutant("undecided-commit") {\n'
           "                entry.state = next\n"
           "                try await finish(id, entry)\n"
           "                return\n            }\n"
           "            try await write(id, entry, next)\n            entry.told = []",
           "OperationFaultTests|RandomFaultTests|TransactionTests"),
    Mutant("lonely-edits", "edits do not say which were written together",
           LOG + "Manifest/EditLog.swift",
           "sequence: sequence + UInt32(slices.count), place: slices.count)",
           "sequence: sequence + UInt32(slices.count),\n"
           '                        place: isMutant("lonely-edits") ? 0 : slices.count)',
           "EditLogTests"),
    Mutant("no-poison", "a log goes on after a write that failed", LOG + "PartitionLog+FullDisk.swift",
           "        failure = reason\n        stopProbe()",
           '        if !isMutant("no-poison") { failure = reason }\n        stopProbe()',
           "PartitionLogCrashTests|OperationFaultTests"),
    Mutant("overwritten-slots", "groups that are not synced take the slot of the durable watermark", ACTIVE,
           "        return next % 2 == durableSequence % 2 ? next + 1 : next",
           '        if isMutant("overwritten-slots") { return next }\n'
           "        return next % 2 == durableSequence % 2 ? next + 1 : next",
           "WatermarkTests"),
    Mutant("sync-beside", "a sync begins beside that of an append", ACTIVE,
           "        isAppendSyncing = sync\n",
           '        isAppendSyncing = sync && !isMutant("sync-beside")\n',
           "PartitionLogAheadTests"),
    Mutant("no-index-crc", "the checksum of an index's section is not looked at", INDEX_FILE,
           "indexChecksum(bytes.unsafeBytes) == entry.checksum else {",
           'indexChecksum(bytes.unsafeBytes) == entry.checksum\n'
           '                    || isMutant("no-index-crc")\n            else {',
           "IndexFileTests"),
    Mutant("unsynced-index", "an index's file gets its name before it is synced", INDEX_FILE,
           "            try await file.write([FileWrite(at: 0, [header])], thenSync: true)",
           "            try await file.write(\n"
           '                    [FileWrite(at: 0, [header])], thenSync: !isMutant("unsynced-index"))',
           "HNSWFileTests"),
    Mutant("trust-edges", "edges of a file that lead out of the graph are followed",
           VECTORS + "HNSW/HNSWIndex+File.swift",
           "        guard parts.graph.isSound else {",
           '        guard parts.graph.isSound || isMutant("trust-edges") else {',
           "ForgedFileTests"),
    Mutant("no-filter", "a graph's search looks at no filter", GRAPH_SEARCH,
           "                kernel: kernel, scratch: scratch, filter: filter,",
           "                kernel: kernel, scratch: scratch,\n"
           '                filter: isMutant("no-filter") ? nil : filter,',
           "FilterSoundnessTests"),
    Mutant("filter-once", "the filter of a batch is the first query's alone",
           VECTORS + "IVF/IVFIndex+Search.swift",
           "            let bits = allowed == nil ? nil : words.baseAddress\n"
           "            for query in 0..<queryCount {\n",
           "            var bits = allowed == nil ? nil : words.baseAddress\n"
           "            for query in 0..<queryCount {\n"
           '                if query > 0, isMutant("filter-once") { bits = nil }\n',
           "ResultTests"),
    Mutant("no-completing", "a search that found fewer than there are looks no farther", GRAPH_SEARCH,
           "                next = plan.next(\n",
           '                next = isMutant("no-completing") ? nil : plan.next(\n',
           "FilteredRecallTests|HNSWFilterTests"),
    Mutant("starved-walk", "a walk on disk that met little that is allowed is believed",
           VECTORS + "Disk/DiskIndex+Search.swift",
           "        guard case .walk(let ef) = search.plan, let allowed = search.allowed else { return }",
           "        guard case .walk(let ef) = search.plan, let allowed = search.allowed,\n"
           '            !isMutant("starved-walk")\n        else { return }',
           "FilteredRecallTests"),
    Mutant("half-bound", "RaBitQ's bounds are half as far from their estimates as promised",
           VECTORS + "Quantization/RaBitQuantizer.swift",
           "                epsilon: configuration.epsilon))",
           '                epsilon: configuration.epsilon * (isMutant("half-bound") ? 0.5 : 1)))',
           "RaBitQEstimateTests"),
    Mutant("known-queries", "recall is measured with vectors that are in the index",
           VECTORS + "HNSW/HNSWBuilder.swift",
           "        construction.run(through: inside) {",
           '        construction.run(through: isMutant("known-queries") ? order.nodeCount : inside) {',
           "RecallCalibrationTests"),
    Mutant("wide-center", "the center of codes overflows where components fill what floats hold",
           VECTORS + "Quantization/ScalarQuantizer.swift",
           "            centers[dimension] = 2 * (range.0 / 2 + steps[dimension] * (half / 2))\n",
           "            centers[dimension] = 2 * (range.0 / 2 + steps[dimension] * (half / 2))\n"
           '            if isMutant("wide-center") {\n'
           "                centers[dimension] = range.0 + steps[dimension] * half\n            }\n",
           "InputTests"),
    Mutant("dead-points", "a segment's search returns points that were deleted or replaced",
           "Sources/Cordwood/Collections/PointSearch.swift",
           "segment.liveCount < segment.live.count ? segment.live : nil",
           'segment.liveCount < segment.live.count && !isMutant("dead-points")\n'
           "                    ? segment.live : nil",
           "SealingTests"),
    Mutant("early-manifest", "a manifest knows of records that are not durable", SEALER,
           "        try await waitUntilDurable(plan.appliedOffset)\n",
           '        if !isMutant("early-manifest") { try await waitUntilDurable(plan.appliedOffset) }\n',
           "SealingCrashTests"),
    Mutant("early-removal", "segments that were joined go before the manifest is durable", SEALER,
           "        let segment = try await build(plan, request)\n",
           "        let segment = try await build(plan, request)\n"
           '        if isMutant("early-removal") {\n'
           "            await store.removeFiles(of: plan.merged.map(\\.segment.number))\n        }\n",
           "SealingCrashTests"),
    Mutant("twice-live", "a point that healing puts into the head stays live in its segment",
           "Sources/Cordwood/Collections/CollectionPoints.swift",
           "vector: vector.span, offset: point.offset)\n            segments[target].live[place] = false",
           "vector: vector.span, offset: point.offset)\n"
           '            if isMutant("twice-live") { continue }\n'
           "            segments[target].live[place] = false",
           "SegmentMendingTests"),
    Mutant("tier-ahead", "a view's disk tier is committed before its log is flushed",
           "Sources/Cordwood/Caching/ViewCore.swift",
           "                if offset > place.partition.durableOffset { try await place.log.flush() }",
           '                if offset > place.partition.durableOffset, !isMutant("tier-ahead") {\n'
           "                    try await place.log.flush()\n                }",
           "DiskTierTests"),
    Mutant("origin-ahead", "an origin gets records before they are durable",
           "Sources/Cordwood/Caching/OriginWriter.swift",
           "        if place.partition.durableOffset <= offset { try await place.log.flush() }",
           '        if place.partition.durableOffset <= offset, !isMutant("origin-ahead") {\n'
           "            try await place.log.flush()\n        }",
           "WriteBehindTests"),
    Mutant("no-tie", "versions of the same hybrid logical time have no order",
           EXCHANGE + "SharedVersion.swift",
           "        (a.timestamp, a.dot) < (b.timestamp, b.dot)",
           '        if isMutant("no-tie") { return a.timestamp < b.timestamp }\n'
           "        return (a.timestamp, a.dot) < (b.timestamp, b.dot)",
           "SharedTopicTests"),
    Mutant("stale-position", "a peer's request counts from a position of an earlier opening",
           EXCHANGE + "SharedState.swift",
           "request.position.opening == opening ? request.position.offset : 0",
           'request.position.opening == opening || isMutant("stale-position")\n'
           "            ? request.position.offset : 0",
           "ExchangeModelTests|SharedTopicTests"),
    Mutant("stale-answer", "an answer of a peer counts from where its earlier opening was applied",
           EXCHANGE + "ExchangePosition.swift",
           "known.opening == reply.position.opening ? known.offset : 0",
           'known.opening == reply.position.opening || isMutant("stale-answer")\n'
           "            ? known.offset : 0",
           "ExchangeMessageTests"),
]


def mutate(root, copy):
    """Copies the sources with all mutations. What is as it was keeps its time, so that nothing is built
    twice."""
    mutated = {}
    for mutant in MUTANTS:
        text = mutated.get(mutant.file) or (root / mutant.file).read_text()
        if text.count(mutant.old) != 1:
            sys.exit(f"{mutant.name}: its text is {text.count(mutant.old)} times in {mutant.file}, "
                     "expected once; the table of mutants must follow the code")
        text = text.replace(mutant.old, mutant.new)
        # Where the switch is.
        if "import CordwoodStorage\n" not in text:
            text = "import CordwoodStorage\n" + text
        mutated[mutant.file] = text
    switch = "Sources/CordwoodStorage/Mutants.swift"
    mutated[switch] = SWITCH
    for name in ("Sources", "CKernels", "Tests", "Package.swift"):
        source, target = root / name, copy / name
        if source.is_dir():
            subprocess.run(
                ["rsync", "-a", "--delete", "--exclude=.build"]
                + [f"--exclude=/{Path(file).relative_to(name)}" for file in mutated
                   if file.startswith(f"{name}/")] + [f"{source}/", f"{target}/"],
                check=True)
        else:
            shutil.copy2(source, target)
    for file, text in mutated.items():
        path = copy / file
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


TESTING = ["-c", "release", "-Xswiftc", "-enable-testing"]


def noticed(copy, mutant, suites):
    """The tests that fail with the mutation on, as far as they do soon after the first one; none where
    all pass. None where the run did not end."""
    environment = dict(os.environ, CORDWOOD_MUTANT=mutant.name if mutant else "")
    run = subprocess.Popen(
        ["swift", "test", *TESTING, "--skip-build", "--filter", suites], cwd=copy, env=environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="replace", start_new_session=True)
    failed, began = [], False
    # A mutation can fail thousands of times; the first tests say enough.
    end = threading.Timer(SUITE_SECONDS, kill, [run])
    end.start()
    for line in run.stdout:
        began = began or "Test run started" in line
        found = re.search(r"Test (\w+)\(.*recorded an issue", line)
        if found and found[1] not in failed:
            if not failed:
                end.cancel()
                end = threading.Timer(MORE_SECONDS, kill, [run])
                end.start()
            failed.append(found[1])
    end.cancel()
    code = run.wait()
    if not began:
        sys.exit(f"no test of {suites} was begun")
    if failed or code == 0:
        return failed
    return None if code == -signal.SIGKILL else [f"the process ended with {code}"]


def kill(run):
    os.killpg(run.pid, signal.SIGKILL)


def document(found, path):
    """Writes the rows of what ran into the table, by what each mutation is, and leaves the others. A
    mutation can fail dozens of tests; the first ones say enough."""
    rows = dict(re.findall(r"^\| (.*?) \| (.*) \|$", report.inside(path, "mutants"), re.MULTILINE))
    for what, tests in found.items():
        rows[what] = ("a hang" if tests is None else
                      ", ".join(f"`{test}`" for test in tests[:3]) or "**nothing**")
    lines = ["| Change | Caught by, among others |", "|---|---|"]
    lines += [f"| {m.what} | {rows[m.what]} |" for m in MUTANTS if m.what in rows]
    report.between(path, "mutants", "\n".join(lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--only", nargs="+")
    arguments = parser.parse_args()
    unknown = set(arguments.only or []) - {mutant.name for mutant in MUTANTS}
    if unknown:
        sys.exit(f"no mutant is named {', '.join(sorted(unknown))}; there are "
                 + ", ".join(mutant.name for mutant in MUTANTS))
    chosen = [m for m in MUTANTS if not arguments.only or m.name in arguments.only]
    copy = arguments.root / ".build/mutants"
    copy.mkdir(parents=True, exist_ok=True)
    mutate(arguments.root, copy)
    subprocess.run(
        ["swift", "build", "--build-tests", "--quiet", *TESTING], cwd=copy, check=True,
        stdin=subprocess.DEVNULL)
    # Tests that fail by themselves would catch everything.
    failing = noticed(copy, None, "|".join(sorted({mutant.suites for mutant in chosen})))
    if failing is None or failing:
        sys.exit(f"without a mutation: {failing or 'the tests do not end'}")
    found = {}
    for mutant in chosen:
        began = time.monotonic()
        tests = noticed(copy, mutant, mutant.suites)
        found[mutant.what] = tests
        by = "a hang" if tests is None else ", ".join(tests)
        print(f"{mutant.name}: {'caught by ' + by if by else 'SURVIVED'} "
              f"({time.monotonic() - began:.0f} s)", flush=True)
    document(found, arguments.root / "docs/durability.md")
    return 1 if [] in found.values() else 0


if __name__ == "__main__":
    sys.exit(main())
