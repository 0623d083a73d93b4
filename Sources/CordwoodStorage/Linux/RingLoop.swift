/// The loop of a ring's thread, and all the state that only this thread touches.
///
/// A turn: run the queued jobs; admit the operations that they and others started, or run a lone one
/// directly (``DirectRuns``); submit all of it with one system call, which also waits when nothing
/// else is to be done; take the completions and resume their waiters, whose jobs then run in the
/// next turn.
///
/// Invariant: never more steps in flight than the completion queue has room for, the wake-up read
/// included, so that the queue cannot overflow. What exceeds it waits its turn in order.
struct RingLoop: ~Copyable {
    /// The longest chain submitted as one. A longer write goes out in several, one after another.
    static let maximumChain = 64
    private static let maximumInFlight = Ring.completionCapacity - 1
    private static let wakeTag = UInt64.max
    /// How long the thread looks out for more before it sleeps, after it has served somebody, who
    /// often asks for the next thing at once: waking a thread takes longer than that on a virtual
    /// machine. Most that an idle storage costs is one such wait.
    private static let patienceNanoseconds: UInt64 = 30_000

    /// An operation whose chain is with the kernel.
    private struct Flight {
        var operation: any FileOperation
        var stepsInFlight: Int
    }

    private let ring: Ring
    private let inbox: RingInbox
    private var flights: [Flight?] = []
    private var freeFlights: [Int] = []
    private var waiting = FIFO<any FileOperation>()
    private var stepsInFlight = 0
    /// Those of `stepsInFlight` that belong to background operations.
    private var backgroundSteps = 0
    private var directRuns = DirectRuns()
    /// Flights with steps that are prepared and not yet submitted.
    private var prepared: [Int] = []

    // The kernel writes the count of wake-ups here.
    private let wakeCount: UnsafeMutablePointer<UInt64>
    private var wakeIsArmed = false
    /// An operation that somebody waited for has ended since the last time that nothing was to do.
    private var hasServed = false

    init(ring: consuming Ring, inbox: RingInbox) {
        self.ring = ring
        self.inbox = inbox
        wakeCount = .allocate(capacity: 1)
        wakeCount.initialize(to: 0)
    }

    deinit { wakeCount.deallocate() }

    /// Runs until the inbox is told to stop and nothing is in flight.
    mutating func run() {
        var jobs: [QueuedJob] = []
        var operations: [any FileOperation] = []
        armWake()
        while wakeIsArmed || stepsInFlight > 0 || !waiting.isEmpty {
            inbox.take(jobs: &jobs)
            for job in jobs { job.run() }
            jobs.removeAll(keepingCapacity: true)
            // Taken after the jobs have run, so that what they started is in this turn's call.
            inbox.take(operations: &operations)
            for operation in operations { waiting.append(operation) }
            operations.removeAll(keepingCapacity: true)
            admit()
            if hasServed {
                hasServed = false
                inbox.waitBriefly(nanoseconds: Self.patienceNanoseconds)
            }
            let sleeps = inbox.prepareToSleep()
            // A turn that ran its operation directly asks the kernel for nothing.
            if sleeps || stepsInFlight > 0 || ring.preparedSubmissions > 0 {
                submit(waits: sleeps)
            }
            // Before waiters are resumed: their jobs are added on this thread, which is awake.
            if sleeps { inbox.noteAwake() }
            reap()
        }
    }

    private mutating func armWake() {
        makeRoom(for: 1)
        ring.prepare(
            .read(into: wakeCount, count: MemoryLayout<UInt64>.size, position: 0),
            on: inbox.wakeDescriptor.number, tag: Self.wakeTag, linked: false)
        wakeIsArmed = true
    }

    /// Begins waiting operations while a whole chain more fits into the completion queue.
    private mutating func admit() {
        while stepsInFlight + Self.maximumChain <= Self.maximumInFlight,
            let operation = waiting.popFirst()
        {
            let isAlone = stepsInFlight == backgroundSteps && waiting.isEmpty
            if directRuns.takes(byteCount: operation.quickByteCount, isAlone: isAlone) {
                runDirectly(operation)
            } else {
                launch(operation)
            }
        }
    }

    private mutating func runDirectly(_ operation: any FileOperation) {
        let start = SystemClock.nanoseconds
        operation.runBlocking()
        hasServed = true
        directRuns.note(nanoseconds: SystemClock.nanoseconds - start)
    }

    /// Prepares an operation's next chain, all of it for the same submission: links do not reach
    /// from one submission to the next.
    private mutating func launch(_ operation: any FileOperation) {
        let steps = operation.nextChain(limit: Self.maximumChain)
        guard !steps.isEmpty else {
            let isFinished = operation.endChain()
            precondition(isFinished, "an operation with nothing to do must be finished")
            return
        }
        makeRoom(for: steps.count)
        let flight = freeFlights.popLast() ?? flights.count
        if flight == flights.count { flights.append(nil) }
        flights[flight] = Flight(operation: operation, stepsInFlight: steps.count)
        for (index, step) in steps.enumerated() {
            ring.prepare(
                step, on: operation.descriptor.number, tag: Self.tag(flight: flight, step: index),
                linked: index + 1 < steps.count)
        }
        stepsInFlight += steps.count
        if operation.isBackground { backgroundSteps += steps.count }
        prepared.append(flight)
    }

    private mutating func makeRoom(for count: Int) {
        while ring.freeSubmissions < count { submit(waits: false) }
    }

    private mutating func submit(waits: Bool) {
        ring.submit(waits: waits)
        // A part was left behind: a chain may have been cut in two, and its sync may now run
        // without waiting for its writes. All of this submission are told, since none knows.
        if ring.preparedSubmissions > 0 {
            for flight in prepared { flights[flight]?.operation.markSplit() }
        } else {
            prepared.removeAll(keepingCapacity: true)
        }
    }

    private mutating func reap() {
        var finished: [Int] = []
        // The closure may not change the loop's own state while the ring lends its completions, so
        // chains that ended are gathered first.
        var completions: [Ring.Completion] = []
        ring.reap { completions.append($0) }
        for completion in completions {
            guard completion.tag != Self.wakeTag else {
                wakeIsArmed = false
                if !inbox.isStopping { armWake() }
                continue
            }
            let (flight, step) = Self.flightAndStep(of: completion.tag)
            guard flights[flight] != nil else {
                preconditionFailure("a completion arrived for an operation that has ended")
            }
            flights[flight]!.operation.record(step: step, result: Int(completion.result))
            flights[flight]!.stepsInFlight -= 1
            stepsInFlight -= 1
            if flights[flight]!.operation.isBackground { backgroundSteps -= 1 }
            if flights[flight]!.stepsInFlight == 0 { finished.append(flight) }
        }
        for flight in finished { endChain(of: flight) }
    }

    private mutating func endChain(of flight: Int) {
        guard let operation = flights[flight].take()?.operation else { return }
        freeFlights.append(flight)
        if !operation.isBackground { hasServed = true }
        // An operation that goes on was there before those that wait.
        if !operation.endChain() { waiting.prepend(operation) }
    }

    private static func tag(flight: Int, step: Int) -> UInt64 {
        UInt64(flight) << 32 | UInt64(step)
    }

    private static func flightAndStep(of tag: UInt64) -> (flight: Int, step: Int) {
        (Int(tag >> 32), Int(tag & 0xFFFF_FFFF))
    }
}
