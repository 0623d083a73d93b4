import CordwoodStorage

extension PartitionLog {
    /// Starts the work beside the appends that is due; see ``ActiveSegment/beginWork()``.
    func startWorkAhead() {
        guard let work = active.beginWork() else { return }
        Task { [active] in await runWorkAhead(active, work) }
    }

    /// Runs work for a segment until none is due. One call at a time does a given kind of it.
    private func runWorkAhead(
        _ segment: ActiveSegment<S>, _ first: ActiveSegment<S>.Work
    ) async {
        var next: ActiveSegment<S>.Work? = first
        while let work = next {
            do throws(StorageError) { try await segment.perform(work) } catch {
                // A truncation may have given the segment up.
                if segment === active, failure == nil { poison(error) }
                return
            }
            if case .sync(let place, _) = work, segment === active {
                state.publish { $0.durableOffset = max($0.durableOffset, place.nextOffset) }
            }
            next = segment.beginWork()
        }
    }
}
