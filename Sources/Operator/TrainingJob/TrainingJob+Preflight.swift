extension TrainingJob {
    /// What is looked at before machines are looked for.
    public struct Preflight: Codable, Sendable, Hashable {
        public enum Check: String, Codable, Sendable, Hashable, CaseIterable {
            case kernels = "Kernels"
            case buckets = "Buckets"
            case iam = "IAM"
            case quota = "Quota"
            case locality = "Locality"
            case image = "Image"
            case selfTest = "SelfTest"
        }

        public var skip: [Check]?
        public var selfTestArgs: [String]?
    }

    /// What was found.
    public struct PreflightStatus: Codable, Sendable, Hashable {
        public var name: String
        /// `Passed`, `Warning`, `Failed`, `Skipped` or `NotChecked`.
        public var result: String
        public var detail: String?
    }
}

extension TrainingJob.Spec {
    func skips(_ check: TrainingJob.Preflight.Check) -> Bool { preflight?.skip?.contains(check) ?? false }
}
