import CLiburing
import Glibc

extension LinuxFile {
    /// Past the system's cache where the file system can, so that the memory that the reads take is the
    /// reader's alone.
    public func randomReads() async throws(StorageError) -> any RandomReads {
        let descriptor = try openDescriptor("read")
        let usesRings = loop is RingExecutor
        return try await workers.run { [path] () throws(StorageError) in
            switch systemCall({ cordwood_reopen_direct_for_reading(descriptor.number) }) {
            case .success(let number):
                return LinuxReads(FileDescriptor(adopting: number), path, usesRings: usesRings)
            case .failure(let error) where error.number == EINVAL || error.number == ENOENT:
                return LinuxReads(descriptor, path, usesRings: usesRings)
            case .failure(let error): throw error.on(path, "open")
            }
        }
    }
}

/// Random reads by a ring for each reader, or by plain system calls where the storage has no rings or
/// the kernel grants no more of them.
final class LinuxReads: RandomReads {
    private let descriptor: FileDescriptor
    private let path: StoragePath
    private let usesRings: Bool

    init(_ descriptor: FileDescriptor, _ path: StoragePath, usesRings: Bool) {
        self.descriptor = descriptor
        self.path = path
        self.usesRings = usesRings
    }

    func makeReader(slotCount: Int, slotBytes: Int) throws(StorageError) -> any RandomReader {
        let slots = ReadSlots(count: slotCount, slotBytes: slotBytes)
        if usesRings, slotCount <= Ring.completionCapacity {
            do throws(Errno) {
                let ring = try Ring(
                    submissionCapacity: min(slotCount, Ring.submissionCapacity),
                    completionCapacity: slotCount, movesBetweenThreads: true)
                return RingReader(ring, descriptor, path, slots)
            } catch {
                // Without a ring the same reads take longer, which is all that differs.
            }
        }
        return BlockingReader(descriptor, path, slots)
    }
}

/// Reads through a ring of its own.
///
/// Invariant: at most one read a slot is in flight, so that neither queue of the ring overflows.
private final class RingReader: RandomReader {
    private let ring: Ring
    private let descriptor: FileDescriptor
    private let path: StoragePath
    private let slots: ReadSlots
    private var positions: [Int]
    private var inFlight = 0

    init(
        _ ring: consuming Ring, _ descriptor: FileDescriptor, _ path: StoragePath,
        _ slots: consuming ReadSlots
    ) {
        self.ring = ring
        self.descriptor = descriptor
        self.path = path
        positions = Array(repeating: 0, count: slots.count)
        self.slots = slots
    }

    // The kernel writes to the slots until the last read has ended.
    deinit {
        while inFlight > 0 { complete(waits: true) { _, _ in } }
    }

    func start(slot: Int, at position: Int) {
        positions[slot] = position
        while ring.freeSubmissions == 0 { ring.submit(waits: false) }
        ring.prepare(
            .read(into: slots[slot].baseAddress!, count: slots.slotBytes, position: position),
            on: descriptor.number, tag: UInt64(slot), linked: false)
        inFlight += 1
    }

    func complete(waits: Bool, _ body: (Int, Result<Int, StorageError>) -> Void) {
        precondition(!waits || inFlight > 0, "nothing is in flight")
        var ended = 0
        // The kernel may take part of what is prepared only, or be interrupted: it is asked again.
        repeat {
            if ring.preparedSubmissions > 0 || waits { ring.submit(waits: waits) }
            ring.reap { completion in
                ended += 1
                let slot = Int(completion.tag)
                body(slot, result(of: completion, slot))
            }
        } while waits && ended == 0
        inFlight -= ended
    }

    private func result(
        of completion: Ring.Completion, _ slot: Int
    ) -> Result<Int, StorageError> {
        if completion.result >= 0 { return .success(Int(completion.result)) }
        guard completion.result == -EINTR || completion.result == -EAGAIN else {
            return .failure(Errno(-completion.result).on(path, "read"))
        }
        // What the ring could not do just now is done without it.
        return FileStep.read(
            into: slots[slot].baseAddress!, count: slots.slotBytes, position: positions[slot]
        ).result(on: descriptor, path)
    }

    func withBytes(of slot: Int, _ body: (RawSpan) -> Void) {
        body(UnsafeRawBufferPointer(slots[slot]).bytes)
    }
}

/// Reads one after another, by plain system calls of the thread that waits.
private final class BlockingReader: RandomReader {
    private let descriptor: FileDescriptor
    private let path: StoragePath
    private let slots: ReadSlots
    private var started: [(slot: Int, position: Int)] = []

    init(_ descriptor: FileDescriptor, _ path: StoragePath, _ slots: consuming ReadSlots) {
        self.descriptor = descriptor
        self.path = path
        self.slots = slots
    }

    func start(slot: Int, at position: Int) { started.append((slot, position)) }

    func complete(waits: Bool, _ body: (Int, Result<Int, StorageError>) -> Void) {
        precondition(!waits || !started.isEmpty, "nothing is in flight")
        for (slot, position) in started {
            let step = FileStep.read(
                into: slots[slot].baseAddress!, count: slots.slotBytes, position: position)
            body(slot, step.result(on: descriptor, path))
        }
        started.removeAll(keepingCapacity: true)
    }

    func withBytes(of slot: Int, _ body: (RawSpan) -> Void) {
        body(UnsafeRawBufferPointer(slots[slot]).bytes)
    }
}

extension FileStep {
    fileprivate func result(
        on descriptor: FileDescriptor, _ path: StoragePath
    ) -> Result<Int, StorageError> {
        switch systemCall({ runBlocking(on: descriptor.number).result }) {
        case .success(let count): .success(count)
        case .failure(let error): .failure(error.on(path, "read"))
        }
    }
}
