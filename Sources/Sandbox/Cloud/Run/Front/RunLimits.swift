internal import Encoding

/// How many instances a revision may have, from what its service and its template say.
enum RunLimits {
    static func of(
        _ revision: RunService.Revision, in service: RunService, _ configuration: FrontConfiguration
    ) -> InstancePool.Limits {
        let concurrency = revision.template["maxInstanceRequestConcurrency"]?.integerValue ?? 0
        var limits = InstancePool.Limits(
            concurrency: concurrency > 0 ? Int(concurrency) : 80, minimum: 0, maximum: 0,
            idleTimeout: configuration.idleTimeout, queueTimeout: configuration.queueTimeout,
            grace: configuration.grace)
        let targets = service.routed.filter { service.resolve($0)?.name == revision.name }
        let percent = targets.map(\.percent).reduce(0, +)
        let isManual = service.resource.value(at: ["scaling", "scalingMode"]) == "MANUAL"
        let count = service.resource.value(at: ["scaling", "manualInstanceCount"])?.integerValue ?? 0
        // A revision that only a tag leads to scales as always, unless the whole service is switched off.
        if isManual, count == 0 || percent > 0 || targets.isEmpty {
            // A revision without traffic has what it needs for its check.
            let own = isPending(revision) && count > 0 ? max(1, share(of: count, percent)) : share(of: count, percent)
            limits.minimum = min(own, configuration.instanceLimit)
            limits.maximum = limits.minimum
            limits.isExact = true
            return limits
        }
        let maximums = [revision.template, service.resource].compactMap {
            $0.value(at: ["scaling", "maxInstanceCount"])?.integerValue
        }
        limits.maximum = Int((maximums + [Int64(configuration.instanceLimit)]).filter { $0 > 0 }.min() ?? 1)
        var minimum = 0
        if !targets.isEmpty {
            minimum = Int(revision.template.value(at: ["scaling", "minInstanceCount"])?.integerValue ?? 0)
        }
        if percent > 0 {
            let count = service.resource.value(at: ["scaling", "minInstanceCount"])?.integerValue ?? 0
            minimum = max(minimum, share(of: count, percent))
        }
        // The check of a new revision needs an instance.
        if isPending(revision) { minimum = max(minimum, 1) }
        limits.minimum = min(minimum, limits.maximum)
        return limits
    }

    private static func share(of count: Int64, _ percent: Int64) -> Int {
        Int((Double(count) * Double(percent) / 100).rounded())
    }

    private static func isPending(_ revision: RunService.Revision) -> Bool {
        if case .pending(let until) = revision.outcome { until == CloudScript.forever } else { false }
    }
}
