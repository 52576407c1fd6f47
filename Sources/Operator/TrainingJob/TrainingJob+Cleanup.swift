extension TrainingJob.Cleanup {
    /// When the machines go.
    public enum Compute: String, Codable, Sendable, Hashable {
        /// After the outputs were checked, or could not be for too long.
        case afterVerification = "AfterVerification"
        /// As soon as the pods have ended.
        case immediately = "Immediately"
        /// Some time after the run's end, for somebody who wants to look at them.
        case retain = "Retain"
    }

    /// How long the release waits for a bucket that cannot be read.
    var releaseGrace: Duration { compute == .immediately ? .zero : .seconds(verificationGraceSeconds) }
}
