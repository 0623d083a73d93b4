import Cordwood

// Orders come in; each is billed once, and a balance is kept of all bills.
let database = try await Database.open(at: "ledger")
let orders = try await database.topic("orders", .init(partitions: 2))
let bills = try await database.topic("bills")
_ = try await orders.append([Record("3", key: "oak"), Record("4", key: "elm")])

// Records that are read, and what is made of them, take effect together.
let group = try await database.consumerGroup("billing")
let consumer = try group.consumer(of: orders, .init(following: false))
let producer = try await database.producer(transactionalID: "billing")
for try await order in consumer {
    try await producer.transaction { transaction in
        try await transaction.append([Record(order.text ?? "0", key: "bill")], to: bills)
        try await transaction.commitOffsets(of: consumer)
    }
}
try await consumer.close()
print("lag", await group.lag(of: orders).map { $0 ?? 0 }.reduce(0, +))

// A state of the records, with snapshots.
let balance = try await bills.fold(
    into: 0,
    snapshots: FoldSnapshots(name: "balance", everyRecords: 1000) { total in
        Array(String(total).utf8)
    } decode: { bytes in
        Int(String(decoding: bytes, as: UTF8.self))
    }
) { total, bill in
    total += bill.text.flatMap { Int($0) } ?? 0
}
print("balance", try await balance.value())
try await database.close()
