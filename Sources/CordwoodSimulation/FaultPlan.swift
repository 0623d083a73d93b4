internal import CordwoodStorage

/// One failure to come: which operation, with what error, and whether it is the only one.
public struct Fault: Sendable, Hashable {
    public enum Problem: Sendable, Hashable {
        /// EIO: the device failed.
        case inputOutput
        /// ENOSPC: the device is full, or a thinly provisioned one turns out to be.
        case noSpace
        /// The operation reports success and does nothing: a phantom write, or a disk that lies
        /// about its syncs. For writes and the two kinds of sync only.
        case ignored
        /// A write reports success and lands in other sectors of the same file, as far as they
        /// exist; where it was meant to go, nothing changes. For writes only.
        case misdirected
        /// ECANCELED: the operation was given up before it began, and did nothing.
        case cancelled
        /// A write stops part way without an error, and the rest is written by another operation,
        /// which counts for itself. For writes only.
        case short
        /// EINTR: the operation did nothing and is done again, which counts as another operation.
        /// For reads and writes only.
        case interrupted
        /// The power goes in the middle of the operation: a write may be done in part. From then on
        /// every call throws ``StorageError/Code/closed``, until ``SimulatedStorage/crash(_:)``
        /// says what survived.
        case powerCut

        /// The kinds of operation that it makes sense for; nil is all.
        var kinds: Set<OperationKind>? {
            switch self {
            case .inputOutput, .noSpace, .cancelled, .powerCut: nil
            case .ignored: [.write, .sync, .syncDirectory]
            case .misdirected, .short: [.write]
            case .interrupted: [.write, .read]
            }
        }
    }

    public var problem: Problem
    /// The first operation that fails, counted from 1 with the next one after
    /// ``SimulatedStorage/inject(_:)``.
    public var number: Int
    /// What is counted and fails: operations of one kind, or all that the problem makes sense for
    /// when nil.
    public var kind: OperationKind?
    /// Whether every later one fails too, until ``SimulatedStorage/clearFaults()``.
    public var isPersistent: Bool

    public init(
        _ problem: Problem, at number: Int, of kind: OperationKind? = nil,
        isPersistent: Bool = false
    ) {
        precondition(number >= 1, "operations are counted from 1, not \(number)")
        precondition(
            kind.map { problem.kinds?.contains($0) ?? true } ?? true,
            "\(problem) means nothing for \(kind.map { "\($0)" } ?? "")")
        precondition(
            problem != .interrupted || !isPersistent,
            "a call that is interrupted for good never ends")
        self.problem = problem
        self.number = number
        self.kind = kind
        self.isPersistent = isPersistent
    }

    func error(_ operation: OperationKind, _ path: StoragePath) -> StorageError {
        let (code, errno): (StorageError.Code, Int32) =
            switch problem {
            case .noSpace: (.noSpace, Errno.noSpace)
            case .cancelled: (.failed, Errno.cancelled)
            case .interrupted: (.failed, Errno.interrupted)
            case .powerCut: (.closed, 0)
            case .inputOutput, .ignored, .misdirected, .short: (.failed, Errno.inputOutput)
            }
        return StorageError(
            code, operation: operation.rawValue, path: path.description,
            errno: errno == 0 ? nil : errno, detail: "injected")
    }

    func counts(_ operation: OperationKind) -> Bool {
        if let kind { return kind == operation }
        return problem.kinds?.contains(operation) ?? true
    }
}

/// The faults to come, each with how many of its operations it has seen.
struct FaultPlan {
    private var armed: [(fault: Fault, seen: Int)] = []

    mutating func add(_ fault: Fault) { armed.append((fault, 0)) }

    mutating func clear() { armed = [] }

    /// Counts an operation; the fault that it must fail with, or nil. The oldest fault wins.
    mutating func next(_ kind: OperationKind) -> Fault? {
        var due: Fault?
        for index in armed.indices where armed[index].fault.counts(kind) {
            armed[index].seen += 1
            let fault = armed[index].fault
            let seen = armed[index].seen
            if seen == fault.number || (fault.isPersistent && seen > fault.number) {
                due = due ?? fault
            }
        }
        armed.removeAll { !$0.fault.isPersistent && $0.seen >= $0.fault.number }
        return due
    }
}
