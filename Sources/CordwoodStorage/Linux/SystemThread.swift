import CLiburing
import Glibc

/// Starts the engine's own threads.
enum SystemThread {
    /// Starts a detached thread that runs `body` and ends with it. `name` (15 bytes at most) is
    /// what tools such as `top -H` show. Throws the kernel's number when it has no thread to give.
    static func start(
        named name: StaticString, _ body: @escaping @Sendable () -> Void
    ) throws(Errno) {
        let start = Unmanaged.passRetained(Start(name: name, body: body))
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { argument in
                // Balances passRetained; pthread_create hands the argument over exactly once.
                let start = Unmanaged<Start>.fromOpaque(argument!).takeRetainedValue()
                start.name.withUTF8Buffer { name in
                    name.withMemoryRebound(to: CChar.self) {
                        cordwood_name_thread($0.baseAddress!)
                    }
                }
                start.body()
                return nil
            }, start.toOpaque())
        guard status == 0 else {
            start.release()
            throw Errno(status)
        }
        pthread_detach(thread)
    }

    private final class Start: Sendable {
        let name: StaticString
        let body: @Sendable () -> Void

        init(name: StaticString, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }
}
