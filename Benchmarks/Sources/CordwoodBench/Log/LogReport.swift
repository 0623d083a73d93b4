import Cordwood

/// The fields of `cordwood-bench log`'s line; `docs/benchmarks.md` says what they mean.
enum LogReport {
    static func describe(_ line: inout JSONLine, appending rounds: [LogLoad.Result]) {
        func median(_ figure: (LogLoad.Result) -> Double) -> JSONValue {
            .number(Samples(rounds.map(figure)).median)
        }
        line["mb_per_s"] = median(\.megabytesPerSecond)
        line["records_per_s"] = median(\.recordsPerSecond)
        line["ack_p50_us"] = median { $0.acknowledgements.percentile(50) }
        line["ack_p99_us"] = median { $0.acknowledgements.percentile(99) }
        line["ack_p999_us"] = median { $0.acknowledgements.percentile(99.9) }
        line["ack_max_us"] = median(\.acknowledgements.maximum)
        line["syncs_per_s"] = median(\.syncsPerSecond)
        line["bytes_per_sync"] =
            rounds.contains { $0.statistics.syncs == 0 }
            ? .null : median { Double($0.statistics.appendedBytes) / Double($0.statistics.syncs) }
        line["writes_per_s"] = median { Double($0.statistics.groups) / $0.seconds }
        line["bytes_per_write"] = median(\.bytesPerGroup)
        line["cpu_seconds_per_gb"] = median(\.processorSecondsPerGigabyte)
        line["mb_per_s_rounds"] = Samples(rounds.map(\.megabytesPerSecond)).json
        line["cpu_seconds_per_m_records"] = median {
            $0.processorSeconds / Double($0.records) * 1e6
        }
    }

    static func describe(_ line: inout JSONLine, comparing rounds: [LogCommand.Round]) {
        func compare(_ name: String, _ figure: (LogCommand.Round) -> Double?) {
            let figures = rounds.compactMap(figure)
            guard !figures.isEmpty else { return }
            let ratios = zip(rounds, figures).map { $0.load.megabytesPerSecond / $1 }
            line["\(name)_mb_per_s"] = Samples(figures).json
            line["ratio_to_\(name)"] = Samples(ratios).json
        }
        compare("fio", \.fresh)
        compare("fio_overwrite", \.overwrite)
        line["io_path"] = .string(rounds[0].ioPath)
        let syncs = rounds.compactMap(\.freshSyncMicroseconds)
        if !syncs.isEmpty {
            line["fio_sync_p99_us"] = Samples(syncs).json
            let ratios = zip(rounds, syncs).map { $0.load.acknowledgements.percentile(99) / $1 }
            line["ack_p99_to_fio_sync_p99"] = Samples(ratios).json
        }
    }

    static func describe(
        _ line: inout JSONLine, cold: Double, warm: Double, clean: LogReopening.Opened,
        killed: LogReopening.Opened
    ) {
        line["read_mb_per_s"] = .object([("cold", .number(cold)), ("warm", .number(warm))])
        line["reopen_clean_ms"] = .number(clean.milliseconds)
        line["reopen_killed_ms"] = .number(killed.milliseconds)
        line["reopen_killed_scanned_bytes"] = .integer(killed.log.recovery.scannedBytes)
        line["log_bytes"] = .integer(killed.log.byteCount)
    }

    /// Puts a reason in the place of the figures.
    static func refuse(_ line: inout JSONLine, _ fileSystem: String) {
        let names = [
            "mb_per_s", "records_per_s", "ack_p50_us", "ack_p99_us", "ack_p999_us", "syncs_per_s",
            "read_mb_per_s", "reopen_clean_ms", "reopen_killed_ms", "cpu_seconds_per_gb",
        ]
        for name in names { line[name] = .null }
        line["warning"] = .string(
            "the directory is on \(fileSystem), where a sync does nothing: durable figures from it "
                + "would mean nothing; name a directory on a disk")
    }

    static func describe(_ line: inout JSONLine, _ command: LogCommand, fileSystem: String) {
        line["parameters"] = .object([
            ("record_bytes", .integer(command.recordBytes)),
            ("batch_bytes", .integer(command.batchBytes)),
            ("producers", .integer(command.producers)),
            ("acknowledge", .string(command.acknowledge.rawValue)),
            ("seconds", .integer(command.seconds)),
        ])
        line["file_system"] = .string(fileSystem)
    }
}
