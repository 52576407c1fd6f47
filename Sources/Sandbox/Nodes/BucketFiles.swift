import Encoding

/// A bucket that is mounted, as files: it is copied, so that what is written to the bucket later is not seen.
enum BucketFiles {
    /// More is refused.
    private static let limitBytes = 2 << 30

    /// The objects as they are now.
    ///
    /// - Parameter mountOptions: Cloud Storage FUSE's; of these `only-dir=` counts.
    /// - Throws: a sentence for a bucket that cannot be read or is too large.
    static func read(
        _ bucket: String, mountOptions: [String], from cloud: SimulatedCloud
    ) throws(ContainerStartError) -> [(name: String, bytes: [UInt8])] {
        let folder = mountOptions.first { $0.hasPrefix("only-dir=") }.map { String($0.dropFirst(9)) } ?? ""
        let only = folder.isEmpty || folder.hasSuffix("/") ? folder : folder + "/"
        var files: [(name: String, bytes: [UInt8])] = []
        var size = 0
        for name in cloud.objectNames(bucket: bucket, prefix: only) where !name.hasSuffix("/") {
            let bytes: [UInt8]?
            do {
                bytes = try cloud.readObject(bucket: bucket, name: name)
            } catch {
                throw ContainerStartError(message: error.message)
            }
            guard let bytes else { continue }  // Deleted since it was listed.
            size += bytes.count
            guard size <= limitBytes else {
                throw ContainerStartError(
                    message: "the sandbox copies what is mounted, and gs://\(bucket)/\(only) has more than 2 GiB; use "
                        + "mode Stream")
            }
            files.append((String(name.dropFirst(only.count)), bytes))
        }
        return files
    }
}

/// A file of a volume.
enum VolumeFile {
    /// - Throws: a sentence for a path that leads out of the volume or cannot be written.
    static func write(_ bytes: [UInt8], to path: String) throws(ContainerStartError) {
        let folder = path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        guard !path.split(separator: "/").contains(".."), LocalFiles.makeDirectories(folder),
            LocalFiles.append(bytes, to: path)
        else { throw ContainerStartError(message: "cannot write \(path)") }
    }
}
