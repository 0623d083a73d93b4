import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodLog

@Suite struct EditLogTests {
    typealias Log = EditLog<SimulatedFile>

    private func open(
        _ storage: SimulatedStorage, kind: EditLogKind = .catalog
    ) async throws -> (log: Log, edits: [[UInt8]]) {
        var edits: [[UInt8]] = []
        let log = try await Log.open(path("edits"), on: storage, kind: kind) { edits.append($0) }
        return (log, edits)
    }

    /// A file with three edits, and the byte at which each begins.
    private func sample() async throws -> (SimulatedStorage, [[UInt8]], starts: [Int]) {
        let storage = SimulatedStorage(seed: 1)
        let edits: [[UInt8]] = [[1], [2, 2, 2, 2], [UInt8](repeating: 3, count: 40)]
        let log = try await Log.create(
            path("edits"), on: storage, kind: .catalog, identity: 99, edits: [edits[0]])
        try await log.append([edits[1]])
        try await log.append([edits[2]])
        await log.close()
        return (storage, edits, [32, 32 + 13, 32 + 13 + 16])
    }

    @Test func editsComeBackInOrder() async throws {
        let (storage, edits, _) = try await sample()
        storage.crash(.dropUnsynced)
        let (log, found) = try await open(storage)
        #expect(found == edits && log.identity == 99 && log.cutBytes == 0)
        try await log.append([[7], [8]])
        storage.crash(.dropUnsynced)
        #expect(try await open(storage).edits == edits + [[7], [8]])
    }

    @Test func aTornEditIsCutAtEveryByte() async throws {
        let (whole, edits, starts) = try await sample()
        let bytes = try #require(whole.contents(of: try path("edits")))
        let size = starts[2] + 12 + edits[2].count
        #expect(bytes.count >= size + Log.reserveBytes / 2)
        #expect(bytes[size...].allSatisfy { $0 == 0 })
        for count in 32...size {
            let (storage, _, _) = try await sample()
            try storage.cut(path("edits"), to: count)
            let kept = (starts.dropFirst() + [size]).filter { $0 <= count }.count
            let (log, found) = try await open(storage)
            #expect(found == Array(edits[..<kept]), "cut to \(count)")
            // Zeros are space that was reserved.
            let rest = bytes[(starts + [size])[kept]..<count]
            let torn = rest.lastIndex { $0 != 0 }.map { $0 + 1 - rest.startIndex } ?? 0
            #expect(log.cutBytes == torn, "cut to \(count)")
            // What is appended next follows what was kept.
            try await log.append([[9]])
            storage.crash(.dropUnsynced)
            #expect(try await open(storage).edits == Array(edits[..<kept]) + [[9]])
        }
        for count in 0..<32 {
            let (storage, _, _) = try await sample()
            try storage.cut(path("edits"), to: count)
            let error = await #expect(throws: LogError.self) { _ = try await open(storage) }
            #expect(error?.code == .damaged || error?.code == .unsupportedFormat)
        }
    }

