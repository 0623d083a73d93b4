import Cordwood
import CordwoodSimulation
import FaultWorkloads

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Works on a database until it is killed, or holds one against what was written down meanwhile.
///
///     cordwood-workload work NAME DIRECTORY --seed N --from N --writers N --rounds N --levels durable,written
///     cordwood-workload check NAME DIRECTORY
///     cordwood-workload damaged NAME DIRECTORY
///
/// `work` prints each event before it goes on, one `write` each, and ends with 0 after a clean close
/// or with 3 and an error. `check` reads all events so far from standard input, prints those that it
/// adds, and ends with 0, or with 1 where a promise was not kept, or with 3 where the database did not
/// open. `damaged` reads all events as well, and demands of a database whose files were damaged that it
/// serves nothing else and reports what it cannot serve.
@main struct WorkloadCommand {
    static func main() async {
        do {
            let arguments = try Arguments(CommandLine.arguments)
            switch arguments.action {
            case "work": try await work(arguments)
            case "check": try await check(arguments)
            case "damaged": try await checkDamaged(arguments)
            default: throw Usage()
            }
        } catch let error as Violation {
            complain("VIOLATION: \(error)")
            exit(1)
        } catch is Usage {
            complain(
                "usage: cordwood-workload work|check|damaged NAME DIRECTORY [--seed N] [--from N] ..."
            )
            exit(64)
        } catch {
            complain("\(error)")
            exit(3)
        }
    }

    private static var options: DatabaseOptions {
        var options = DatabaseOptions()
        options.retentionCheckIntervalMilliseconds = nil
        return options
    }

    private static func work(_ arguments: Arguments) async throws {
        var random = SplitMix64(seed: arguments.seed)
        let database = try await Database.open(at: arguments.directory, options)
        var failure: (any Error)?
        do {
            try await arguments.workload.work(
                on: database, random: &random, journal: LineJournal(),
                numbers: Numbers(from: arguments.from))
        } catch { failure = error }
        do { try await database.close() } catch { failure = failure ?? error }
        if let failure { throw failure }
    }

    private static func readHistory() -> History {
        var history = History()
        while let line = readLine() {
            // The last line of a life may have been cut off.
            if let event = Event(line) { history.add(event) }
        }
        return history
    }

    private static func checkDamaged(_ arguments: Arguments) async throws {
        let history = readHistory()
        let database = try await Database.open(at: arguments.directory, options)
        var outcome: Result<[String], any Error>
        do {
            outcome = .success(try await arguments.workload.checkDamaged(database, history))
        } catch { outcome = .failure(error) }
        // It may refuse to be closed as well.
        do { try await database.close() } catch {
            if case .success(let reports) = outcome { outcome = .success(reports + ["\(error)"]) }
        }
        complain("reports \(try outcome.get().count)")
    }

    private static func check(_ arguments: Arguments) async throws {
        let history = readHistory()
        let found = MemoryJournal()
        let database = try await Database.open(at: arguments.directory, options)
        do {
            try await arguments.workload.check(database, history, journal: found)
        } catch {
            try? await database.close()
            throw error
        }
        try await database.close()
        let journal = LineJournal()
        for event in found.noted { journal.note(event) }
        journal.note(.outage(.closed))
        complain("survivors \(history.survivors) next \(history.nextNumber)")
    }
}

struct Usage: Error {}

/// What the command line says.
struct Arguments {
    let action: String
    let workload: any Workload
    let directory: String
    var seed: UInt64 = 1
    var from: Int64 = 1

    init(_ words: [String]) throws {
        guard words.count >= 4 else { throw Usage() }
        action = words[1]
        directory = words[3]
        var load = Load(writers: 2, rounds: 1_000_000)
        var rest = words.dropFirst(4)
        while let word = rest.popFirst() {
            guard let value = rest.popFirst() else { throw Usage() }
            switch word {
            case "--seed": seed = try Self.number(value)
            case "--from": from = try Self.number(value)
            case "--writers": load.writers = try Self.number(value)
            case "--rounds": load.rounds = try Self.number(value)
            case "--levels":
                let levels: [String: Event.Level] = [
                    "memory": .memory, "written": .written, "durable": .durable,
                ]
                load.levels = value.split(separator: ",").compactMap { levels[String($0)] }
                if load.levels.isEmpty { throw Usage() }
            default: throw Usage()
            }
        }
        guard let workload = Workloads.named(words[2], load) else { throw Usage() }
        self.workload = workload
    }

    private static func number<Value: FixedWidthInteger>(_ text: String) throws -> Value {
        guard let value = Value(text) else { throw Usage() }
        return value
    }
}

/// Events as lines on standard output. A pipe keeps what was written to it when the writer dies.
struct LineJournal: Journal {
    func note(_ event: Event) { writeAll("\(event)\n", to: STDOUT_FILENO) }
}

private func complain(_ text: String) { writeAll(text + "\n", to: STDERR_FILENO) }

private func writeAll(_ text: String, to descriptor: Int32) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
        let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        if count < 0 {
            if errno == EINTR { continue }
            // Nobody listens any more: there is nothing left to work for.
            exit(4)
        }
        bytes = bytes.dropFirst(count)
    }
}
