import CordwoodCausality
import TestSupport

/// Replicas and clients that write, read, delete and exchange at random, beside an oracle that keeps
/// every event's whole causal past as a set (one bit an event, so at most 64 events).
///
/// Values are the numbers of their events.
struct History {
    struct Replica {
        let actor: ActorID
        var set = DottedVersionVectorSet<Int>()
        /// The events it knows of, and those of them that somebody who had seen them has replaced.
        var known: UInt64 = 0
        var replaced: UInt64 = 0
    }

    struct Client {
        var context = VersionVector()
        var seen: UInt64 = 0
    }

    /// A state on its way, which may arrive late, twice or never.
    struct Message {
        var set: DottedVersionVectorSet<Int>
        var known: UInt64
        var replaced: UInt64
    }

    var replicas: [Replica]
    var clients: [Client]
    var messages: [Message] = []
    /// What each event's writer had seen.
    var pasts: [UInt64] = []
    private var random: SeededGenerator

    init(seed: UInt64) throws {
        random = SeededGenerator(seed: seed)
        replicas = try sampleActors().shuffled(using: &random)
            .prefix(Int.random(in: 1...4, using: &random)).map { Replica(actor: $0) }
        clients = Array(
            repeating: Client(), count: Int.random(in: 1...4, using: &random))
    }

    mutating func step() throws {
        let replica = replicas.indices.randomElement(using: &random)!
        let client = clients.indices.randomElement(using: &random)!
        switch UInt64.random(in: 0..<10, using: &random) {
        case 0..<4 where pasts.count < 64:
            try write(client, replica)
        case 4..<6:
            read(client, replica)
        case 6:
            replicas[replica].set.discard(clients[client].context)
            replicas[replica].known |= clients[client].seen
            replicas[replica].replaced |= clients[client].seen
        default:
            let from = replicas[replica]
            messages.append(Message(set: from.set, known: from.known, replaced: from.replaced))
            deliver(messages.randomElement(using: &random)!, to: replica)
        }
    }

    /// A write, and the reply, in which the client sees what the replica has now.
    private mutating func write(_ client: Int, _ replica: Int) throws {
        let event = pasts.count
        try replicas[replica].set.update(
            event, context: clients[client].context, at: replicas[replica].actor)
        pasts.append(clients[client].seen)
        replicas[replica].known |= 1 << event | clients[client].seen
        replicas[replica].replaced |= clients[client].seen
        read(client, replica)
    }

    private mutating func read(_ client: Int, _ replica: Int) {
        clients[client].context.merge(replicas[replica].set.context)
        clients[client].seen |= replicas[replica].known
    }

    private mutating func deliver(_ message: Message, to replica: Int) {
        replicas[replica].set.sync(message.set)
        replicas[replica].known |= message.known
        replicas[replica].replaced |= message.replaced
    }

    mutating func shuffledMessages() -> [Message] {
        // Each twice, in some order.
        (messages + messages).shuffled(using: &random)
    }
}
