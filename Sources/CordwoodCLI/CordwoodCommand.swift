#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

#if CommandLine
import ArgumentParser

/// The `cordwood` command.
@main struct CordwoodCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cordwood",
        abstract: "Durable logs and vector search in a folder.",
        discussion: """
            A database is a folder. Topics are logs of records; collections are points with \
            vectors, searched by nearness.

            Exit status: 0 success; 1 failure; 2 verify or inspect found damage; \
            64 wrong usage; 130 Ctrl-C.
            """,
        subcommands: [TopicCommand.self, CollectionCommand.self, DemoCommand.self])

    static func main() async {
        let work = Task { await execute() }
        Interruption.watch { work.cancel() }
        let status = await work.value
        endProcess(Interruption.received.map(ExitStatus.signal) ?? status)
    }

    private static func execute() async -> Int32 {
        do {
            let command = try parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                var command = command
                try command.run()
            }
            try Output.standard.flush()
            return ExitStatus.success
        } catch {
            // What was printed before the failure is not lost with it.
            try? Output.standard.flush()
            return report(error)
        }
    }

    /// Tells what went wrong, and with which status that ends the command.
    private static func report(_ error: any Error) -> Int32 {
        if let error = error as? CommandError {
            if let message = error.message { FileDescriptor.report("cordwood: \(message)") }
            return error.status
        }
        if error is CancellationError { return ExitStatus.failure }
        let status = exitCode(for: error)
        // ArgumentParser's own errors and its help come with a status of their own.
        if status == .success {
            print(fullMessage(for: error))
        } else if status == .validationFailure {
            FileDescriptor.report(fullMessage(for: error))
        } else {
            FileDescriptor.report("cordwood: \(error)")
        }
        return status.rawValue
    }
}

#else

/// Stands in for the command where its trait is off.
@main enum CordwoodCommand {
    static func main() {
        FileDescriptor.report(
            "cordwood: built without the command; build with the trait CommandLine enabled")
        endProcess(ExitStatus.failure)
    }
}

#endif

/// The system's `exit`, which ArgumentParser's hides inside a command.
private func endProcess(_ status: Int32) -> Never { exit(status) }
