import CEmbedded
import Encoding
import YAML

/// The files that are part of the program.
enum EmbeddedFiles {
    /// The CustomResourceDefinitions of all kinds.
    ///
    /// - Throws: `.software`: the file that was built in cannot be read.
    static func crds() throws(RunError) -> [JSONValue] {
        var crds: [JSONValue] = []
        crds += try documents(trainyard_embedded_trainingjobs_crd(), "crds/trainingjobs.yaml")
        crds += try documents(trainyard_embedded_gcsartifacts_crd(), "crds/gcsartifacts.yaml")
        crds += try documents(trainyard_embedded_modelendpoints_crd(), "crds/modelendpoints.yaml")
        return crds
    }

    /// The operator's ClusterRole rules, as the chart installs them.
    ///
    /// - Throws: as `crds`.
    static func clusterRoleRules() throws(RunError) -> [JSONValue] {
        try documents(trainyard_embedded_clusterrole_rules(), "charts/trainyard/files/clusterrole-rules.yaml")
            .flatMap { $0.arrayValue ?? $0["rules"]?.arrayValue ?? [] }
    }

    private static func documents(
        _ file: trainyard_embedded_file, _ name: String
    ) throws(RunError) -> [JSONValue] {
        let bytes = UnsafeBufferPointer(start: file.bytes, count: file.count)
        do {
            return try YAML.documents(String(decoding: bytes, as: UTF8.self)).map(\.json)
        } catch {
            throw RunError(.software, "the built-in \(name): \(error)")
        }
    }
}
