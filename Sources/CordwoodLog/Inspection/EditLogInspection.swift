package import CordwoodStorage

/// What lies in the bytes of an edit log, whether sound or not. Pure: it reads bytes and decides
/// nothing.
package struct EditLogInspection {
    package struct Edit {
        package var position: Int
        package var sequence: UInt32
        package var payload: [UInt8]
    }

    package private(set) var identity: UInt64?
    package private(set) var edits: [Edit] = []
    /// Places that fail their checksum although sound edits follow, and a header that is wrong.
    package private(set) var damage: [(position: Int, problem: String)] = []
    /// Written bytes at the end that are no whole edit: it never took effect, and the next opening
    /// cuts it.
    package private(set) var tornBytes = 0

    /// Reads all edits, those behind damage included. O(bytes).
    package init(_ bytes: UnsafeRawBufferPointer, kind: EditLogKind, path: StoragePath) {
        do throws(LogError) {
            identity = try EditFrame.checkHeader(bytes, kind: kind, path: path)
        } catch { damage.append((0, error.message)) }
        var budget = SearchBudget(for: bytes.count)
        var isDamaged = false
        var position = EditFrame.headerByteCount
        var sequence: UInt32 = 0
        while position < bytes.count {
            if let edit = EditFrame.decode(bytes, at: position, sequence: sequence) {
                edits.append(Edit(position: position, sequence: sequence, payload: edit.payload))
                (position, sequence) = (edit.end, sequence &+ 1)
                continue
            }
            // Asked once: each time would go through the rest of the file.
            isDamaged =
                isDamaged
                || EditFrame.mayHaveLaterGroup(bytes, behind: position, sequence: sequence)
            let next =
                isDamaged
                ? EditFrame.next(bytes, behind: position, sequence: sequence, within: &budget)
                : nil
            guard let next else {
                let rest = bytes[position...]
                tornBytes = rest.lastIndex { $0 != 0 }.map { $0 + 1 - position } ?? 0
                return
            }
            damage.append(
                (
                    position,
                    "edit \(sequence) fails its checksum; the next sound one is edit "
                        + "\(next.sequence) at byte \(next.position)"
                ))
            (position, sequence) = (next.position, next.sequence)
        }
    }
}
