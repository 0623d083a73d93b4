import Cordwood

let database = try await Database.open(at: "woodshed")
let orders = try await database.topic("orders")
let receipt = try await orders.append([Record("two cords of oak"), Record("one of birch")])
for try await record in orders[0].records(from: receipt.firstOffset, following: false) {
    print(record.offset, record.text ?? "")
}
let notes = try await database.collection(
    "notes", .init(dimensions: 3, metric: .cosine, index: .hnsw()))
try await notes.upsert([Point(id: 7, vector: [0.1, 0.9, 0.2], payload: ["lang": "en"])])
for hit in try await notes.search([0, 1, 0], limit: 3) { print(hit.id, hit.distance) }
try await database.close()
