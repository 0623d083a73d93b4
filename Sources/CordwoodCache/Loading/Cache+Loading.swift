internal import Synchronization

extension Cache {
    /// The value that is cached for `key`, or what `loading` returns for it, which is then cached.
    ///
    /// However many ask at once, one load runs, in a task of its own, and all get its value or its
    /// error; errors are not cached. A load goes on while anyone waits for it, so that cancelling one
    /// waiter ends that one alone, with `CancellationError`, and cancelling all cancels the load. A value
    /// whose key was written or invalidated while it was loaded goes to those who waited and is not
    /// cached: it may be older than that.
    ///
    /// A value that is soon over is returned at once and renewed in the background
    /// (``CacheConfiguration/earlyRefresh``, ``CacheConfiguration/refreshAhead``).
    ///
    /// - Parameters:
    ///   - tags: what ``invalidate(tag:)`` may name, while loading and after.
    ///   - loading: returns nil for a key that has no value, which is remembered for
    ///     ``CacheConfiguration/negativeTimeToLive``.
    /// - Returns: the value; nil where there is none. One that is too heavy for the cache is returned and
    ///   counted, and not cached.
    /// - Throws: what `loading` throws; `CancellationError`; ``CacheError/Code/loadDeadlineExceeded`` when
    ///   it has not returned in time, whereupon its task is cancelled and its result is dropped;
    ///   ``CacheError/Code/tooManyLoads``; ``CacheError/Code/invalidWeight``.
    @inlinable public func value(
        for key: Key, tags: [String] = [],
        loading: @escaping @Sendable (Key) async throws -> Value?
    ) async throws -> Value? {
        switch look(key, key.hashValue) {
        case .found(let value): return value
        case .due(let value):
            refresh(key, tags, loading)
            return value
        case .expired, .missing: return try await load(key, tags, loading)
        }
    }

    @usableFromInline func load(
        _ key: Key, _ tags: [String], _ loading: @escaping @Sendable (Key) async throws -> Value?
    ) async throws -> Value? {
        let (hash, clock) = (key.hashValue, clock)
        let joined = shards.withShard(hash) { $0.join(key, hash, tags, clock) }
        let (flight, place): (Flight<Value>, Int)
        switch joined {
        case .cached(let value): return value
        case .began(let new, let first):
            (flight, place) = (new, first)
            start(flight, key, loading)
        case .joined(let present, let next): (flight, place) = (present, next)
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { waiter in
                let answer = shards.withShard(hash) { _ in flight.wait(place, waiter) }
                if let answer { waiter.resume(with: answer) }
            }
        } onCancel: {
            leave(flight, place, key)
        }
    }

    @usableFromInline func refresh(
        _ key: Key, _ tags: [String], _ loading: @escaping @Sendable (Key) async throws -> Value?
    ) {
        let (flight, isNew) = shards.withShard(key.hashValue) { shard in
            let (flight, isNew) = shard.flight(for: key, tags: tags, isRefresh: true)
            if isNew { shard.statistics.refreshes += 1 }
            return (flight, isNew)
        }
        if isNew { start(flight, key, loading) }
    }

    private func start(
        _ flight: Flight<Value>, _ key: Key,
        _ loading: @escaping @Sendable (Key) async throws -> Value?
    ) {
        let running = runningLoads.add(1, ordering: .relaxed).newValue
        guard running <= configuration.maximumLoads else {
            runningLoads.subtract(1, ordering: .relaxed)
            let error = CacheError(
                .tooManyLoads, "expected at most \(configuration.maximumLoads) loads at once")
            return finish(flight, key, .failure(error), began: clock.now())
        }
        // With the time until a thread has it: a load that is begun too late is one that readers wait for.
        let began = clock.now()
        keep(
            Task {
                let result: Result<Value?, any Error>
                do { result = .success(try await loading(key)) } catch { result = .failure(error) }
                runningLoads.subtract(1, ordering: .relaxed)
                finish(flight, key, result, began: began)
            }, flight, key)
        guard let deadline = configuration.loadDeadline else { return }
        keep(
            Task {
                // Cancelled when the load ends first.
                do { try await clock.sleep(deadline) } catch { return }
                let error = CacheError(
                    .loadDeadlineExceeded, "expected a load to return within \(deadline)")
                finish(flight, key, .failure(error), began: clock.now())
            }, flight, key)
    }

    /// Hands the flight a task to be cancelled with it, or cancels it where the flight is over already.
    private func keep(_ task: Task<Void, Never>, _ flight: Flight<Value>, _ key: Key) {
        let isKept = shards.withShard(key.hashValue) { _ in flight.keep(task) }
        if !isKept { task.cancel() }
    }

    private func leave(_ flight: Flight<Value>, _ place: Int, _ key: Key) {
        let (waiter, tasks) = shards.withShard(key.hashValue) { shard in
            let (waiter, isAbandoned) = flight.leave(place)
            guard isAbandoned else { return (waiter, [Task<Void, Never>]()) }
            shard.remove(flight, of: key)
            return (waiter, flight.finish(.failure(CancellationError())).tasks)
        }
        waiter?.resume(throwing: CancellationError())
        for task in tasks { task.cancel() }
    }

    /// Ends a flight with what was loaded, which is cached unless it was overtaken.
    private func finish(
        _ flight: Flight<Value>, _ key: Key, _ loaded: Result<Value?, any Error>, began: Int64
    ) {
        let now = clock.now()
        // The weigher is the caller's and runs without a lock.
        var (result, weight) = (loaded, UInt32?.none)
        var isTooHeavy = false
        if case .success(let value) = loaded {
            do throws(CacheError) {
                if let value { weight = try self.weight(of: key, value) } else { weight = 1 }
            } catch {
                isTooHeavy = error.code == .entryTooHeavy
                if !isTooHeavy { result = .failure(error) }
            }
        }
        let hash = key.hashValue
        let ended = shards.withShard(hash) { shard -> Ending? in
            if flight.isOver { return nil }
            shard.remove(flight, of: key)
            var departures = newDepartures()
            switch result {
            case .failure: shard.statistics.loadFailures += 1
            case .success where flight.isOvertaken: shard.statistics.refusedFills += 1
            case .success(let value):
                if isTooHeavy { shard.statistics.tooHeavyFills += 1 }
                shard.fill(
                    key, value, hash, weight, now - began, tags: flight.tags, at: now, &departures)
            }
            let (waiters, tasks) = flight.finish(result)
            return Ending(waiters: waiters, tasks: tasks, departures: departures)
        }
        guard let ended else { return }
        for waiter in ended.waiters { waiter.resume(with: result) }
        for task in ended.tasks { task.cancel() }
        release(ended.departures)
    }

    private struct Ending: Sendable {
        var waiters: [Flight<Value>.Waiter]
        var tasks: [Task<Void, Never>]
        var departures: Departures<Key, Value>
    }
}
