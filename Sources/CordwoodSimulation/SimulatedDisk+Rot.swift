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
}
