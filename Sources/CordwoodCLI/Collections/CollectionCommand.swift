#if CommandLine
import ArgumentParser
import Cordwood

/// `cordwood collection …`
struct CollectionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "collection", abstract: "Store points with vectors, and search them.",
        subcommands: [
            CollectionCreate.self, CollectionImport.self, CollectionSearch.self,
            CollectionDescribe.self, CollectionSeal.self,
        ])
}

#endif
