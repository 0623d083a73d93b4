/// Columns aligned to the right, under their headings.
struct Table: CustomStringConvertible {
    var headings: [String]
    var rows: [[String]]

    var description: String {
        let lines = [headings] + rows
        let widths = headings.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
        return lines.map { line in
            zip(line, widths).map { $0.paddedLeft(to: $1) }.joined(separator: "  ")
        }.joined(separator: "\n")
    }
}
