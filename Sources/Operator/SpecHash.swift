import Encoding

/// Identifies what a run executes: `v1:sha256:<hex>` over the canonical run-relevant spec.
///
/// Fields that have the default of hash version 1 are left out, so that a CRD upgrade that adds a default reruns nobody.
/// A value of another hash version is never compared: it means "take a new baseline".
public enum SpecHash {
    public static let version = "v1"

    /// The hash of a spec.
    public static func hash(_ spec: RunSpec) -> String {
        "\(version):sha256:\(Digest.sha256Hex(canonicalText(spec)))"
    }

    /// Whether a hash was made by this version, so that it can be compared.
    public static func isComparable(_ hash: String) -> Bool { hash.hasPrefix("\(version):") }

    /// The text that is hashed: sorted keys, no white space, no defaults, no empty objects and lists.
    public static func canonicalText(_ spec: RunSpec) -> String {
        // A spec was decoded from JSON: it can be encoded, except for a NaN, which JSON does not have.
        let value = (try? JSONValue(encoding: spec)) ?? .null
        return (canonical(value, path: "") ?? .object([:])).serializedText()
    }

    /// Defaults of hash version 1. Frozen: a new default needs a new version.
    private static let defaults: [String: JSONValue] = [
        "backend.type": "GKE",
        "backend.gke.nodePool.policy": "CreatePerRun",
        "accelerator.gpu.count": 1,
        "accelerator.gpu.driverVersion": "Default",
        "accelerator.tpu.slices": 1,
        "trainer.numNodes": 1,
        "trainer.kernels.allowCPUFallback": false,
        "trainer.terminationGracePeriodSeconds": 25,
        "checkpoint.keepLast": 3,
        "outputs.prefix": "runs/{runID}/",
        "outputs.required[].minBytes": 1,
        "outputs.required[].minCount": 1,
    ]

    private static func canonical(_ value: JSONValue, path: String) -> JSONValue? {
        if defaults[path] == value { return nil }
        switch value {
        case .null: return nil
        case .object(let members):
            var result: [String: JSONValue] = [:]
            for (key, member) in members {
                result[key] = canonical(member, path: path.isEmpty ? key : "\(path).\(key)")
            }
            return result.isEmpty ? nil : .object(result)
        case .array(let elements):
            // Elements keep their place: an element of defaults only becomes an empty object.
            let result = elements.map { canonical($0, path: path + "[]") ?? .object([:]) }
            return result.isEmpty ? nil : .array(result)
        case .bool, .integer, .number, .string: return value
        }
    }
}
