import TestSupport
import Testing

@testable import CordwoodLog

@Suite struct ManifestTests {
    private func id(_ baseOffset: Int64, _ generation: UInt32 = 0) -> SegmentID {
        SegmentEditTests.id(baseOffset, generation)
    }

    private func info(_ baseOffset: Int64, _ end: Int64, generation: UInt32 = 0) -> SegmentInfo {
        SegmentEditTests.info(id(baseOffset, generation), to: end)
    }

    private func apply(_ edits: [SegmentEdit]) throws -> Manifest {
        var manifest = Manifest()
        for edit in edits { try manifest.apply(edit) }
        return manifest
    }

    /// Segments at 0, 10, 20 and the active one at 30.
    private var four: [SegmentEdit] {
        [0, 10, 20].flatMap {
            [SegmentEdit.add(id($0), createdAt: 0), .seal(info($0, $0 + 10))]
        } + [.add(id(30), createdAt: 4)]
    }

    @Test func segmentsFollowEachOther() throws {
        let gap = Gap(positions: 4096..<5000, offsets: 0..<1)
        let manifest = try apply([
            .add(id(0), createdAt: 1), .quarantine(id(0), gap), .quarantine(id(0), gap),
            .seal(info(0, 10)), .add(id(10), createdAt: 2),
        ])
        #expect(manifest.sealed.map(\.id) == [id(0)] && manifest.sealed[0].gaps == [gap])
        #expect(manifest.active == .init(id: id(10), createdAt: 2))
    }

    /// Nobody could ever step behind damage of no bytes.
    @Test func aQuarantineOfNoBytesIsNone() throws {
        let none = Gap(positions: 5000..<5000, offsets: 0..<1)
        let manifest = try apply([.add(id(0), createdAt: 1), .quarantine(id(0), none)])
        #expect(manifest.active?.gaps.isEmpty == true)
    }

    @Test func contradictionsAreRefused() async throws {
        for wrong in [
            [.add(id(30, 1), createdAt: 0)], [.seal(info(20, 30))], [.seal(info(30, 30))],
            [.seal(info(30, 40)), .add(id(39), createdAt: 0)],
            [.quarantine(id(3), SegmentEditTests.gap)],
            [.startOffset(5), .startOffset(4)], [.stage(id(10))], [.stage(id(30))],
            [.remove([id(10)])], [.remove([id(0), id(20)])],
            [.replace(removing: [id(0), id(20)], with: [], cleanedUpTo: 0)],
            [.replace(removing: [id(20), id(30)], with: [], cleanedUpTo: 0)],
            [.replace(removing: [], with: [info(0, 10, generation: 1)], cleanedUpTo: 0)],
            [.replace(removing: [id(0)], with: [info(0, 11, generation: 1)], cleanedUpTo: 0)],
            [.replace(removing: [id(0)], with: [info(0, 10)], cleanedUpTo: 0)],
            [.truncate(to: 15, keeping: info(20, 21))], [.truncate(to: 15, keeping: info(10, 16))],
            [.epoch(1, startOffset: 0), .epoch(1, startOffset: 5)],
        ] as [[SegmentEdit]] {
            await expectLogError(.inconsistent, "\(wrong)") { _ = try apply(four + wrong) }
        }
    }

    @Test func whatIsGivenUpIsGarbage() throws {
        var manifest = try apply(four)
        try manifest.apply(.remove([id(0)]))
        #expect(manifest.startOffset == 10 && manifest.garbage == [id(0)])
        try manifest.apply(.stage(id(10, 1)))
        #expect(manifest.garbage == [id(0), id(10, 1)])
        #expect(manifest.unusedID(baseOffset: 10) == id(10, 2))
        try manifest.apply(
            .replace(
                removing: [id(10), id(20)], with: [info(10, 30, generation: 1)], cleanedUpTo: 30))
        #expect(manifest.garbage == [id(0), id(10), id(20)] && manifest.cleanedUpTo == 30)
        #expect(manifest.sealed.map(\.id) == [id(10, 1)])
        manifest.forget([id(0), id(20)])
        #expect(manifest.garbage == [id(10)])
    }

