import Encoding
public import GoogleCloud

/// Names are derived, never remembered: a lost reply is harmless, because the next observation finds the thing by name.
public enum Naming {
    /// `<name>-<first 5 of the uid>-r<N>`: at most 40 + 1 + 5 + 2 + 4 characters for 9,999 runs.
    public static func runID(job: String, uid: String, number: Int) -> String {
        "\(job)-\(uid.prefix(5))-r\(number)"
    }

    /// The Job of one slice of an attempt; its pods are `<this>-<index>-<random>`. The first slice's name says nothing of
    /// slices: most runs have one.
    public static func attemptJob(runID: String, attempt: Int, slice: Int = 0) -> String {
        slice == 0 ? "\(runID)-a\(attempt)" : "\(runID)-a\(attempt)-s\(slice)"
    }

    /// The ControllerRevision that keeps a run-relevant spec. The uid is in it so that an object that is made again does
    /// not meet the revision of its predecessor, which the garbage collector may not have taken yet.
    public static func revision(job: String, uid: String, specHash: String) -> String {
        let hex = specHash.split(separator: ":").last ?? ""
        return "\(job)-\(uid.prefix(5))-\(hex.prefix(10))"
    }

    /// The node pool of one place where a run looks for machines: GKE allows 40 characters. The hash (16 of SHA-256's hex
    /// digits, so 2^32 pools for an even chance of a collision) holds what makes it unique; the rest is for people.
    ///
    /// - Parameter slice: of a run on several TPU slices, each of which has a pool of its own; from 0.
    public static func nodePool(uid: String, run: Int, candidate: String, zone: String, slice: Int = 0) -> String {
        let parts = [uid, String(run), candidate, zone] + (slice == 0 ? [] : [String(slice)])
        let name = "ty-\(Digest.sha256Hex(parts.joined(separator: "\n")).prefix(16))-r\(run)-\(zoneSuffix(zone))"
        return slice == 0 ? name : "\(name)-\(slice)"
    }

    /// Names an object of any generation in a label's value: 32 of SHA-256's hex digits.
    public static func objectKey(kind: String, namespace: String, name: String) -> String {
        String(Digest.sha256Hex([kind, namespace, name].joined(separator: "\n")).prefix(32))
    }

    /// Full resource name, without scheme.
    public static func externalReference(nodePool: String, in cluster: ClusterName) -> String {
        "//container.googleapis.com/\(cluster)/nodePools/\(nodePool)"
    }

    /// `us-central1-b` → `b`.
    private static func zoneSuffix(_ zone: String) -> String {
        zone.split(separator: "-").last.map { String($0.prefix(4)) } ?? "z"
    }
}
