public import Encoding

/// What a trainer takes from other objects of its namespace; shapes as in a pod.
extension TrainingJob.Trainer {
    /// One variable's value.
    public struct ValueSource: Codable, Sendable, Hashable {
        public struct Key: Codable, Sendable, Hashable {
            public var name: String
            public var key: String
            public var optional: Bool?
        }

        public struct Field: Codable, Sendable, Hashable {
            public enum Path: String, Codable, Sendable, Hashable, CaseIterable {
                case name = "metadata.name"
                case namespace = "metadata.namespace"
                case uid = "metadata.uid"
                case nodeName = "spec.nodeName"
                case podIP = "status.podIP"
            }

            public var fieldPath: Path
        }

        public var secretKeyRef: Key?
        public var configMapKeyRef: Key?
        public var fieldRef: Field?
    }

    /// All of an object's values as variables.
    public struct VariableSource: Codable, Sendable, Hashable {
        public struct Reference: Codable, Sendable, Hashable {
            public var name: String
            public var optional: Bool?
        }

        public var prefix: String?
        public var secretRef: Reference?
        public var configMapRef: Reference?
    }

    /// A volume of every pod.
    public struct Volume: Codable, Sendable, Hashable {
        public struct EmptyDirectory: Codable, Sendable, Hashable {
            public enum Medium: String, Codable, Sendable, Hashable {
                case disk = ""
                case memory = "Memory"
            }

            /// A quantity: "8Gi", or bytes as an integer.
            public var sizeLimit: JSONValue?
            public var medium: Medium?
        }

        public struct ConfigMap: Codable, Sendable, Hashable {
            public var name: String
            public var optional: Bool?
        }

        public struct Secret: Codable, Sendable, Hashable {
            public var secretName: String
            public var optional: Bool?
        }

        public struct Claim: Codable, Sendable, Hashable {
            public var claimName: String
            public var readOnly: Bool?
        }

        public var name: String
        public var emptyDir: EmptyDirectory?
        public var configMap: ConfigMap?
        public var secret: Secret?
        public var persistentVolumeClaim: Claim?
    }

    /// Where the container sees a volume.
    public struct VolumeMount: Codable, Sendable, Hashable {
        public var name: String
        public var mountPath: String
        public var subPath: String?
        public var readOnly: Bool?
    }

    /// Names a Secret with the credentials of a registry.
    public struct PullSecret: Codable, Sendable, Hashable {
        public var name: String
    }
}

/// The same as a pod has it.
enum TrainingJobPodSources {
    /// How pods call a volume of the user's: ours have names too.
    private static func name(_ index: Int) -> JSONValue { .string("volume-\(index)") }

    static func volumes(_ spec: RunSpec) -> [JSONValue] {
        (spec.trainer?.volumes ?? []).enumerated().map { index, volume in
            var json = encoded(volume)
            json["name"] = name(index)
            return json
        }
    }

    static func mounts(_ spec: RunSpec) -> [JSONValue] {
        let names = (spec.trainer?.volumes ?? []).map(\.name)
        return (spec.trainer?.volumeMounts ?? []).compactMap { mount in
            guard let index = names.firstIndex(of: mount.name) else { return nil }
            var json = encoded(mount)
            json["name"] = name(index)
            return json
        }
    }

    static func variable(_ variable: TrainingJob.Trainer.Variable) -> JSONValue {
        var json: JSONValue = ["name": .string(variable.name)]
        if let source = variable.valueFrom {
            json["valueFrom"] = encoded(source)
        } else {
            json["value"] = .string(variable.value ?? "")
        }
        return json
    }

    /// `envFrom` of the container; what stands in `env` wins over it.
    static func variables(_ spec: RunSpec) -> [JSONValue] { (spec.trainer?.envFrom ?? []).map(encoded) }

    static func pullSecrets(_ spec: RunSpec) -> [JSONValue] { (spec.trainer?.imagePullSecrets ?? []).map(encoded) }

    /// Shapes are the pod's: what was decoded from JSON can be encoded.
    private static func encoded(_ value: some Encodable) -> JSONValue { (try? JSONValue(encoding: value)) ?? [:] }

    // MARK: Rules

    /// Why no pod can be made of these, once more than the CRD says it; nil when one can.
    static func problem(_ trainer: TrainingJob.Trainer) -> String? {
        for variable in trainer.env ?? [] {
            guard let source = variable.valueFrom else { continue }
            if variable.value != nil { return "trainer.env[\(variable.name)]: value and valueFrom exclude each other" }
            let given = [source.secretKeyRef != nil, source.configMapKeyRef != nil, source.fieldRef != nil]
            if given.count(where: { $0 }) != 1 { return "trainer.env[\(variable.name)].valueFrom: exactly one source" }
        }
        for source in trainer.envFrom ?? [] where (source.secretRef == nil) == (source.configMapRef == nil) {
            return "trainer.envFrom: exactly one of secretRef, configMapRef"
        }
        for volume in trainer.volumes ?? [] {
            let given = [
                volume.emptyDir != nil, volume.configMap != nil, volume.secret != nil,
                volume.persistentVolumeClaim != nil,
            ]
            if given.count(where: { $0 }) != 1 { return "trainer.volumes[\(volume.name)]: exactly one volume source" }
        }
        let names = Set((trainer.volumes ?? []).map(\.name))
        if let mount = (trainer.volumeMounts ?? []).first(where: { !names.contains($0.name) }) {
            return "trainer.volumeMounts[\(mount.mountPath)]: there is no volume \(mount.name)"
        }
        return nil
    }
}
