import Encoding
import GoogleCloud
import Glibc
import HTTP
import Synchronization
import Telemetry
import Training
import TrainingContract

/// `trainyard-trainer download`: a bucket's prefix as a folder, for inputs in mode Download.
struct DownloadCommand: Sendable {
    let place: StorageURI
    /// Ends in "/".
    let folder: String
    let client: StorageClient
    let clock: any WallClock
    let log: Log

    /// One stream fills neither network nor disk; so many fill both.
    static let parallelCount = 8
    /// Room that stays free on the disk.
    static let spareBytes = 64 << 20

    /// - Throws: `.usage`.
    init(
        _ options: Options, environment: [String: String], clock: any WallClock, log: Log
    ) throws(TrainingError) {
        guard let uri = options.uri, let folder = options.folder else {
            throw TrainingError(.usage, "download needs --uri gs://BUCKET/PREFIX/ and --to DIR (see --help)")
        }
        let prefix = uri.hasSuffix("/") ? uri : uri + "/"
        guard let place = StorageURI(prefix) else {
            throw TrainingError(.usage, "--uri is \"\(uri.prefix(200))\"; it must be gs://BUCKET/PREFIX/")
        }
        self.place = place
        self.folder = folder.hasSuffix("/") ? folder : folder + "/"
        client = try CloudStorage(environment: environment, clock: clock).client
        self.clock = clock
        self.log = log
    }

    /// - Throws: `.missingInput`, `.badData`, `.storageUnavailable`, `.localStorage`; `.stoppedAfterCheckpoint` on
    ///   request: what is there stays.
    func run(shouldStop: @escaping @Sendable () -> Bool) async throws(TrainingError) -> TrainerExitCode {
        let files = try DownloadPlan.files(try await objects(), below: place, folder: folder)
        try DownloadPlan.removeStaleParts(of: files, folder: folder)
        let meter = DownloadMeter(files: files, clock: clock)
        var missing: [DownloadFile] = []
        for file in files {
            if shouldStop() { throw Self.stopped }
            if try file.isComplete() { meter.add(bytes: file.size, files: 1) } else { missing.append(file) }
        }
        try checkSpace(for: missing)
        meter.begin()
        try await download(missing, meter, shouldStop)
        Trainer.put(meter.line + "\n")
        log.info(
            "download finished",
            [.count: .integer(files.count), .path: .string(folder)])
        return .success
    }

    static let stopped = TrainingError(
        .stoppedAfterCheckpoint, "the download was stopped on request; what is there stays, and the next start goes on")

    private func objects() async throws(TrainingError) -> [StorageObject] {
        var query = ObjectQuery()
        query.prefix = place.path
        do throws(APIError) {
            return try await client.objects(in: place.bucket, query).objects
        } catch {
            switch error.code {
            case .notFound: throw TrainingError(.missingInput, "there is no bucket \(place.bucket)")
            case .forbidden:
                throw TrainingError(
                    .storageUnavailable,
                    "this pod's service account may not list \(place) (storage.objects.list): grant it "
                        + "roles/storage.objectViewer on the bucket. \(error.message)")
            default: throw TrainingError(.storageUnavailable, "cannot list \(place): \(error.description)")
            }
        }
    }

    private func checkSpace(for files: [DownloadFile]) throws(TrainingError) {
        let needed = files.reduce(0) { $0 + $1.size - $1.partSize }
        guard !files.isEmpty, let free = FolderStorage.freeBytes(folder), needed + Self.spareBytes > free else {
            return
        }
        throw TrainingError(
            .localStorage,
            "\(files.count) files with \(DownloadMeter.size(needed)) are to come, but only "
                + "\(DownloadMeter.size(free)) are free on the disk of \(folder)")
    }

    /// Several at a time; the first failure ends the others.
    private func download(
        _ files: [DownloadFile], _ meter: DownloadMeter, _ shouldStop: @escaping @Sendable () -> Bool
    ) async throws(TrainingError) {
        let failure = await withTaskGroup(of: TrainingError?.self) { group in
            var rest = files[...]
            for file in rest.prefix(Self.parallelCount) {
                group.addTask { await fetch(file, meter, shouldStop) }
            }
            rest = rest.dropFirst(Self.parallelCount)
            var failure: TrainingError?
            while let result = await group.next() {
                if let result, failure == nil {
                    failure = result
                    group.cancelAll()
                }
                if failure == nil, let file = rest.popFirst() {
                    group.addTask { await fetch(file, meter, shouldStop) }
                }
            }
            return failure
        }
        if let failure { throw failure }
    }

    private func fetch(
        _ file: DownloadFile, _ meter: DownloadMeter, _ shouldStop: @escaping @Sendable () -> Bool
    ) async -> TrainingError? {
        do throws(TrainingError) {
            let part = try PartFile(file, meter, shouldStop)
            meter.add(bytes: part.count, files: 0)
            let failure = await stream(file, into: part)
            if let failure { throw part.failure ?? failure }
            try part.finish()
            meter.add(bytes: 0, files: 1)
            return nil
        } catch {
            return error
        }
    }

    /// The rest of the file from where the part ends.
    private func stream(_ file: DownloadFile, into part: PartFile) async -> TrainingError? {
        guard part.count < file.size else { return nil }
        do throws(APIError) {
            _ = try await client.download(
                file.name, in: place.bucket, range: part.count == 0 ? nil : Int64(part.count)..<Int64(file.size),
                generation: file.generation
            ) { bytes throws(APIError) in try part.append(bytes) }
            return nil
        } catch {
            let uri = "gs://\(place.bucket)/\(file.name)"
            switch error.code {
            case .notFound, .preconditionFailed:
                return TrainingError(
                    .storageUnavailable, "\(uri) was replaced or deleted while it was read: start again")
            case .forbidden:
                return TrainingError(
                    .storageUnavailable,
                    "this pod's service account may not read \(uri) (storage.objects.get): grant it "
                        + "roles/storage.objectViewer on the bucket. \(error.message)")
            default: return TrainingError(.storageUnavailable, "cannot read \(uri): \(error.description)")
            }
        }
    }
}
