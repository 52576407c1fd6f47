import GoogleCloud
import Kubernetes

/// What the installation's policies say of one object. Pure; asked at every decision, so that a policy that was narrowed
/// counts for the next thing that is made. What is there already is released as ever: a policy never keeps machines.
enum TenantRules {
    typealias Policy = TenantPolicies.Policy

    /// The policy that counts, or why nothing is allowed; nil where the installation has no policies.
    private static func policy(
        _ namespace: String, _ configuration: OperatorConfiguration
    ) -> Result<Policy, Refusal>? {
        guard let policies = configuration.tenantPolicies else { return nil }
        guard let policy = policies.policy(of: namespace) else {
            return .failure(Refusal("no tenant policy names the namespace \(namespace), which so may use nothing"))
        }
        return .success(policy)
    }

    private struct Refusal: Error {
        var message: String

        init(_ message: String) { self.message = message }

        /// - list: the field of the policy that does not have it.
        init(_ what: String, _ list: String, _ policy: Policy) {
            message = "the tenant policy \(policy.name) does not allow \(what) (\(list))"
        }
    }

    private static func allows(_ list: [String]?, _ word: String) -> Bool {
        list.map { $0.contains { TenantPolicies.matches(word, $0) } } ?? true
    }

    /// A zone is where its region is.
    private static func allows(location: String, _ policy: Policy) -> Bool {
        let location = location.lowercased()
        let region = location.split(separator: "-").prefix(2).joined(separator: "-")
        return allows(policy.locations, location) || allows(policy.locations, region)
    }

    // MARK: TrainingJob

    /// Without the options that the namespace may not have; those are told among the skipped ones.
    static func allowed(_ options: CapacityOptions, _ observation: TrainingJobObservation) -> CapacityOptions {
        let namespace = observation.job.metadata.namespace ?? ""
        guard let policy = policy(namespace, observation.configuration) else { return options }
        var allowed = CapacityOptions(skipped: options.skipped)
        for option in options.usable {
            switch policy.flatMap({ policy in check(option, policy) }) {
            case .success: allowed.usable.append(option)
            case .failure(let refusal):
                allowed.skipped.append(
                    .init(
                        reason: .notAllowed, message: "\(option.candidate.name) in \(option.zone): \(refusal.message)"))
            }
        }
        return allowed
    }

    private static func check(_ option: CapacityOption, _ policy: Policy) -> Result<Void, Refusal> {
        guard allows(location: option.zone, policy) else {
            return .failure(Refusal("the zone \(option.zone)", "locations", policy))
        }
        guard allows(policy.machineTypes, option.machine.type) else {
            return .failure(Refusal("the machine type \(option.machine.type)", "machineTypes", policy))
        }
        if let type = option.accelerator?.gpu?.type ?? option.accelerator?.tpu?.type, !allows(policy.accelerators, type)
        {
            return .failure(Refusal("the accelerator \(type)", "accelerators", policy))
        }
        let nodes = option.shape.nodeCount
        if let limit = policy.maxNodes, nodes > limit {
            return .failure(Refusal("\(nodes) nodes, but \(limit)", "maxNodes", policy))
        }
        let accelerators = max(option.machine.acceleratorCount, option.shape.acceleratorsPerNode) * nodes
        if let limit = policy.maxAccelerators, option.accelerator != nil, accelerators > limit {
            return .failure(Refusal("\(accelerators) accelerators, but \(limit)", "maxAccelerators", policy))
        }
        return .success(())
    }

    // MARK: GCSArtifact

    /// Why the artifact may not be where it is to be, or take from where it does; nil when it may.
    static func refusal(_ observation: GCSArtifactObservation) -> String? {
        let namespace = observation.artifact.metadata.namespace ?? ""
        guard let policy = policy(namespace, observation.configuration) else { return nil }
        switch policy.flatMap({ policy in check(observation.spec, policy) }) {
        case .success: return nil
        case .failure(let refusal): return refusal.message
        }
    }

    private static func check(_ spec: GCSArtifact.Spec, _ policy: Policy) -> Result<Void, Refusal> {
        let sources = [spec.source?.uri?.uri, spec.source?.dvc?.uri, spec.source?.dvc?.remote].compactMap { $0 }
        let buckets = [spec.bucket?.name].compactMap { $0 } + sources.map(bucket)
        for bucket in buckets where !allows(policy.buckets, bucket) {
            return .failure(Refusal("the bucket \(bucket)", "buckets", policy))
        }
        // Where a bucket is that is only observed, is for whoever made it.
        if let bucket = spec.bucket, bucket.isManaged, let location = bucket.location,
            !allows(location: location, policy)
        {
            return .failure(Refusal("buckets in \(location)", "locations", policy))
        }
        return .success(())
    }

    /// The bucket of `gs://bucket/…`; the whole text where it is no such URI, which no list has.
    private static func bucket(_ uri: String) -> String {
        guard uri.hasPrefix("gs://") else { return uri }
        return String(uri.dropFirst(5).prefix { $0 != "/" })
    }

    // MARK: ModelEndpoint

    /// Why the endpoint may not be made as it is described; nil when it may.
    static func refusal(_ observation: ModelEndpointObservation) -> String? {
        guard let policy = policy(observation.namespace, observation.configuration) else { return nil }
        switch policy.flatMap({ policy in check(observation.spec, observation.predictor, policy) }) {
        case .success: return nil
        case .failure(let refusal): return refusal.message
        }
    }

    private static func check(
        _ spec: ModelEndpoint.Spec, _ predictor: ModelEndpoint.Predictor, _ policy: Policy
    ) -> Result<Void, Refusal> {
        guard let service = spec.backend.cloudRun else { return .success(()) }
        guard allows(location: service.location, policy) else {
            return .failure(Refusal("services in \(service.location)", "locations", policy))
        }
        if let type = predictor.accelerator?.gpu.type.rawValue, !allows(policy.accelerators, type) {
            return .failure(Refusal("the accelerator \(type)", "accelerators", policy))
        }
        if service.ingress == .all, !policy.publicIngress {
            return .failure(Refusal("ingress All", "publicIngress", policy))
        }
        return .success(())
    }
}
