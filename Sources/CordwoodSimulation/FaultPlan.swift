internal import CordwoodStorage

/// One failure to come: which operation, with what error, and whether it is the only one.
public struct Fault: Sendable, Hashable {
    public enum Problem: Sendable, Hashable {
        /// EIO: the device failed.
        case inputOutput
        /// ENOSPC: the device is full, or a thinly provisioned one turns out to be.
        case noSpace
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
        self.problem = problem
        self.number = number
        self.kind = kind
        self.isPersistent = isPersistent
    }

    /// What the failing operation throws.
    func error(_ operation: OperationKind, path: String) -> StorageError {
        switch problem {
        case .inputOutput:
            StorageError(
                .failed, operation: operation.rawValue, path: path, errno: Errno.inputOutput,
                detail: "injected")
        case .noSpace:
            StorageError(
                .noSpace, operation: operation.rawValue, path: path, errno: Errno.noSpace,
                detail: "injected")
        }
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
