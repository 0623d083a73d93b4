/// How a database is opened.
public struct DatabaseOptions: Sendable, Hashable {
    public enum Mode: Sendable, Hashable {
        /// Creates a database where the folder is missing or empty.
        case openOrCreate
        /// The folder must hold a database.
        case openExisting
    }

    public var mode: Mode

    public init(mode: Mode = .openOrCreate) { self.mode = mode }
}