    @Test func everyFlippedByteIsRefusedOrCutOffTheEnd() async throws {
        let (_, edits, starts) = try await sample()
        let size = starts[2] + 12 + edits[2].count
        // Of the reserve behind the edits a part has to do.
        for byte in 0..<size + 100 {
            let (storage, _, _) = try await sample()
            try storage.flip(path("edits"), byte: byte, mask: 0x40)
            let bad = storage.contents(of: try path("edits"))
            if byte >= size {
                #expect(try await open(storage).edits == edits, "byte \(byte)")
            } else if byte >= starts[2] {
                // The last edit: it cannot be told from a torn one.
                #expect(try await open(storage).edits == Array(edits[..<2]), "byte \(byte)")
            } else {
                let error = await #expect(throws: LogError.self, "byte \(byte)") {
                    _ = try await open(storage)
                }
                #expect(error?.code == (byte < 8 ? .unsupportedFormat : .damaged), "byte \(byte)")
                #expect(storage.contents(of: try path("edits")) == bad, "nothing was changed")
            }
        }
    }

    @Test func newerVersionsAndOtherKindsAreRefused() async throws {
        let (storage, _, _) = try await sample()
        await expectLogError(.inconsistent) { _ = try await open(storage, kind: .segments) }
        var bytes = try #require(storage.contents(of: try path("edits")))
        bytes[8] = 3
        let checksum = bytes.withUnsafeBytes { crc32c(UnsafeRawBufferPointer(rebasing: $0[..<28])) }
        withUnsafeBytes(of: checksum.littleEndian) { bytes.replaceSubrange(28..<32, with: $0) }
        let file = try await storage.open(path("edits"), .readWrite)
        try await file.write(
            [FileWrite(at: 0, [MemorySlice(MemoryBlock(copying: bytes))])], thenSync: true)
        let error = await expectLogError(.unsupportedFormat) { _ = try await open(storage) }
        #expect(error?.message.contains("found 3") == true)
    }

    /// Edits of one group reach the disk in any order, sector by sector: a sound one behind a torn
    /// one proves nothing. What is there is a prefix of the group.
    @Test func aGroupThatTearsAnywhereIsCut() async throws {
        var lengths: Set<Int> = []
        for seed in seeds(300) {
            var random = SplitMix64(seed: seed)
            let storage = SimulatedStorage(seed: seed)
            let before = [[UInt8](repeating: 1, count: 1 + random.below(500))]
            let log = try await Log.create(
                path("edits"), on: storage, kind: .catalog, identity: 99, edits: before)
            let group = (0..<2 + random.below(4)).map {
                [UInt8](repeating: UInt8(2 + $0), count: 1 + random.below(300))
            }
            storage.inject(Fault(.powerCut, at: 1, of: .sync))
            await #expect(throws: StorageError.self) { try await log.append(group) }
            storage.crash(.bySeed)
            #expect(try damage(in: storage) == 0, "seed \(seed)")
            let found = try await open(storage).edits
            #expect(found == Array((before + group).prefix(found.count)), "seed \(seed)")
            #expect(found.count >= 1, "seed \(seed)")
            lengths.insert(found.count)
            // What comes behind it is a group of its own.
            let (again, _) = try await open(storage)
            try await again.append([[8], [9]])
            storage.crash(.dropUnsynced)
            #expect(try await open(storage).edits == found + [[8], [9]], "seed \(seed)")
        }
        #expect(lengths.count > 2, "groups were torn in several places")
    }

    /// A group of an earlier time is not cut for damage in it.
    @Test func damageInAnEarlierGroupIsRefused() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await Log.create(
            path("edits"), on: storage, kind: .catalog, identity: 99, edits: [[1]])
        try await log.append([[2], [3], [4]])
        try await log.append([[5], [6]])
        await log.close()
        let frame = 13
        try storage.flip(path("edits"), byte: 32 + frame + 3, mask: 0x40)
        #expect(try damage(in: storage) == 1)
        await expectLogError(.damaged) { _ = try await open(storage) }
    }

    /// The damaged places that an inspection of the file finds.
    private func damage(in storage: SimulatedStorage) throws -> Int {
        let bytes = try #require(storage.contents(of: try path("edits")))
        return try bytes.withUnsafeBytes {
            EditLogInspection($0, kind: .catalog, path: try path("edits")).damage.count
        }
    }

    @Test func filesOfTheFirstVersionAreRead() async throws {
        let (storage, edits, _) = try await sample()
        var bytes = try #require(storage.contents(of: try path("edits")))
        bytes[8] = 1
        let checksum = bytes.withUnsafeBytes { crc32c(UnsafeRawBufferPointer(rebasing: $0[..<28])) }
        withUnsafeBytes(of: checksum.littleEndian) { bytes.replaceSubrange(28..<32, with: $0) }
        let file = try await storage.open(path("edits"), .readWrite)
        try await file.write(
            [FileWrite(at: 0, [MemorySlice(MemoryBlock(copying: bytes))])], thenSync: true)
        #expect(try await open(storage).edits == edits)
        #expect(storage.contents(of: try path("edits"))?[8] == 2)
    }

    @Test func whatTheOwnerRefusesIsNotChanged() async throws {
        let (storage, _, starts) = try await sample()
        try storage.cut(path("edits"), to: starts[2] + 3)
        let torn = storage.contents(of: try path("edits"))
        let refusal = LogError(.inconsistent, "no")
        await expectLogError(.inconsistent) {
            _ = try await Log.open(path("edits"), on: storage, kind: .catalog) { _ in
            } validate: { () async throws(LogError) in
                throw refusal
            }
        }
        #expect(storage.contents(of: try path("edits")) == torn)
    }

    /// After a failed sync the cache holds an edit that the disk lost.
    @Test func anEditThatWasReadIsDurable() async throws {
        let (storage, edits, _) = try await sample()
        let (log, _) = try await open(storage)
        storage.inject(Fault(.inputOutput, at: 1, of: .sync))
        await #expect(throws: StorageError.self) { try await log.append([[5]]) }
        await log.close()
        let found = try await open(storage).edits
        #expect(found == edits + [[5]])
        storage.crash(.dropUnsynced)
        #expect(try await open(storage).edits == found)
    }

    @Test func creatingIsAllOrNothing() async throws {
        var k = 0
        while true {
            k += 1
            let storage = SimulatedStorage(seed: UInt64(k))
            storage.inject(Fault(.inputOutput, at: k, isPersistent: true))
            let log = try? await Log.create(
                path("edits"), on: storage, kind: .catalog, identity: 1, edits: [[1], [2]])
            storage.clearFaults()
            storage.crash(.bySeed)
            let contents = storage.contents(of: try path("edits"))
            if log != nil || contents != nil {
                #expect(try await open(storage).edits == [[1], [2]], "operation \(k)")
            }
            if log != nil { break }
        }
        #expect(k > 4)
    }

    /// Edits that fit the reserve are taken on a full disk; one that does not changes nothing.
    @Test func theReserveTakesEditsOnAFullDisk() async throws {
        let (storage, edits, _) = try await sample()
        let (log, _) = try await open(storage)
        storage.capacityBytes = storage.usedBytes
        var kept = edits
        for number in 0..<1000 {
            let edit = [UInt8](repeating: UInt8(number % 250 + 1), count: 90)
            do {
                try await log.append([edit])
                kept.append(edit)
            } catch {
                #expect(error.isFullDisk, "\(error)")
                break
            }
        }
        #expect(kept.count > 20 && kept.count < 1000)
        // Nor does a full disk keep it from being opened, with what was taken.
        await log.close()
        let (again, found) = try await open(storage)
        #expect(found == kept && again.cutBytes == 0)
        storage.capacityBytes = nil
        try await again.append([[1]])
        storage.crash(.dropUnsynced)
        #expect(try await open(storage).edits == kept + [[1]])
    }

    /// Lengths that lie, with a right checksum where one can be had.
    @Test func hostileFramesNeverTrap() async throws {
        let (storage, _, starts) = try await sample()
        let file = try await storage.open(path("edits"), .readWrite)
        for length in [0, UInt32.max, 1 << 31, 1 << 20, (1 << 20) + 1] as [UInt32] {
            let bytes = withUnsafeBytes(of: length.littleEndian) { [UInt8]($0) }
            try await file.write(
                [FileWrite(at: starts[2], [MemorySlice(MemoryBlock(copying: bytes))])],
                thenSync: true)
            #expect(try await open(storage).edits.count == 2)
        }
    }
}
