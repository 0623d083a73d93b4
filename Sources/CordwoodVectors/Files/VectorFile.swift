#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A file of vectors, read a range of rows at a time: `.npy`, `.fvecs`, `.bvecs` or `.ivecs`.
///
/// The file is never wholly in memory: ``readRows(_:into:)`` holds one chunk of at most
/// ``chunkBytes`` beside the caller's array. What the header says is checked against a cap and
/// against the size of the file before anything is believed.
///
/// **Threads.** Any number of threads may read at once. Calls block the thread that makes them: a
/// server calls them from a thread of its own, not from the cooperative pool.
public final class VectorFile: Sendable {
    /// More dimensions than this are taken for damage.
    public static let maximumDimensions = 65_536
    /// The most that one read asks of the system.
    public static let chunkBytes = 1 << 20

    public let path: String
    /// How many vectors the file holds.
    public let rows: Int
    /// Numbers in each vector.
    public let dimensions: Int
    public let elementType: VectorElementType

    private let layout: Layout
    private let descriptor: OpenFile

    /// Where rows lie in the file.
    struct Layout: Sendable {
        var rows: Int
        var dimensions: Int
        var elementType: VectorElementType
        /// The position of the first row.
        var dataPosition: Int
        /// Bytes before each row's numbers, which repeat the dimension (`.fvecs` and its kind).
        var rowPrefixBytes: Int

        /// Bytes from one row to the next.
        var rowBytes: Int { rowPrefixBytes + dimensions * elementType.byteCount }
    }

    /// Opens a file and checks its header and size; the format is told by the extension. O(1), but
    /// for `.fvecs` and its kind the dimension of each row is checked only when it is read.
    public static func open(_ path: String) throws(VectorFileError) -> VectorFile {
        let file = try OpenFile(path)
        let layout: Layout
        switch path.split(separator: "/").last?.split(separator: ".").last {
        case "npy": layout = try NumpyHeader.layout(of: file)
        case "fvecs": layout = try TexmexHeader.layout(of: file, elementType: .float32)
        case "bvecs": layout = try TexmexHeader.layout(of: file, elementType: .uint8)
        case "ivecs": layout = try TexmexHeader.layout(of: file, elementType: .int32)
        default:
            throw VectorFileError(
                .unknownFormat, path: path,
                detail: "expected a name that ends in .npy, .fvecs, .bvecs or .ivecs")
        }
        return VectorFile(file, layout)
    }

    private init(_ file: OpenFile, _ layout: Layout) {
        path = file.path
        rows = layout.rows
        dimensions = layout.dimensions
        elementType = layout.elementType
        self.layout = layout
        descriptor = file
    }

    /// Replaces `values` by the rows of `range`, one after another, as 32-bit floats:
    /// `range.count` × ``dimensions`` numbers. O(numbers read).
    ///
    /// After an error, `values` holds the whole rows that were read before it. `range` must lie in
    /// `0..<rows`.
    public func readRows(
        _ range: Range<Int>, into values: inout [Float]
    ) throws(VectorFileError) {
        precondition(
            range.lowerBound >= 0 && range.upperBound <= rows,
            "rows \(range) of a file that has \(rows)")
        values.removeAll(keepingCapacity: true)
        values.reserveCapacity(range.count * dimensions)
        let rowsPerChunk = max(1, Self.chunkBytes / layout.rowBytes)
        var row = range.lowerBound
        while row < range.upperBound {
            let count = min(rowsPerChunk, range.upperBound - row)
            let bytes = try descriptor.read(
                at: layout.dataPosition + row * layout.rowBytes, count: count * layout.rowBytes)
            try append(bytes, firstRow: row, to: &values)
            row += count
        }
    }

    private func append(
        _ bytes: [UInt8], firstRow: Int, to values: inout [Float]
    ) throws(VectorFileError) {
        for start in stride(from: 0, to: bytes.count, by: layout.rowBytes) {
            let numbers = start + layout.rowPrefixBytes..<start + layout.rowBytes
            if layout.rowPrefixBytes > 0 {
                try TexmexHeader.check(
                    TexmexHeader.dimension(bytes[start..<numbers.lowerBound]), against: dimensions,
                    row: firstRow + start / layout.rowBytes, path: path)
            }
            bytes.withUnsafeBytes {
                elementType.appendFloats(of: .init(rebasing: $0[numbers]), to: &values)
            }
        }
    }
}

extension VectorFile {
    /// A descriptor of a regular file, closed with its last reference.
    final class OpenFile: Sendable {
        let path: String
        /// Bytes in the file when it was opened.
        let size: Int
        private let descriptor: Int32

        init(_ path: String) throws(VectorFileError) {
            // O_NONBLOCK: opening a FIFO must not wait for its writer.
            descriptor = Self.retrying { openFile(path) }
            guard descriptor >= 0 else {
                throw VectorFileError(.cannotOpen, path: path, detail: Self.reason())
            }
            self.path = path
            var status = stat()
            guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
                size = 0
                throw VectorFileError(.cannotOpen, path: path, detail: "expected a regular file")
            }
            size = Int(status.st_size)
        }

        deinit { if descriptor >= 0 { _ = close(descriptor) } }

        /// Exactly `count` bytes at `position`, or an error.
        func read(at position: Int, count: Int) throws(VectorFileError) -> [UInt8] {
            var failure: VectorFileError?
            let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
                while filled < count, failure == nil {
                    let rest = UnsafeMutableRawBufferPointer(buffer)[filled...]
                    let got = Self.retrying {
                        pread(
                            descriptor, UnsafeMutableRawBufferPointer(rebasing: rest).baseAddress,
                            rest.count, off_t(position + filled))
                    }
                    if got > 0 {
                        filled += got
                    } else {
                        failure = VectorFileError(
                            .readFailed, path: path,
                            detail: got < 0
                                ? Self.reason()
                                : "the file ended at byte \(position + filled) while being read; "
                                    + "expected \(count) bytes at \(position)")
                    }
                }
            }
            if let failure { throw failure }
            return bytes
        }

        private static func retrying<Result: FixedWidthInteger>(_ call: () -> Result) -> Result {
            var result: Result
            repeat { result = call() } while result == -1 && errno == EINTR
            return result
        }

        private static func reason() -> String { String(cString: strerror(errno)) }
    }
}

/// Outside the class, whose own `open` would hide the system's.
private func openFile(_ path: String) -> Int32 {
    open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
}
