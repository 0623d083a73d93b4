import Glibc

/// A program that was started, whose standard output we read.
struct ChildProcess: ~Copyable {
    let id: pid_t
    private let output: Int32

    /// Starts `arguments[0]`, looked for in PATH.
    init(_ arguments: [String]) throws {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw BenchError.system("pipe", arguments[0]) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        defer { posix_spawn_file_actions_destroy(&actions) }
        var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var child: pid_t = 0
        let result = posix_spawnp(&child, arguments[0], &actions, nil, &words, environ)
        close(ends[1])
        guard result == 0 else {
            close(ends[0])
            throw BenchError(
                "cannot start \(arguments[0]): \(String(cString: strerror(result)))")
        }
        id = child
        output = ends[0]
    }

    /// Waits until the child prints something, or ends.
    func waitForOutput() -> Bool {
        var byte: UInt8 = 0
        return read(output, &byte, 1) == 1
    }

    /// Reads all output and waits for the end; throws unless the child exits with 0.
    consuming func finish(_ name: String) throws -> String {
        let bytes = SmallFile.readAll(output) ?? []
        let status = reap()
        guard status == 0 else { throw BenchError("\(name) failed with status \(status)") }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Ends the child with SIGKILL, as a crash would.
    consuming func kill() {
        Glibc.kill(id, SIGKILL)
        _ = reap()
    }

    private func reap() -> Int32 {
        close(output)
        var status: Int32 = 0
        while waitpid(id, &status, 0) < 0, errno == EINTR {}
        return status
    }
}
