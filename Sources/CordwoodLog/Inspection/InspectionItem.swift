import CordwoodStorage

/// One thing that an inspection found: a segment, a batch, an index entry, damage.
///
/// Its fields are a list of names and values, so that whoever prints them needs to know none, and a
/// format that gains a field shows it without a change anywhere else.
package struct InspectionItem: Sendable {
    package enum Kind: String, Sendable {
        case catalog, manifest, edit, segment, watermark, seal, batch, record, index, entry
        case timeIndex, timeEntry, transactionIndex, abortedTransaction, producerSnapshot, producer
        /// What the batches say of all producers, and of one transaction.
        case producers, transaction
        /// Bytes that are not what was written. Only this makes an inspection unsound.
        case damage
        /// Worth knowing, and in order: a torn tail that the next opening cuts, a missing view.
        case note
    }

    package enum Value: Sendable {
        case integer(Int64)
        /// A checksum.
        case hexadecimal(UInt32)
        case text(String)
        case bytes([UInt8]?)
        case boolean(Bool)
    }

    package var kind: Kind
    /// The file, relative to the database's folder.
    package var path: String
    /// Where in the file; nil for the file as a whole.
    package var position: Int?
    package var fields: [(name: String, value: Value)]

    init(
        _ kind: Kind, _ path: StoragePath, at position: Int? = nil,
        _ fields: KeyValuePairs<String, Value> = [:]
    ) {
        self.kind = kind
        self.path = path.description
        self.position = position
        self.fields = fields.map { ($0.key, $0.value) }
    }
}

extension InspectionItem.Value: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral {
    package init(stringLiteral value: String) { self = .text(value) }
    package init(booleanLiteral value: Bool) { self = .boolean(value) }

    static func count(_ value: Int) -> Self { .integer(Int64(value)) }
}

/// What an inspection prints, besides damage and notes, which it always does.
package struct InspectionOptions: Sendable {
    /// Manifests, segments, watermarks and seals.
    package var showsStructure = true
    package var showsBatches = true
    package var showsRecords = false
    /// Entries of the offset, time and transaction indexes.
    package var showsIndexes = false
    /// The state of producers, in each snapshot and behind the last batch.
    package var showsProducers = false
    /// Transactions: ended ones where their marker lies, open ones at the end.
    package var showsTransactions = false
    /// Only the segment of this base offset.
    package var baseOffset: Int64?

    package init() {}

    /// Looks at everything and prints only what is wrong.
    package static var verification: InspectionOptions {
        var options = InspectionOptions()
        options.showsStructure = false
        options.showsBatches = false
        return options
    }
}
