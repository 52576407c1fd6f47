import Encoding

/// What instances cost by list price, and which shapes Cloud Run has. Source: Google's Billing API, 2026-08, us-central1,
/// instance-based billing; instances that are paid by the request cost less.
enum ModelEndpointCost {
    /// Dollars per vCPU and second, and per GiB and second.
    private static let cpuSecond = 0.000018
    private static let memorySecond = 0.000002
    private static let wholeCPUs: Set<Double> = [1, 2, 4, 6, 8]

    /// Dollars per second, and the least vCPU and GiB that an instance needs.
    private static func gpu(
        _ gpu: ModelEndpoint.Predictor.Accelerator.GPU
    ) -> (second: Double?, cpu: Double, memory: Double) {
        switch gpu.type {
        case .nvidiaL4: (gpu.zonalRedundancy ? 0.0002909 : 0.0001867, 4, 16)
        // With redundancy there is no list price at hand.
        case .nvidiaRTXPro6000: (gpu.zonalRedundancy ? nil : 0.00036522, 20, 80)
        }
    }

    private static func cpu(_ predictor: ModelEndpoint.Predictor) -> Double? {
        amount(predictor.resources?.limits?.cpu) ?? (predictor.accelerator == nil ? 1 : 4)
    }

    /// GiB.
    private static func memory(_ predictor: ModelEndpoint.Predictor) -> Double? {
        amount(predictor.resources?.limits?.memory).map { $0 / 1_073_741_824 }
            ?? (predictor.accelerator == nil ? 0.5 : 16)
    }

    /// Why Cloud Run has no such instance; nil when it has.
    static func problem(of predictor: ModelEndpoint.Predictor) -> String? {
        guard let cpu = cpu(predictor), let memory = memory(predictor) else {
            return "predictor.resources.limits: not a quantity"
        }
        if let gpu = predictor.accelerator?.gpu {
            let least = Self.gpu(gpu)
            guard cpu >= least.cpu, memory >= least.memory else {
                return "predictor.resources.limits: \(gpu.type.rawValue) needs at least \(Int(least.cpu)) CPUs and "
                    + "\(Int(least.memory))Gi"
            }
            return nil
        }
        guard wholeCPUs.contains(cpu) || cpu < 1 && cpu > 0 else {
            return "predictor.resources.limits.cpu: Cloud Run has 1, 2, 4, 6 or 8, or less than one"
        }
        return nil
    }

    /// Of one instance that runs for an hour; nil where a price is not known.
    static func hourly(_ predictor: ModelEndpoint.Predictor) -> Money? {
        guard let cpu = cpu(predictor), let memory = memory(predictor) else { return nil }
        var second = cpu * cpuSecond + memory * memorySecond
        if let gpu = predictor.accelerator?.gpu {
            guard let price = Self.gpu(gpu).second else { return nil }
            second += price
        }
        return Money(microdollars: Int64((second * 3600 * 1_000_000).rounded()))
    }

    /// `4`, `"500m"`, `"16Gi"`; nil for what is no quantity, and where there is none.
    private static func amount(_ value: JSONValue?) -> Double? {
        guard let text = value.flatMap(ModelEndpointService.quantity) else { return nil }
        let units: [(String, Double)] = [
            ("Ki", 1024), ("Mi", 1_048_576), ("Gi", 1_073_741_824), ("Ti", 1_099_511_627_776), ("m", 0.001),
            ("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12),
        ]
        for (suffix, factor) in units where text.hasSuffix(suffix) {
            return Double(text.dropLast(suffix.count)).map { $0 * factor }
        }
        return Double(text)
    }
}