    @Test func truncationForgetsWhatIsBehindIt() throws {
        var manifest = try apply(
            four + [.epoch(1, startOffset: 5), .epoch(2, startOffset: 25)])
        try manifest.apply(.truncate(to: 15, keeping: info(10, 15)))
        #expect(manifest.sealed.map(\.id) == [id(0), id(10)] && manifest.active == nil)
        #expect(manifest.sealed[1].end.nextOffset == 15 && manifest.nextBaseOffset == 15)
        #expect(manifest.garbage == [id(20), id(30)] && manifest.epochs.latest == 1)
        try manifest.apply(.truncate(to: 0, keeping: nil))
        #expect(manifest.sealed.isEmpty && manifest.nextBaseOffset == 0)
        #expect(manifest.unusedID(baseOffset: 0) == id(0, 1))
    }

    /// A manifest that is written as a snapshot is the same when it is read.
    @Test func aSnapshotSaysTheSame() throws {
        var states = [try apply(four)]
        for edits in [
            [.remove([id(0)]), .stage(id(50))], [.startOffset(12)],
            [
                .quarantine(id(10), Gap(positions: 4096..<5000, offsets: 11..<12)),
                .quarantine(id(30), Gap(positions: 4096..<4096, offsets: 30..<30)),
            ],
            [
                .replace(
                    removing: [id(0), id(10)], with: [info(3, 18, generation: 1)], cleanedUpTo: 20)
            ],
            [.epoch(0, startOffset: 0), .epoch(3, startOffset: 22)],
            [.truncate(to: 15, keeping: info(10, 15))], [.truncate(to: 0, keeping: nil)],
            [.truncate(to: 15, keeping: info(10, 15)), .add(id(15), createdAt: 9)],
        ] as [[SegmentEdit]] { states.append(try apply(four + edits)) }
        for manifest in states {
            #expect(try apply(manifest.snapshot()) == manifest)
            let encoded = try manifest.snapshot().map { try #require(SegmentEdit($0.encode())) }
            #expect(try apply(encoded) == manifest)
        }
    }

    /// However many segments go at once, no edit is too large for the file.
    @Test func removalsFitTheirEdits() throws {
        let ids = (0..<120_000).map { id(Int64($0)) }
        let edits = SegmentEdit.removals(of: ids)
        #expect(edits.count == 3)
        #expect(edits.allSatisfy { $0.encode().count <= EditFrame.maximumPayloadBytes })
        var found: [SegmentID] = []
        for case .remove(let some) in edits { found += some }
        #expect(found == ids)
        #expect(SegmentEdit.removals(of: []).isEmpty)
    }

    /// Epochs of what is gone are forgotten with it, and no others.
    @Test func epochsGoWithTheirSegments() throws {
        var manifest = try apply(
            four + [.epoch(2, startOffset: 5), .epoch(3, startOffset: 22)])
        try manifest.apply(.remove([id(0)]))
        #expect(manifest.epochs.entries.map(\.epoch) == [2, 3])
        try manifest.apply(.remove([id(10), id(20)]))
        #expect(manifest.epochs.entries.map(\.epoch) == [3])
        #expect(try apply(manifest.snapshot()) == manifest)
    }

    /// Garbage is forgotten only where its files would be known if they came back.
    @Test func whatBeginsBehindTheNewestSegmentIsNotForgotten() throws {
        var manifest = try apply(
            four + [.truncate(to: 15, keeping: info(10, 15)), .add(id(15), createdAt: 9)])
        #expect(manifest.garbage == [id(20), id(30)])
        manifest.forget(manifest.garbage)
        #expect(manifest.garbage == [id(20), id(30)])
        for known in [id(0, 7), id(14), id(3)] { #expect(manifest.hasGivenUp(known)) }
        for unknown in [id(15, 1), id(16)] { #expect(!manifest.hasGivenUp(unknown)) }
        try manifest.apply(.seal(info(15, 40)))
        try manifest.apply(.add(id(40), createdAt: 9))
        manifest.forget(manifest.garbage)
        #expect(manifest.garbage.isEmpty)
        manifest.adopt([id(20)])
        #expect(manifest.garbage == [id(20)] && manifest.unusedID(baseOffset: 20) == id(20, 1))
    }
}
