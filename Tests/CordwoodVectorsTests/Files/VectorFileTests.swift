import CordwoodVectors
import Testing

@Suite struct VectorFileTests {
    private static let numbers: [Float] = [0, 1, -2.5, 65504, 0.0009765625, -7]

    private static let encodings: [(type: String, bytes: @Sendable (Float) -> [UInt8])] = [
        ("<f2", { VectorFileFixture.littleEndian(Float16($0).bitPattern) }),
        ("<f4", { VectorFileFixture.littleEndian($0.bitPattern) }),
        ("<f8", { VectorFileFixture.littleEndian(Double($0).bitPattern) }),
    ]

    @Test(arguments: encodings.indices, [UInt8(1), 2, 3])
    func readsNumpyFloats(encoding: Int, version: UInt8) throws {
        let (type, bytes) = Self.encodings[encoding]
        let fixture = VectorFileFixture(
            name: "a.b.npy",
            bytes: VectorFileFixture.numpy(
                version: version,
                header: "{\"descr\": '\(type)', 'shape': (2, 3), 'fortran_order': False}",
                data: Self.numbers.flatMap(bytes)))
        let file = try VectorFile.open(fixture.path)
        #expect(file.rows == 2 && file.dimensions == 3)
        var values: [Float] = [9]
        try file.readRows(0..<2, into: &values)
        #expect(values == Self.numbers)
        try file.readRows(1..<2, into: &values)
        #expect(values == Array(Self.numbers[3...]))
        try file.readRows(2..<2, into: &values)
        #expect(values.isEmpty)
    }

    @Test func readsNumpyBytes() throws {
        let fixture = VectorFileFixture(
            name: "bytes.npy",
            bytes: VectorFileFixture.numpy("|u1", shape: "(2, 2)", data: [0, 255, 7, 128]))
        let file = try VectorFile.open(fixture.path)
        #expect(file.elementType == .uint8)
        var values: [Float] = []
        try file.readRows(0..<2, into: &values)
        #expect(values == [0, 255, 7, 128])
    }

    @Test func readsTexmexRows() throws {
        let rows: [String: (type: VectorElementType, data: [UInt8])] = [
            "a.fvecs": (.float32, VectorFileFixture.littleEndian(Float(-3.25).bitPattern)),
            "a.bvecs": (.uint8, [200]),
            "a.ivecs": (.int32, VectorFileFixture.littleEndian(Int32(-5))),
        ]
        let expected: [String: Float] = ["a.fvecs": -3.25, "a.bvecs": 200, "a.ivecs": -5]
        for (name, row) in rows {
            let fixture = VectorFileFixture(
                name: name, bytes: VectorFileFixture.texmex([(1, row.data), (1, row.data)]))
            let file = try VectorFile.open(fixture.path)
            #expect(file.rows == 2 && file.dimensions == 1 && file.elementType == row.type)
            var values: [Float] = []
            try file.readRows(0..<2, into: &values)
            #expect(values == [expected[name], expected[name]])
        }
    }

