import CordwoodLog
import CordwoodStorage

/// What the registry tells an observer.
extension Registry {
    func observe(_ observer: DatabaseObserver) async {
        self.observer = observer
        // The internal topics may be open, and whatever else was opened before.
        for (log, opening) in zip(logs, openings) { await opening.tell(observer, of: log) }
        for collection in openCollections {
            collection.observation.set(observer.collection(collection.place))
        }
        for note in notes { observer.noted(note.place, note.text) }
    }

    /// Tells the observer, and one that comes later, what is wrong with a collection's segments.
    func note(_ text: String, of place: DatabaseObserver.Place) {
        if notes.count == Self.keptNotes { notes.removeFirst() }
        notes.append((place, text))
        observer?.noted(place, text)
    }

    func openPartitions() -> [TopicPartition: any Log] {
        var found: [TopicPartition: any Log] = [:]
        for (log, opening) in zip(logs, openings) where opening.place.kind == "topic" {
            found[TopicPartition(opening.place.name, opening.place.partition)] = log
        }
        return found
    }

    func recordGauges() async -> DatabaseObserver? {
        guard let observer else { return nil }
        // Logs that are opened meanwhile are for the next time.
        for (log, opening) in zip(logs, openings) {
            observer.measured(
                opening.place,
                LogGauges(
                    segments: log.segmentCount, bytes: log.byteCount,
                    startOffset: log.startOffset, endOffset: log.endOffset,
                    durableOffset: log.durableOffset,
                    cleanableBytes: log.configuration.cleanupPolicy.contains(.compact)
                        ? await log.cleanableBytes : 0,
                    health: log.health))
        }
        for collection in openCollections {
            observer.collectionMeasured(collection.place, await collection.gauges)
        }
        return observer
    }
}

extension Collection {
    var place: DatabaseObserver.Place {
        DatabaseObserver.Place(kind: "collection", name: name, partition: 0)
    }

    var gauges: CollectionGauges {
        get async {
            CollectionGauges(
                points: count, headPoints: headCount, segments: await segments.count,
                damagedSegments: damage.count, bytesInMemory: await bytesInMemory(),
                waitingUpserts: sealing.room.waiterCount)
        }
    }
}

extension Registry.Opening {
    /// Tells of the opening, and has the log tell of what it does from now on.
    func tell(_ observer: DatabaseObserver, of log: any Log) async {
        await log.observe(observer.observer(place))
        observer.opened(place, log.recovery, duration)
    }
}
