/// The commands that a finished run suggests; they work when pasted into the same terminal.
enum NextCommands {
    static func lines(_ options: SandboxRunOptions) -> [String] {
        let program = invocation
        let files = options.files.map(quoted).joined(separator: " ")
        return [
            "\(program) sandbox run \(files) --set spec.trainer.hyperparameters.epochs=5",
            "\(program) sandbox up",
        ]
    }

    /// How this program was called: `swift run -c release trainyard` in the clone, else its path.
    private static var invocation: String {
        guard let folder = LocalFiles.programFolder() else { return "trainyard" }
        let clone = LocalFiles.absolute(".")
        if folder.hasPrefix("\(clone)/.build/"), LocalFiles.isReadable("\(clone)/Package.swift") {
            return folder.hasSuffix("/release") ? "swift run -c release trainyard" : "swift run trainyard"
        }
        return quoted(LocalFiles.shown("\(folder)/trainyard"))
    }

    /// As one word for a shell.
    static func quoted(_ text: String) -> String {
        let isPlain = text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: "/._-+,@%=:".utf8.contains(byte)
            }
        }
        if isPlain, !text.isEmpty { return text }
        return "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }
}
