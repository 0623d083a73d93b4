package import CordwoodStorage

/// What a log does when its disk is full: it fails what was on its way, takes no appends, serves
/// reads, and goes on by itself when there is space again.
///
/// Only a write that found no space is like that: nothing was promised of its bytes, and they are
/// cut off, durably, before anyone is told, so that no record which was refused comes back. A sync
/// that finds no space (a thinly provisioned device) may have lost bytes that an earlier write was
/// promised, and poisons the log as any failed sync does.
extension PartitionLog {
    /// Why the log is read-only, and what has to be done before it is not.
    struct FullDisk {
        var reason: LogError
        /// Bytes behind the end could not be cut off yet.
        var needsCut: Bool
        /// The active segment has no room for what comes next.
        var needsRoll: Bool
        /// How much space the write that failed asked for.
        var neededBytes: Int
    }

    /// Stops the log after a failed write, and returns what those who waited for it are told.
    /// `loses` says that offsets were given out for it to somebody who did not wait. The caller
    /// holds the structure lock.
    func stop(
        after error: StorageError, neededBytes: Int = 0, rolling: Bool = false, loses: Bool = false
    ) async -> LogError {
        guard error.isFullDisk else {
            poison(error)
            return failure ?? LogError(error, while: "writing to \(directory)")
        }
        var needsCut = false
        do throws(StorageError) {
            try await active.takeBack()
        } catch {
            guard error.isFullDisk else {
                poison(error)
                return failure ?? LogError(error, while: "writing to \(directory)")
            }
            needsCut = true
        }
        let reason = LogError(
            .readOnly,
            "\(directory) takes no appends while its disk is full, and nothing of this one was "
                + "kept; reads keep working; appends resume by themselves when space returns",
            cause: error)
        fullDisk = FullDisk(
            reason: reason, needsCut: needsCut, needsRoll: rolling, neededBytes: neededBytes)
        if loses || commit.hasUnwaited {
            state.publish { [active] in $0.truncations.append(active.end.nextOffset) }
        }
        let waiters = resetToPublishedEnd()
        // Before any of them is told: they may ask at once how the log is.
        observer?.happened(.becameReadOnly(reason))
        publishHealth(.readOnly)
        for waiter in waiters { waiter.fail(reason) }
        await discardSpare()
        startProbe()
        return reason
    }

    func poison(_ error: StorageError) {
        let reason = LogError(error, while: "writing to \(directory)")
        failure = reason
        stopProbe()
        fullDisk = nil
        observer?.happened(.poisoned(poisoned(by: reason)))
        state.publish { $0.health = .poisoned }
        ledger.rollBack()
        for waiter in commit.fail() { waiter.fail(poisoned(by: reason)) }
    }

    func poisoned(by reason: LogError) -> LogError {
        LogError(
            .poisoned,
            "\(directory) takes no more appends after \(reason.message); reads keep working; "
                + "close it and open it again to recover", cause: reason.cause)
    }

    /// Takes back everything that was queued behind the published end: offsets that were given out
    /// are given out again. Returns those who waited for it.
    func resetToPublishedEnd() -> [Waiter] {
        ledger.rollBack()
        return commit.fail(resumingAt: active.end.nextOffset)
    }

    /// Tells readers how the log is, with the end that is durable now.
    func publishHealth(_ health: LogHealth) {
        state.publish { [active] snapshot in
            snapshot.health = health
            snapshot.durableOffset = active.durable.nextOffset
        }
    }

    // MARK: Coming back

    private func startProbe() {
        guard probe == nil else { return }
        let settings = spaceProbe
        probe = Task { [weak self] in
            var pause = settings.firstPause
            while !Task.isCancelled {
                do { try await settings.sleep(pause) } catch { return }
                guard let self, await !self.resumeWithSpace() else { return }
                pause = min(pause * 2, settings.longestPause)
            }
        }
    }

    /// Takes appends again if there is space; true when there is nothing more to wait for.
    func resumeWithSpace() async -> Bool {
        await structure.acquire()
        defer { structure.release() }
        guard let full = fullDisk, !isClosing, failure == nil else {
            probe = nil
            return true
        }
        do throws(StorageError) {
            if full.needsCut {
                try await active.takeBack()
                fullDisk?.needsCut = false
            }
            // Somebody else may have rolled or truncated the log since.
            if full.needsRoll, active.end.nextOffset > active.header.baseOffset {
                try await rollLocked()
            }
            fullDisk?.needsRoll = false
            // As much as an append may ask for, so that the next one does not stop the log again.
            let wanted = max(full.neededBytes, configuration.maxMessageBytes)
            try await active.reserve(min(wanted, active.room))
        } catch {
            if error.isFullDisk { return false }
            poison(error)
        }
        probe = nil
        fullDisk = nil
        if failure == nil {
            observer?.happened(.resumed)
            publishHealth(.writable)
        }
        return true
    }

    func stopProbe() {
        probe?.cancel()
        probe = nil
    }
}

/// How often a log that found its disk full looks for space.
struct SpaceProbe: Sendable {
    var firstPause = Duration.milliseconds(100)
    /// Pauses double up to this one.
    var longestPause = Duration.seconds(5)
    var sleep: @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
}

/// Whether a log takes appends. It serves reads in every state but the last.
public enum LogHealth: String, Sendable, Hashable, CaseIterable {
    case writable
    /// The disk is full; appends fail with ``LogError/Code/readOnly`` and resume by themselves.
    case readOnly
    /// A write or a sync failed; appends fail with ``LogError/Code/poisoned`` until it is reopened.
    case poisoned
    case closed
}

extension StorageError {
    /// Whether a write found no space. A sync that did is another matter: it may have lost what an
    /// earlier write left to it.
    package var isFullDisk: Bool {
        code == .noSpace
            && ["write", "fallocate", "ftruncate", "open", "rename"].contains(operation)
    }
}
