internal import CordwoodStorage

/// One failure to come: which operation, with what error, and whether it is the only one.
public struct Fault: Sendable, Hashable {
    public enum Problem: Sendable, Hashable {
        /// EIO: the device failed.
        case inputOutput
        /// ENOSPC: the device is full, or a thinly provisioned one turns out to be.
        case noSpace
        /// The operation reports success and does nothing: a lost write, or a disk that lies about
        /// its syncs. For writes and the two kinds of sync only.
        case ignored
    }

    public var problem: Problem
    /// The first operation that fails, counted from 1 with the next one after
    /// ``SimulatedStorage/inject(_:)``.
    public var number: Int
    /// What is counted and fails: operations of one kind, or all when nil.
    public var kind: OperationKind?
    /// Whether every later one fails too, until ``SimulatedStorage/clearFaults()``.
    public var isPersistent: Bool

    public init(
        _ problem: Problem, at number: Int, of kind: OperationKind? = nil,
        isPersistent: Bool = false
    ) {
        precondition(number >= 1, "operations are counted from 1, not \(number)")
        precondition(
            problem != .ignored || kind == .write || kind == .sync || kind == .syncDirectory,
            "only writes and syncs can be ignored")
        self.problem = problem
        self.number = number
        self.kind = kind
        self.isPersistent = isPersistent
    }

    /// Throws what the failing operation reports; an ignored one reports nothing.
    func fail(_ operation: OperationKind, _ path: StoragePath) throws(StorageError) {
        if problem != .ignored { throw error(operation, path) }
    }

    func error(_ operation: OperationKind, _ path: StoragePath) -> StorageError {
        let isFull = problem == .noSpace
        return StorageError(
            isFull ? .noSpace : .failed, operation: operation.rawValue, path: path.description,
            errno: isFull ? Errno.noSpace : Errno.inputOutput, detail: "injected")
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
        for index in armed.indices where armed[index].fault.kind.map({ $0 == kind }) ?? true {
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
