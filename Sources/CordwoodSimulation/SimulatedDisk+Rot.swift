internal import CordwoodStorage

/// Damage that the disk does not report. It hits what is cached and what is durable alike, as if the
/// cache had been read again since.
extension SimulatedDisk {
    mutating func flip(_ number: Int, byte: Int, mask: UInt8) {
        files[number]?.damage(byte..<byte + 1) { for index in $0.indices { $0[index] ^= mask } }
    }

    mutating func zero(_ number: Int, _ range: Range<Int>) {
        files[number]?.damage(range) { for index in $0.indices { $0[index] = 0 } }
    }

    mutating func cut(_ number: Int, to size: Int) {
        let before = self.size(of: number)
        files[number]?.cut(to: size)
        usedBytes += self.size(of: number) - before
    }

    /// Writes to other sectors of the file than was asked for, by seed; a file that has no others
    /// loses the write.
    mutating func misdirect(_ writes: [FileWrite], in number: Int) {
        let sectors = size(of: number) / SectorSet.sectorBytes
        for write in writes where sectors > 1 {
            let sector = write.position / SectorSet.sectorBytes
            // Any sector but the right one.
            let wrong = (sector + 1 + random.below(sectors - 1)) % sectors
            let start = wrong * SectorSet.sectorBytes + write.position % SectorSet.sectorBytes
            var bytes: [UInt8] = []
            for slice in write.slices { bytes += slice.unsafeBytes }
            files[number]?.damage(start..<start + bytes.count) { present in
                for index in present.indices { present[index] = bytes[index] }
            }
        }
    }
}
