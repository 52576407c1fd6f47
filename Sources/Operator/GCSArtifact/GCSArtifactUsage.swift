import ControllerRuntime
import Encoding
import GoogleCloud
import Kubernetes

/// What the place holds and what that costs a month, by list prices and without operations, network and early deletion.
enum GCSArtifactUsage {
    typealias Status = GCSArtifact.Status

    /// US dollars for a GiB and month in a region, in millionths.
    /// <https://cloud.google.com/storage/pricing>, us-central1; the multi-region US is dearer by 0.006 for Standard.
    private static let prices: [String: Int64] = [
        "STANDARD": 20_000, "NEARLINE": 10_000, "COLDLINE": 4_000, "ARCHIVE": 1_200,
    ]
    private static let multiRegionStandard: Int64 = 26_000
    private static let gibibyte: Int128 = 1 << 30

    static func monthlyCost(_ bytes: [String: Int64], locationType: String?) -> Money {
        let microdollars = bytes.reduce(Int128(0)) { sum, entry in
            // Classes of old buckets are billed as Standard.
            var price = prices[entry.key] ?? 20_000
            if price == 20_000, locationType == "multi-region" { price = multiRegionStandard }
            return sum + Int128(entry.value) * Int128(price)
        }
        return Money(microdollars: Int64(clamping: (microdollars + gibibyte / 2) / gibibyte))
    }

    /// The numbers of this round; without any, or with the same ones, the status stays as it is.
    static func apply(_ status: inout Status, _ observation: GCSArtifactObservation) {
        guard let usage = observation.usage, usage.objectCount > 0 || status.storage != nil else { return }
        var storage = Status.Storage()
        storage.objectCount = usage.objectCount
        storage.sizeBytes = usage.sizeBytes
        storage.size = text(usage.sizeBytes)
        storage.byClass = usage.bytesByClass.sorted { $0.key < $1.key }.prefix(8).map {
            .init(storageClass: $0.key, sizeBytes: $0.value)
        }
        storage.monthlyCost =
            monthlyCost(usage.bytesByClass, locationType: observation.dataBucket?.locationType)
            .cents
        if usage.isPartial { storage.atLeast = true }
        storage.time = status.storage?.time
        if storage != status.storage { storage.time = observation.moment }
        status.storage = storage
    }

    /// Why the place holds more than its budget; nil while it does not, or nothing was measured.
    static func excess(_ budget: GCSArtifact.Budget, _ storage: Status.Storage) -> String? {
        let size = storage.sizeBytes ?? 0
        if let limit = budget.maxSizeGiB, Int128(size) > Int128(limit) * gibibyte {
            return "it holds \(storage.size ?? ""), more than \(limit) GiB"
        }
        if let limit = budget.maxMonthlyCost.flatMap({ Money(decimal: $0) }),
            let cost = storage.monthlyCost.flatMap({ Money(decimal: $0) }), cost > limit
        {
            return "it costs about \(cost.display) a month, more than \(limit.display)"
        }
        if storage.atLeast == true {
            return "it may hold more: only its first \(storage.objectCount ?? 0) objects were counted"
        }
        return nil
    }

    /// `4.6 GiB`: at most 16 characters.
    static func text(_ bytes: Int64) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
        var unit = 0
        var tenths = Int128(bytes) * 10
        while unit < units.count - 1, tenths >= 10_235 {
            tenths = (tenths + 512) / 1024
            unit += 1
        }
        return unit == 0 ? "\(bytes) B" : "\(tenths / 10).\(tenths % 10) \(units[unit])"
    }
}

/// What was counted below the place.
public struct StorageUsage: Sendable, Hashable {
    public var objectCount: Int64 = 0
    public var bytesByClass: [String: Int64] = [:]
    /// There is more than was counted.
    public var isPartial = false

    public init() {}

    public var sizeBytes: Int64 { bytesByClass.values.reduce(0, +) }

    mutating func add(_ object: StorageObject) {
        objectCount += 1
        bytesByClass[object.storageClass ?? "STANDARD", default: 0] += object.size
    }
}

extension Money {
    /// "12.34"; less than a cent is not zero.
    fileprivate var cents: String {
        let cents = (microdollars + 5_000) / 10_000
        if cents == 0, microdollars > 0 { return "0.01" }
        return Money(microdollars: cents * 10_000).decimal
    }
}
