import ArgumentParser
import CCordwoodChecksum
struct ChecksumCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "crc")
    func run() { print(String(cString: cordwood_crc32c_path())) }
}
