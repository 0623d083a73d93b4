import CordwoodStorage

/// A sparse view of one segment that lies beside it, in pages of entries: the offset index, the time
/// index. Each is made anew from the segment when its file does not hold.
protocol SegmentIndex: Sendable {
    associatedtype Entry: IndexEntry

    init(baseOffset: Int64)

    var entries: [Entry] { get }

    /// Appends an entry read from a file; false when it contradicts the last one.
    mutating func append(read entry: Entry) -> Bool

    /// Whether an index may begin so.
    static func canBegin(with entry: Entry?, header: SegmentHeader) -> Bool

    /// Whether the last entry names a place before the segment's end.
    func lies(before end: SegmentCursor) -> Bool

    /// Where the index of a segment lies.
    static func path(_ header: SegmentHeader, in directory: StoragePath) -> StoragePath
}

/// An entry of fixed length in a page of an index file.
protocol IndexEntry: Equatable, Sendable {
    /// The first four bytes of every page of such entries.
    static var pageMagic: UInt32 { get }
    static var byteCount: Int { get }

    func encode(to writer: inout ByteWriter)
    init?(_ reader: inout ByteReader)
}

extension IndexEntry {
    /// How many entries a full page holds.
    static var pageCapacity: Int {
        (IndexPage.byteCount - IndexPage.headerByteCount) / byteCount
    }

    /// Where an index file has its entry of that number.
    static func position(ofEntry number: Int) -> Int {
        number / pageCapacity * IndexPage.byteCount + IndexPage.headerByteCount
            + number % pageCapacity * byteCount
    }
}
