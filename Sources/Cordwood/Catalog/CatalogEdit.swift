import CordwoodLog
import CordwoodStorage
import CordwoodVectors

/// One change to the list of what a database holds, as its catalog file keeps it.
enum CatalogEdit: Equatable {
    case addTopic(name: String, TopicConfiguration)
    case addCollection(name: String, CollectionConfiguration)

    /// With six numbers for the log, as versions before this one wrote them.
    private static let oldTopicKind: UInt8 = 1
    private static let oldCollectionKind: UInt8 = 2
    private static let topicKind: UInt8 = 3
    /// With the name of the index alone, as versions before this one wrote it.
    private static let plainCollectionKind: UInt8 = 4
    private static let collectionKind: UInt8 = 5

    func encode() -> [UInt8] {
        var bytes: [UInt8] = []
        switch self {
        case .addTopic(let name, let configuration):
            bytes.append(Self.topicKind)
            Self.append(name, to: &bytes)
            Self.append(UInt32(configuration.partitions), to: &bytes)
            Self.append(configuration.log.encoded(), to: &bytes)
        case .addCollection(let name, let configuration):
            bytes.append(Self.collectionKind)
            Self.append(name, to: &bytes)
            Self.append(UInt32(configuration.dimensions), to: &bytes)
            Self.append(configuration.metric.rawValue, to: &bytes)
            Self.append(configuration.index.name, to: &bytes)
            Self.append(configuration.indexSettings, to: &bytes)
            Self.append(configuration.log.encoded(), to: &bytes)
        }
        return bytes
    }

    /// Parses an edit; nil for one that this version does not know or that does not hold together.
    init?(_ payload: [UInt8]) {
        let parsed = payload.withUnsafeBytes { bytes -> CatalogEdit? in
            var reader = ByteReader(bytes)
            guard let kind = reader.littleEndian(UInt8.self), let name = Self.text(&reader),
                let size = reader.littleEndian(UInt32.self)
            else { return nil }
            switch kind {
            case Self.topicKind, Self.oldTopicKind:
                guard let log = Self.log(&reader, isOld: kind == Self.oldTopicKind),
                    reader.remaining == 0
                else { return nil }
                return .addTopic(
                    name: name, TopicConfiguration(partitions: Int(size), log: log))
            case Self.collectionKind, Self.plainCollectionKind, Self.oldCollectionKind:
                guard let metric = Self.text(&reader).flatMap(Metric.init(rawValue:)),
                    let index = Self.text(&reader),
                    let settings = kind == Self.collectionKind ? Self.pairs(&reader) : [],
                    let log = Self.log(&reader, isOld: kind == Self.oldCollectionKind),
                    reader.remaining == 0
                else { return nil }
                var configuration = CollectionConfiguration(
                    dimensions: Int(size), metric: metric, log: log)
                guard configuration.setIndex(index, settings) else { return nil }
                return .addCollection(name: name, configuration)
            default: return nil
            }
        }
        guard let parsed else { return nil }
        self = parsed
    }

    private static func append<T: FixedWidthInteger>(_ value: T, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    private static func append(_ text: String, to bytes: inout [UInt8]) {
        append(UInt16(text.utf8.count), to: &bytes)
        bytes.append(contentsOf: text.utf8)
    }

    private static func append(
        _ pairs: [(tag: UInt16, value: UInt64)], to bytes: inout [UInt8]
    ) {
        append(UInt16(pairs.count), to: &bytes)
        for pair in pairs {
            append(pair.tag, to: &bytes)
            append(pair.value, to: &bytes)
        }
    }

    private static func text(_ reader: inout ByteReader) -> String? {
        guard let count = reader.littleEndian(UInt16.self), let bytes = reader.bytes(Int(count))
        else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func log(_ reader: inout ByteReader, isOld: Bool) -> LogConfiguration? {
        if isOld { return oldLog(&reader) }
        return pairs(&reader).flatMap { LogConfiguration(encoded: $0) }
    }

    private static func pairs(_ reader: inout ByteReader) -> [(tag: UInt16, value: UInt64)]? {
        guard let count = reader.littleEndian(UInt16.self) else { return nil }
        var pairs: [(tag: UInt16, value: UInt64)] = []
        for _ in 0..<count {
            guard let tag = reader.littleEndian(UInt16.self),
                let value = reader.littleEndian(UInt64.self)
            else { return nil }
            pairs.append((tag, value))
        }
        return pairs
    }

    private static func oldLog(_ reader: inout ByteReader) -> LogConfiguration? {
        func next() -> Int? {
            reader.littleEndian(UInt64.self).flatMap { Int(exactly: $0) }
        }
        guard let segment = next(), let interval = next(), let batch = next(), let queue = next(),
            let group = next(), let tail = next()
        else { return nil }
        return LogConfiguration(
            segmentBytes: segment, indexIntervalBytes: interval, maxMessageBytes: batch,
            maximumQueuedBytes: queue, maximumGroupBytes: group, tailBytes: tail)
    }
}
