#if canImport(Glibc)
import Glibc
#endif

/// The files of this package, found from the place of this file.
enum ProjectTree {
    struct Unreadable: Error { let path: String }

    static let root: String = {
        // <root>/Tests/ArchitectureTests/ProjectTree.swift
        #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }
    }()

    /// The names in a folder, sorted, without hidden ones.
    static func entries(of folder: String) throws -> [String] {
        guard let stream = opendir("\(root)/\(folder)") else { throw Unreadable(path: folder) }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }

    static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat("\(root)/\(path)", &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Every file below a folder whose name ends in one of `suffixes`, as paths from the root.
    static func files(below folder: String, suffixes: [String]) throws -> [String] {
        var found: [String] = []
        for name in try entries(of: folder) {
            let path = "\(folder)/\(name)"
            if isFolder(path) {
                found += try files(below: path, suffixes: suffixes)
            } else if suffixes.contains(where: name.hasSuffix) {
                found.append(path)
            }
        }
        return found
    }

    static func contents(of path: String) throws -> String {
        guard let file = fopen("\(root)/\(path)", "r") else { throw Unreadable(path: path) }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            if count == 0 { break }
            bytes += chunk[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
