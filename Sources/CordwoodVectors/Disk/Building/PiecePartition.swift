/// In which pieces each node is: in the two whose centers are nearest to it, or in the one that there is.
struct PiecePartition: Sendable {
    static let maximumPieces = Int(UInt16.max)
    static let piecesPerNode = 2
    /// Stands for the second piece where there is but one.
    static let none = UInt16.max

    /// Of each node its pieces, which are two different ones.
    let pieces: [UInt16]
    let pieceCount: Int

    init(pieces: [UInt16], pieceCount: Int) {
        self.pieces = pieces
        self.pieceCount = pieceCount
    }

    /// All nodes in one piece.
    init(whole nodeCount: Int) {
        pieces = (0..<nodeCount * Self.piecesPerNode).map {
            $0 % Self.piecesPerNode == 0 ? 0 : Self.none
        }
        pieceCount = 1
    }

    /// The nodes of a piece, in rising order. O(nodes).
    func members(of piece: Int) -> [UInt32] {
        var members: [UInt32] = []
        for (place, number) in pieces.enumerated() where Int(number) == piece {
            members.append(UInt32(place / Self.piecesPerNode))
        }
        return members
    }
}
