#if CommandLine
import ArgumentParser
import Cordwood

/// `cordwood demo`: 25,000 words and their vectors through the whole engine, in a few seconds.
struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Store 25,000 words and their vectors durably, and search them.",
        discussion: """
            Works in a temporary folder and removes it. The figures are this machine's, with every \
            write synced to the medium before it counts.
            """)

    @Option(help: "A word whose neighbours to show.") var word = "ocean"
    @Option(help: "Where to put the database; must be missing or empty.") var directory: String?
    @Flag(help: "Leave the database where it is, to try the other commands on.") var keep = false

    func run() async throws {
        let words = try await BlockingThread.run { try WordVectors.load() }
        guard words.id(of: word) != nil else {
            throw CommandError(
                "\"\(word)\" is not among the demo's \(Figures.count(words.count)) words; "
                    + "expected a frequent English word in lower case, such as guitar")
        }
        let folder = try DemoFolder(directory)
        do {
            try await Demo(words: words, folder: folder).run(word: word)
        } catch {
            if !keep { folder.remove() }
            throw error
        }
        try Output.standard.line("")
        try Output.standard.line("Try a word of your own:  cordwood demo --word guitar")
        if keep {
            try Output.standard.line(
                """
                The database stays:      cordwood topic read \(folder.path) words --limit 5
                                         cordwood collection search \(folder.path) vectors \
                --like \(words.id(of: word) ?? 0)
                """)
        } else {
            folder.remove()
            try Output.standard.line(
                "Keep the database:       cordwood demo --directory words --keep")
        }
    }
}

#endif
