#if CommandLine
import ArgumentParser
import Cordwood
import Synchronization

/// `cordwood collection seal`
struct CollectionSeal: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "seal", abstract: "Build an index of the points that have none yet.",
        discussion: """
            The points that came since the last time become a segment, together with segments that \
            are no larger. With --all one segment is built of all, which is the fastest to search.
            """)

    @OptionGroup var location: DirectoryArgument
    @Argument(help: "The collection's name.") var name: String
    @Flag(help: "Join all segments into one.") var all = false
    @OptionGroup var building: BuildingOptions

    func run() async throws {
        try await DatabaseAccess.withDatabase(
            at: location.directory, buildThreads: building.threads
        ) { database in
            let collection = try await database.collection(named: name)
            try await CollectionSeal.run(collection, merging: all ? .all : .small)
        }
    }

    /// Seals, and says what there is now.
    static func run(_ collection: Cordwood.Collection, merging: SegmentMerging) async throws {
        let bar = Mutex<ProgressBar?>(nil)
        defer { bar.withLock { $0?.clear() } }
        let began = ContinuousClock.now
        try await collection.seal(merging: merging) { done, total in
            bar.withLock { bar in
                if bar == nil { bar = ProgressBar("sealing", total: total) }
                bar?.update(done)
            }
        }
        bar.withLock { $0?.clear() }
        let segments = await collection.segments
        FileDescriptor.report(
            "\(Figures.count(segments.reduce(0) { $0 + $1.liveCount }, "point")) in "
                + "\(Figures.count(segments.count, "segment")), "
                + "sealed in \(Figures.duration(ContinuousClock.now - began))")
    }
}

/// How indexes are built.
struct BuildingOptions: ParsableArguments {
    @Option(help: "Threads that build an index; by default one for each processor.")
    var threads = DatabaseOptions.processorCount

    func validate() throws {
        guard (1...1024).contains(threads) else {
            throw ValidationError("--threads: expected 1 to 1024, found \(threads)")
        }
    }
}

#endif
