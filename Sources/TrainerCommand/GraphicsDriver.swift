import Training

/// What NVIDIA's driver says of itself and its GPUs below /proc, without any library.
struct GraphicsDriver: Sendable, Hashable {
    /// As in `580.95.05`.
    var version: String
    /// The GPUs' names.
    var models: [String]

    /// Nil without a driver.
    static func read(root: String = "/proc/driver/nvidia") -> GraphicsDriver? {
        guard let text = text(root + "/version"), let version = version(in: text) else { return nil }
        // 16 GPUs in a machine are the most that any cloud gives; folders are named by PCI address.
        let folders = ((try? FolderStorage.list(root + "/gpus/")) ?? []).filter { $0.hasSuffix("/information") }
        let models = folders.sorted().prefix(16).compactMap { self.text($0).flatMap { model(in: $0) } }
        return GraphicsDriver(version: version, models: models)
    }

    /// The word behind "Kernel Module".
    static func version(in text: String) -> String? {
        let words = text.split { $0 == " " || $0 == "\n" }
        return words.indices.lazy.filter { words[$0] == "Module" }.compactMap { index in
            words[(index + 1)...].first { $0.first?.isNumber ?? false }
        }.first.map(String.init)
    }

    /// What follows "Model:".
    static func model(in text: String) -> String? {
        for line in text.split(separator: "\n") where line.hasPrefix("Model:") {
            return String(line.dropFirst(6).drop { $0 == " " || $0 == "\t" })
        }
        return nil
    }

    private static func text(_ path: String) -> String? {
        // A file that is not there tells nothing.
        guard let bytes = (try? FolderStorage.read(path)) ?? nil else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }
}