    /// More than one chunk, and rows that do not divide a chunk.
    @Test func readsAcrossChunks() throws {
        let dimensions = 1000
        let rows = VectorFile.chunkBytes / (4 * dimensions) * 2 + 17
        let data = (0..<rows).flatMap { row in
            (0..<dimensions).flatMap { VectorFileFixture.littleEndian(Float(row ^ $0).bitPattern) }
        }
        let fixture = VectorFileFixture(
            name: "large.npy",
            bytes: VectorFileFixture.numpy("<f4", shape: "(\(rows), \(dimensions))", data: data))
        let file = try VectorFile.open(fixture.path)
        var values: [Float] = []
        try file.readRows(3..<rows, into: &values)
        #expect(values.count == (rows - 3) * dimensions)
        #expect(
            values.indices.allSatisfy {
                values[$0] == Float((3 + $0 / dimensions) ^ ($0 % dimensions))
            })
    }

    // MARK: What is refused

    private static let refusals: [(name: String, bytes: [UInt8], code: VectorFileError.Code)] = {
        let fixture = VectorFileFixture.self
        let data = [UInt8](repeating: 0, count: 24)
        let good = fixture.numpy("<f4", shape: "(2, 3)", data: data)
        func header(_ text: String) -> [UInt8] { fixture.numpy(header: text, data: data) }
        return [
            ("other.txt", good, .unknownFormat),
            ("empty.npy", [], .malformed),
            ("words.npy", Array("not a NumPy file at all".utf8), .malformed),
            ("cut-magic.npy", Array(good[..<5]), .malformed),
            ("cut-length.npy", Array(good[..<9]), .wrongSize),
            ("cut-header.npy", Array(good[..<40]), .wrongSize),
            ("cut-data.npy", Array(good.dropLast()), .wrongSize),
            ("longer.npy", good + [0], .wrongSize),
            ("version.npy", Array(good[..<6]) + [4] + Array(good[7...]), .unsupported),
            ("minor.npy", Array(good[..<7]) + [1] + Array(good[8...]), .unsupported),
            (
                "long-header.npy",
                fixture.numpy(
                    version: 2, header: String(repeating: " ", count: 70_000), data: data),
                .wrongSize
            ),
            ("big-endian.npy", fixture.numpy(">f4", shape: "(2, 3)", data: data), .unsupported),
            ("object.npy", fixture.numpy("|O", shape: "(2, 3)", data: data), .unsupported),
            ("int.npy", fixture.numpy("<i4", shape: "(2, 3)", data: data), .unsupported),
            ("flat.npy", fixture.numpy("<f4", shape: "(6,)", data: data), .unsupported),
            ("cube.npy", fixture.numpy("<f4", shape: "(1, 2, 3)", data: data), .unsupported),
            ("point.npy", fixture.numpy("<f4", shape: "()", data: data), .unsupported),
            ("no-dim.npy", fixture.numpy("<f4", shape: "(6, 0)", data: data), .unsupported),
            ("wide.npy", fixture.numpy("<f4", shape: "(1, 65537)", data: data), .unsupported),
            (
                "overflow.npy",
                fixture.numpy("<f4", shape: "(4611686018427387904, 4)", data: data), .wrongSize
            ),
            (
                "beyond-int.npy",
                fixture.numpy("<f4", shape: "(99999999999999999999, 4)", data: data), .malformed
            ),
            ("negative.npy", fixture.numpy("<f4", shape: "(-2, 3)", data: data), .malformed),
            (
                "fortran.npy",
                header("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3)}"), .unsupported
            ),
            (
                "structured.npy",
                header("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (2, 3)}"),
                .unsupported
            ),
            ("no-shape.npy", header("{'descr': '<f4', 'fortran_order': False}"), .malformed),
            (
                "twice.npy",
                header("{'descr': '<f4', 'descr': '<f8', 'fortran_order': False, 'shape': (2, 3)}"),
                .malformed
            ),
            ("unknown-key.npy", header("{'evil': '<f4'}"), .malformed),
            ("unclosed.npy", header("{'descr': '<f4"), .malformed),
            (
                "trailing.npy",
                header("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)} + 1"), .malformed
            ),
            ("empty.fvecs", [], .wrongSize),
            ("short.fvecs", [1, 0, 0], .wrongSize),
            ("huge.fvecs", fixture.texmex([(1 << 31, data)]), .malformed),
            ("zero.fvecs", fixture.texmex([(0, [])]), .malformed),
            ("cut.fvecs", Array(fixture.texmex([(6, data), (6, data)]).dropLast()), .wrongSize),
        ]
    }()

    @Test(arguments: refusals.indices)
    func refuses(index: Int) throws {
        let (name, bytes, code) = Self.refusals[index]
        let fixture = VectorFileFixture(name: name, bytes: bytes)
        let error = try #require(throws: VectorFileError.self) {
            try VectorFile.open(fixture.path)
        }
        #expect(error.code == code, "\(error)")
        #expect("\(error)".contains(name))
    }

    @Test func refusesWhatIsNoRegularFile() throws {
        for path in ["/nonexistent/x.npy", "/dev/null/x.npy", "/tmp"] {
            let error = try #require(throws: VectorFileError.self) { try VectorFile.open(path) }
            #expect(error.code == .cannotOpen)
        }
    }

    /// A dimension that lies in the middle is found when its row is read, and rows before it are
    /// handed over.
    @Test func refusesARowOfAnotherDimension() throws {
        let fixture = VectorFileFixture(
            name: "lie.bvecs", bytes: VectorFileFixture.texmex([(2, [1, 2]), (3, [3, 4])]))
        let file = try VectorFile.open(fixture.path)
        var values: [Float] = []
        let error = try #require(throws: VectorFileError.self) {
            try file.readRows(0..<2, into: &values)
        }
        #expect(error.code == .malformed && "\(error)".contains("row 1"))
        #expect(values == [1, 2])
    }

    /// No prefix of a good file is taken for a file, and none crashes the reader.
    @Test func refusesEveryTruncation() throws {
        let good = VectorFileFixture.numpy(
            "<f2", shape: "(3, 2)", data: [UInt8](repeating: 1, count: 12))
        for length in good.indices {
            let fixture = VectorFileFixture(name: "cut.npy", bytes: Array(good[..<length]))
            #expect(throws: VectorFileError.self) { try VectorFile.open(fixture.path) }
        }
    }
}
