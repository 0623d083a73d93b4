import CordwoodLog
import CordwoodStorage

/// A log's configuration as the catalog keeps it: a count and so many pairs of a tag (2 bytes) and a
/// number (8 bytes), so that a later version can add settings. Layout in `docs/file-formats.md`,
/// "Edits of the catalog".
extension LogConfiguration {
    /// Numbers are for ever; a setting that is gone keeps its own.
    private enum Tag: UInt16, CaseIterable {
        case segmentBytes = 1
        case segmentMilliseconds, segmentJitterMilliseconds, segmentIndexBytes, indexIntervalBytes
        case cleanupPolicy, retentionBytes, retentionMilliseconds, minCleanableDirtyRatio
        case minCompactionLagMilliseconds, maxCompactionLagMilliseconds
        case deleteRetentionMilliseconds, maxMessageBytes, compressionType, messageTimestampType
        case messageTimestampBeforeMaxMilliseconds, messageTimestampAfterMaxMilliseconds
        case producerIDExpirationMilliseconds, maximumQueuedBytes, maximumGroupBytes, tailBytes
    }

    /// The encoded pairs.
    func encoded() -> [(tag: UInt16, value: UInt64)] {
        Tag.allCases.map { ($0.rawValue, UInt64(bitPattern: value(of: $0))) }
    }

    /// Nil is -1: no setting is negative.
    private func value(of tag: Tag) -> Int64 {
        func number(_ value: Int?) -> Int64 { Int64(value ?? -1) }
        switch tag {
        case .segmentBytes: return number(segmentBytes)
        case .segmentMilliseconds: return number(segmentMilliseconds)
        case .segmentJitterMilliseconds: return number(segmentJitterMilliseconds)
        case .segmentIndexBytes: return number(segmentIndexBytes)
        case .indexIntervalBytes: return number(indexIntervalBytes)
        case .cleanupPolicy: return Int64(cleanupPolicy.rawValue)
        case .retentionBytes: return number(retentionBytes)
        case .retentionMilliseconds: return number(retentionMilliseconds)
        case .minCleanableDirtyRatio:
            return Int64(bitPattern: minCleanableDirtyRatio.bitPattern)
        case .minCompactionLagMilliseconds: return number(minCompactionLagMilliseconds)
        case .maxCompactionLagMilliseconds: return number(maxCompactionLagMilliseconds)
        case .deleteRetentionMilliseconds: return number(deleteRetentionMilliseconds)
        case .maxMessageBytes: return number(maxMessageBytes)
        case .compressionType: return compressionType.number
        case .messageTimestampType: return Int64(messageTimestampType.rawValue)
        case .messageTimestampBeforeMaxMilliseconds:
            return number(messageTimestampBeforeMaxMilliseconds)
        case .messageTimestampAfterMaxMilliseconds:
            return number(messageTimestampAfterMaxMilliseconds)
        case .producerIDExpirationMilliseconds: return number(producerIDExpirationMilliseconds)
        case .maximumQueuedBytes: return number(maximumQueuedBytes)
        case .maximumGroupBytes: return number(maximumGroupBytes)
        case .tailBytes: return number(tailBytes)
        }
    }

    /// Parses pairs; nil for a tag or a value that this version does not know. Settings without a
    /// pair keep their defaults.
    init?(encoded pairs: [(tag: UInt16, value: UInt64)]) {
        self.init()
        for pair in pairs {
            guard let tag = Tag(rawValue: pair.tag),
                set(tag, Int64(bitPattern: pair.value))
            else { return nil }
        }
    }

    private mutating func set(_ tag: Tag, _ value: Int64) -> Bool {
        let optional = value == -1 ? nil : Int(value)
        /// A setting that has no "unlimited".
        func assign(_ path: WritableKeyPath<LogConfiguration, Int>) -> Bool {
            guard let optional else { return false }
            self[keyPath: path] = optional
            return true
        }
        switch tag {
        case .segmentBytes: return assign(\.segmentBytes)
        case .segmentMilliseconds: segmentMilliseconds = optional
        case .segmentJitterMilliseconds: return assign(\.segmentJitterMilliseconds)
        case .segmentIndexBytes: return assign(\.segmentIndexBytes)
        case .indexIntervalBytes: return assign(\.indexIntervalBytes)
        case .cleanupPolicy:
            guard let raw = UInt8(exactly: value), raw <= 3 else { return false }
            cleanupPolicy = CleanupPolicy(rawValue: raw)
        case .retentionBytes: retentionBytes = optional
        case .retentionMilliseconds: retentionMilliseconds = optional
        case .minCleanableDirtyRatio:
            minCleanableDirtyRatio = Double(bitPattern: UInt64(bitPattern: value))
        case .minCompactionLagMilliseconds: return assign(\.minCompactionLagMilliseconds)
        case .maxCompactionLagMilliseconds: maxCompactionLagMilliseconds = optional
        case .deleteRetentionMilliseconds: return assign(\.deleteRetentionMilliseconds)
        case .maxMessageBytes: return assign(\.maxMessageBytes)
        case .compressionType:
            guard let type = CompressionType(number: value) else { return false }
            compressionType = type
        case .messageTimestampType:
            guard let type = UInt8(exactly: value).flatMap(TimestampType.init(rawValue:)) else {
                return false
            }
            messageTimestampType = type
        case .messageTimestampBeforeMaxMilliseconds:
            messageTimestampBeforeMaxMilliseconds = optional
        case .messageTimestampAfterMaxMilliseconds:
            messageTimestampAfterMaxMilliseconds = optional
        case .producerIDExpirationMilliseconds: return assign(\.producerIDExpirationMilliseconds)
        case .maximumQueuedBytes: return assign(\.maximumQueuedBytes)
        case .maximumGroupBytes: return assign(\.maximumGroupBytes)
        case .tailBytes: return assign(\.tailBytes)
        }
        return true
    }
}

extension CompressionType {
    /// The kind in the low byte, the level in the next.
    fileprivate var number: Int64 {
        switch self {
        case .producer: 0
        case .uncompressed: 1
        case .gzip(let level): 2 | Int64(level & 0xFF) << 8
        case .snappy: 3
        case .lz4(let level): 4 | Int64(level & 0xFF) << 8
        case .zstd(let level): 5 | Int64(level & 0xFF) << 8
        }
    }

    fileprivate init?(number: Int64) {
        guard (0...0xFFFF).contains(number) else { return nil }
        let level = Int(number >> 8)
        switch number & 0xFF {
        case 0: self = .producer
        case 1: self = .uncompressed
        case 2: self = .gzip(level: level)
        case 3: self = .snappy
        case 4: self = .lz4(level: level)
        case 5: self = .zstd(level: level)
        default: return nil
        }
    }
}
