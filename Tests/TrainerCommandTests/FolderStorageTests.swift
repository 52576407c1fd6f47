import Glibc
import Testing
import Training
import TrainingContract

@testable import TrainerCommand

/// A folder for one test, removed at its end.
func withTemporaryFolder(_ body: (String) async throws -> Void) async throws {
    var template = Array("/tmp/trainyard-XXXXXX".utf8CString)
    guard let path = mkdtemp(&template) else { throw TrainingError(.localStorage, "mkdtemp failed") }
    let folder = String(cString: path) + "/"
    defer {
        for file in (try? FolderStorage.list(folder)) ?? [] { unlink(file) }
        removeFolders(folder)
    }
    try await body(folder)
}

private func removeFolders(_ folder: String) {
    if let stream = opendir(folder) {
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
            }
            if name != "." && name != ".." { removeFolders(folder + name + "/") }
        }
        closedir(stream)
    }
    rmdir(folder)
}

struct FolderStorageTests {
    @Test func `files are written with their folders, read, listed and deleted`() async throws {
        try await withTemporaryFolder { folder in
            let big = [UInt8](repeating: 7, count: 3_000_001)
            try FolderStorage.write(folder + "a/b/one", big)
            try FolderStorage.write(folder + "two", [])
            #expect(try FolderStorage.read(folder + "a/b/one") == big)
            #expect(try FolderStorage.read(folder + "two") == [])
            #expect(try FolderStorage.read(folder + "a/none") == nil)
            #expect(try FolderStorage.list(folder).sorted() == [folder + "a/b/one", folder + "two"])
            #expect(try FolderStorage.list(folder + "none/") == [])
            try FolderStorage.delete(folder + "a/b/one")
            try FolderStorage.delete(folder + "a/b/one")
            #expect(try FolderStorage.list(folder) == [folder + "two"])
        }
    }

    @Test func `a place that cannot be written is a local storage error with the path`() async throws {
        try await withTemporaryFolder { folder in
            try FolderStorage.write(folder + "file", [1])
            let error = #expect(throws: TrainingError.self) { try FolderStorage.write(folder + "file/below", [1]) }
            #expect(error?.code == .localStorage)
            #expect(error?.message.contains(folder + "file") == true)
        }
    }

    @Test func `free space is that of the nearest folder that exists`() {
        #expect((FolderStorage.freeBytes("/tmp/no/such/folder/") ?? 0) > 0)
    }
}
