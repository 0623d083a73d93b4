import CordwoodSimulation
import CordwoodStorage
import Testing

/// The simulated disk against plain models, over random operations. A failure prints its seed.
@Suite struct SimulatedDiskPropertyTests {
    /// What one file held at every moment since its last sync.
    private struct FileModel {
        var bytes: [UInt8] = []
        private var moments: [[UInt8]] = [[]]

        mutating func change(_ body: (inout [UInt8]) -> Void) {
            body(&bytes)
            moments.append(bytes)
        }

        mutating func sync() { moments = [bytes] }

        mutating func restart(with survivors: [UInt8]) {
            bytes = survivors
            moments = [survivors]
        }

        /// Why `survivors` cannot be what a power cut left, or nil.
        func objection(to survivors: [UInt8]) -> String? {
            if !moments.contains(where: { $0.count == survivors.count }) {
                return "size \(survivors.count), never since the last sync"
            }
            for start in stride(from: 0, to: survivors.count, by: 512) {
                let sector = survivors[start..<min(start + 512, survivors.count)]
                let isKnown = moments.contains { moment in
                    sector.indices.allSatisfy { index in
                        sector[index] == (index < moment.count ? moment[index] : 0)
                    }
                }
                if !isKnown { return "sector \(start / 512) holds what it never held" }
            }
            return nil
        }
    }

    private func change(
        _ file: SimulatedFile, _ model: inout FileModel, _ random: inout SplitMix64
    ) async throws {
        let position = random.below(12_000)
        switch random.below(8) {
        case 0..<4:
            let new = [UInt8](repeating: UInt8(1 + random.below(255)), count: random.below(3000))
            try await file.write(bytes(new, at: position), thenSync: false)
            model.change { bytes in
                if new.isEmpty { return }
                let gap = max(0, position - bytes.count)
                bytes.append(contentsOf: repeatElement(0, count: gap))
                let end = min(position + new.count, bytes.count)
                bytes.replaceSubrange(position..<end, with: new)
            }
        case 4:
            try await file.truncate(to: position)
            model.change { bytes in
                let gap = max(0, position - bytes.count)
                bytes = bytes.prefix(position) + [UInt8](repeating: 0, count: gap)
            }
        case 5:
            try await file.preallocate(to: position)
            model.change { bytes in
                let gap = max(0, position - bytes.count)
                bytes += [UInt8](repeating: 0, count: gap)
            }
        case 6:
            try await file.sync()
            model.sync()
        default:
            try await file.write([], thenSync: true)
            model.sync()
        }
    }

    @Test func contentsFollowTheModelAndCrashesMixOnlyWhatWas() async throws {
        for seed in 0..<60 as Range<UInt64> {
            var random = SplitMix64(seed: seed)
            let storage = SimulatedStorage(seed: random.next())
            var model = FileModel()
            _ = try await storage.durableFile("a", [])
            for _ in 0..<6 {
                let file = try await storage.open(path("a"), .readWrite)
                for _ in 0..<random.below(12) {
                    try await change(file, &model, &random)
                    let same = try storage.contents(of: path("a")) == model.bytes
                    try #require(same, "cached bytes differ, seed \(seed)")
                }
                storage.crash()
                let survivors = try #require(try storage.contents(of: path("a")))
                let objection = model.objection(to: survivors)
                #expect(objection == nil, "seed \(seed)")
                #expect(try storage.durableContents(of: path("a")) == survivors, "seed \(seed)")
                #expect(storage.usedBytes == survivors.count, "seed \(seed)")
                model.restart(with: survivors)
            }
        }
    }

    /// What every name stood for at every moment since its directory's last sync; files are told
    /// apart by the number that they hold.
    private struct NameModel {
        var now: [StoragePath: UInt8] = [:]
        private(set) var past: [StoragePath: Set<UInt8?>] = [:]
        /// Files that were durable at some time and were neither removed nor replaced since.
        private(set) var certain: Set<UInt8> = []

        mutating func set(_ path: StoragePath, _ file: UInt8?) {
            past[path, default: [now[path]]].insert(file)
            if let old = now[path], file != old { certain.remove(old) }
            now[path] = file
        }

        mutating func move(_ source: StoragePath, _ target: StoragePath) {
            guard let file = now[source], source != target else { return }
            let wasCertain = certain.contains(file)
            set(source, nil)
            set(target, file)
            if wasCertain { certain.insert(file) }
        }

        mutating func sync(_ directory: StoragePath) {
            for path in past.keys where path.parent == directory { past[path] = nil }
            for (path, file) in now where path.parent == directory { certain.insert(file) }
        }
    }

    @Test func namesFollowTheModelAndCrashesKeepEveryCertainFileOnce() async throws {
        for seed in 0..<200 as Range<UInt64> {
            var random = SplitMix64(seed: seed)
            let storage = SimulatedStorage(seed: random.next())
            try await storage.createDirectory(path("d"))
            try await storage.syncDirectory(.root)
            let places = try ["a", "b", "c", "d/a", "d/b"].map(path)
            var model = NameModel()
            var number: UInt8 = 0
            for _ in 0..<25 {
                let place = places[random.below(places.count)]
                let other = places[random.below(places.count)]
                switch random.below(5) {
                case 0, 1:
                    guard model.now[place] == nil else { continue }
                    number += 1
                    let file = try await storage.open(place, .create)
                    try await file.write(bytes([number]), thenSync: true)
                    model.set(place, number)
                case 2:
                    guard model.now[place] != nil else { continue }
                    try await storage.rename(place, to: other)
                    model.move(place, other)
                case 3:
                    guard model.now[place] != nil else { continue }
                    try await storage.remove(place)
                    model.set(place, nil)
                default:
                    try await storage.syncDirectory(place.parent)
                    model.sync(place.parent)
                }
                let same = places.allSatisfy { storage.contents(of: $0)?.first == model.now[$0] }
                try #require(same, "names differ, seed \(seed)")
            }
            storage.crash()
            var found: [UInt8] = []
            for place in places {
                let file = storage.contents(of: place)?.first
                if let file { found.append(file) }
                let known = model.past[place] ?? [model.now[place]]
                #expect(known.contains(file), "\(place) was never that, seed \(seed)")
            }
            #expect(Set(found).count == found.count, "a file has two names, seed \(seed)")
            #expect(model.certain.isSubset(of: found), "a durable file vanished, seed \(seed)")
        }
    }
}
