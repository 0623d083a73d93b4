import ArgumentParser
import CCordwoodChecksum

/// `cordwood-bench crc`: how fast CRC-32C runs, by path and size of block.
struct ChecksumCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "crc", abstract: "Measure CRC-32C by path and block size.")

    /// What one measurement sums at least, so that it takes some milliseconds.
    private static let bytesPerRound = 1 << 26

    @Option(help: "Measured rounds, after one to warm up.")
    var rounds = 5

    func validate() throws {
        guard rounds > 0 else { throw ValidationError("--rounds: expected 1 or more") }
    }

    func run() {
        let used = String(cString: cordwood_crc32c_path())
        for variant in 0..<cordwood_crc32c_variant_count()
        where cordwood_crc32c_variant_supported(variant) {
            let name = String(cString: cordwood_crc32c_variant_name(variant))
            for blockBytes in [64, 256, 1024, 4096, 16_384, 65_536, 1 << 20, 1 << 26] {
                var line = JSONLine()
                line["path"] = .string(name)
                line["used_here"] = .bool(name == used)
                line["block_bytes"] = .integer(blockBytes)
                line["gb_per_s"] = measure(variant, blockBytes).json
                line.print()
            }
        }
    }

    /// Gigabytes a second over one block again and again, which a small one keeps in cache.
    private func measure(_ variant: Int, _ blockBytes: Int) -> Samples {
        var generator = SplitMix64(seed: 1)
        let words = (0..<blockBytes / 8).map { _ in generator.next() }
        let passes = max(1, Self.bytesPerRound / blockBytes)
        let clock = ContinuousClock()
        var checksum: UInt32 = 0
        let rates = (0...rounds).map { _ in
            let time = clock.measure {
                words.withUnsafeBytes { bytes in
                    for _ in 0..<passes {
                        checksum = cordwood_crc32c_with(
                            variant, checksum, bytes.baseAddress, bytes.count)
                    }
                }
            }
            return Double(passes * blockBytes) / 1e9 / (time / .seconds(1))
        }
        return Samples(rates.dropFirst())
    }
}
