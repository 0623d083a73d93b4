@preconcurrency import Glibc
import Synchronization
import Testing

/// The built command, run as a user would: a process with its own input and output.
final class CommandProcess {
    struct Outcome {
        /// The exit status; the negative number of the signal for a process that died of one.
        var status: Int32
        var output: String
        var complaint: String

        var lines: [Substring] { output.split(separator: "\n", omittingEmptySubsequences: false) }
    }

    /// Longer than any command takes here, so that a hang fails and does not hang the suite.
    private static let patienceSeconds = 300.0

    private let process: pid_t
    private var input: Int32
    private let output: Int32
    private let complaints: Int32
    private var received: [UInt8] = []
    private var hasEnded = false

    /// The command lies beside the test bundle.
    static func path() throws -> String {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let length = buffer.withUnsafeMutableBytes {
            readlink("/proc/self/exe", $0.baseAddress!, $0.count)
        }
        let bundle = String(decoding: buffer[..<max(length, 0)], as: UTF8.self)
        let path =
            bundle.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 } + "/cordwood"
        try #require(access(path, X_OK) == 0, "the command was not built beside \(bundle)")
        return path
    }

    /// Runs a command to its end.
    static func run(_ arguments: [String], input: [UInt8] = []) throws -> Outcome {
        let process = try CommandProcess(arguments)
        process.send(input)
        return try process.finish()
    }

    static func run(_ arguments: String..., input: String = "") throws -> Outcome {
        try run(arguments, input: Array(input.utf8))
    }

    init(_ arguments: [String]) throws {
        let path = try Self.path()
        // One at a time: a process that starts between the making of a pipe and its mark would
        // inherit the pipe, and hold it open.
        let (identifier, ends) = try Self.starting.withLock { _ in
            try Self.start(path, arguments)
        }
        process = identifier
        (input, output, complaints) = (ends.input, ends.output, ends.complaints)
        // The command may end before it has read all: that shows in its outcome.
        signal(SIGPIPE, SIG_IGN)
        _ = fcntl(output, F_SETFL, O_NONBLOCK)
    }

    private static let starting = Mutex(())

    private static func start(
        _ path: String, _ arguments: [String]
    ) throws -> (pid_t, (input: Int32, output: Int32, complaints: Int32)) {
        let input = try pipeEnds()
        let output = try pipeEnds()
        defer {
            close(input.read)
            close(output.write)
        }
        // A file, which never fills, takes what nobody reads until the end.
        let complaints = try unnamedFile()
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, input.read, 0)
        posix_spawn_file_actions_adddup2(&actions, output.write, 1)
        posix_spawn_file_actions_adddup2(&actions, complaints, 2)
        var words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var identifier = pid_t()
        let status = posix_spawn(&identifier, path, &actions, nil, &words, environ)
        try #require(status == 0, "cannot start \(path): \(String(cString: strerror(status)))")
        return (identifier, (input.write, output.read, complaints))
    }

    private static func pipeEnds() throws -> (read: Int32, write: Int32) {
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    private static func unnamedFile() throws -> Int32 {
        var template = Array("/tmp/cordwood-stderr-XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        try #require(descriptor >= 0)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        unlink(template)
        return descriptor
    }

    deinit {
        if !hasEnded {
            kill(process, SIGKILL)
            waitpid(process, nil, 0)
        }
        closeInput()
        close(output)
        close(complaints)
    }

    /// Writes to the command's standard input, reading its output meanwhile.
    func send(_ bytes: [UInt8]) {
        _ = fcntl(input, F_SETFL, O_NONBLOCK)
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(input, $0.baseAddress, $0.count) }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if count < 0, errno == EAGAIN {
                wait(for: input, events: POLLOUT)
                receive()
            } else {
                return
            }
        }
    }

    func send(_ text: String) { send(Array(text.utf8)) }

    func closeInput() {
        if input >= 0 { close(input) }
        input = -1
    }

    /// Stops listening, as `head` does.
    func closeOutput() {
        // The descriptor stays valid for `deinit`; its other end sees no reader.
        let null = open("/dev/null", O_RDONLY | O_CLOEXEC)
        dup2(null, output)
        close(null)
    }

    func signalled(_ number: Int32) { kill(process, number) }

    /// Waits until the command has printed that many lines, and returns them.
    func outputLines(_ count: Int) throws -> [Substring] {
        let deadline = ContinuousClock.now + .seconds(Self.patienceSeconds)
        while received.count(where: { $0 == UInt8(ascii: "\n") }) < count {
            try #require(ContinuousClock.now < deadline, "expected \(count) lines of output")
            wait(for: output, events: POLLIN)
            receive()
        }
        return String(decoding: received, as: UTF8.self).split(separator: "\n")
    }

    /// Ends the command's input and waits for its end.
    func finish(closingInput: Bool = true) throws -> Outcome {
        if closingInput { closeInput() }
        let deadline = ContinuousClock.now + .seconds(Self.patienceSeconds)
        var status: Int32 = 0
        while waitpid(process, &status, WNOHANG) == 0 {
            try #require(ContinuousClock.now < deadline, "the command does not end")
            receive()
            usleep(1000)
        }
        hasEnded = true
        receive()
        let signal = status & 0x7F
        return Outcome(
            status: signal == 0 ? (status >> 8) & 0xFF : -signal,
            output: String(decoding: received, as: UTF8.self), complaint: complaint())
    }

    private func receive() {
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(output, &chunk, chunk.count)
            guard count > 0 else { return }
            received += chunk[..<count]
        }
    }

    private func complaint() -> String {
        lseek(complaints, 0, SEEK_SET)
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while case let count = read(complaints, &chunk, chunk.count), count > 0 {
            bytes += chunk[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private func wait(for descriptor: Int32, events: Int32) {
        var waiting = pollfd(fd: descriptor, events: Int16(events), revents: 0)
        poll(&waiting, 1, 10)
    }
}
