import Cordwood

extension JSON {
    /// A point's payload, its keys in order.
    init(_ payload: [String: PayloadValue]) {
        self = .object(
            payload.sorted { $0.key < $1.key }.map { key, value in
                switch value {
                case .string(let string): (key, .string(string))
                case .integer(let integer): (key, .integer(integer))
                case .double(let double): (key, .number(double))
                case .bool(let boolean): (key, .boolean(boolean))
                }
            })
    }
}
