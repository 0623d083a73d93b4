import CordwoodLog
import CordwoodStorage

/// What a database holds, and the file that says so.
///
/// An edit counts when it is synced; the files it names were made durable before. Not thread-safe:
/// the database's registry, an actor, owns it.
final class Catalog<S: Storage> {
    static var fileName: String { "CORDWOOD" }

    private(set) var topics: [String: TopicConfiguration] = [:]
    private(set) var collections: [String: CollectionConfiguration] = [:]
    private let log: EditLog<S.File>
    /// A failed write leaves the file's end unknown, so nothing more is added before a reopen.
    private var failure: StorageError?

    /// Bytes of a torn edit that opening cut away.
    var cutBytes: Int { log.cutBytes }

    private init(_ log: EditLog<S.File>) { self.log = log }

    static func create(_ path: StoragePath, on storage: S) async throws(LogError) -> Catalog {
        let identity = storage.randomIdentity()
        return Catalog(
            try await EditLog.create(
                path, on: storage, kind: .catalog, identity: identity, edits: []))
    }

    static func open(_ path: StoragePath, on storage: S) async throws(LogError) -> Catalog {
        var edits: [CatalogEdit] = []
        let log = try await EditLog<S.File>.open(path, on: storage, kind: .catalog) {
            payload throws(LogError) in
            guard let edit = CatalogEdit(payload) else {
                throw LogError(
                    .unsupportedFormat,
                    "\(path): an entry of a kind that this version does not know")
            }
            edits.append(edit)
        }
        let catalog = Catalog(log)
        for edit in edits { catalog.apply(edit) }
        return catalog
    }

    /// Adds an entry, durable when this returns.
    func append(_ edit: CatalogEdit) async throws(StorageError) {
        if let failure { throw failure }
        do throws(StorageError) {
            try await log.append([edit.encode()])
        } catch {
            // A full disk has changed nothing.
            if !error.isFullDisk { failure = error }
            throw error
        }
        apply(edit)
    }

    func close() async { await log.close() }

    private func apply(_ edit: CatalogEdit) {
        switch edit {
        case .addTopic(let name, let configuration): topics[name] = configuration
        case .addCollection(let name, let configuration): collections[name] = configuration
        }
    }
}
