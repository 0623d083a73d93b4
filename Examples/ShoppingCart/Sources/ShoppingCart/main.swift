import Cordwood

// A cart is some lines of text. Of carts that did not know of each other, every line stays.
func lines(_ cart: [UInt8]?) -> Set<String> {
    Set(String(decoding: cart ?? [], as: UTF8.self).split(separator: "\n").map(String.init))
}

func cart(_ lines: Set<String>) -> [UInt8] { Array(lines.sorted().joined(separator: "\n").utf8) }

let carts = SharedTopicConfiguration(
    resolution: .merge { versions in
        cart(versions.reduce(into: []) { $0.formUnion(lines($1.value)) })
    })
let paris = try await Database.open(at: "paris")
let tokyo = try await Database.open(at: "tokyo")
let here = try await paris.sharedTopic("carts", carts)
let there = try await tokyo.sharedTopic("carts", carts)
let ann = Array("ann".utf8)

try await here.put(cart(["apples"]), forKey: ann)
try await paris.exchange(with: tokyo)
print("tokyo:", lines(await there.get(ann).values.first).sorted())

// Edited in both places, by people who read the same cart. Each replaces what was read.
let seen = await (here.get(ann), there.get(ann))
try await here.put(cart(["apples", "pears"]), forKey: ann, replacing: seen.0.context)
try await there.put(cart(["plums"]), forKey: ann, replacing: seen.1.context)

// Over a network: a question, an answer, and what comes of it, durable when `apply` returns.
let question = await here.exchangeRequest(from: there.actor).encoded()
let answer = try await there.missing(for: ExchangeRequest(decoding: question)).encoded()
let isAll = try await here.apply(ExchangeReply(decoding: answer))
print("paris:", lines(await here.get(ann).values.first).sorted(), "all:", isAll)

// The merge is a version like any other: it replaces what it was made of in the other place, too.
try await paris.exchange(with: tokyo)
print("tokyo:", lines(await there.get(ann).values.first).sorted())
print("versions:", await there.get(ann).siblings.count)
print("same bytes:", await here.canonicalBytes() == there.canonicalBytes())
try await paris.close()
try await tokyo.close()
