import Glibc
import Testing

@testable import Sandbox

/// kube-apiserver and etcd, as the envtest convention has them: in the folder that KUBEBUILDER_ASSETS names.
enum Assets {
    static let folder: String? = {
        guard let text = getenv("KUBEBUILDER_ASSETS") else { return nil }
        let folder = String(cString: text)
        let programs = ["kube-apiserver", "etcd"].map { "\(folder)/\($0)" }
        return programs.allSatisfy(LocalFiles.isExecutable) ? folder : nil
    }()

    static let reason: Comment = "no real API server: name a folder with kube-apiserver and etcd in KUBEBUILDER_ASSETS"

    /// apiextensions-apiserver and etcd, in the folder that TRAINYARD_APIEXTENSIONS names: custom resources of a newer
    /// Kubernetes, before the kube-apiserver.
    static let extensions: String? = {
        guard folder != nil, let text = getenv("TRAINYARD_APIEXTENSIONS") else { return nil }
        let newer = String(cString: text)
        let programs = ["apiextensions-apiserver", "etcd"].map { "\(newer)/\($0)" }
        return programs.allSatisfy(LocalFiles.isExecutable) ? newer : nil
    }()

    static let newerReason: Comment =
        "no newer API server: name a folder with apiextensions-apiserver and etcd in TRAINYARD_APIEXTENSIONS"

    static let openssl: String? = {
        let folders = (getenv("PATH").map { String(cString: $0) } ?? "").split(separator: ":")
        return folders.map { "\($0)/openssl" }.first(where: LocalFiles.isExecutable)
    }()

    /// The environment of the programs that tests start.
    static let environment: [String: String] = {
        var variables = ["HOME": "/nonexistent"]
        for name in ["PATH", "TMPDIR", "LANG"] { variables[name] = getenv(name).map { String(cString: $0) } }
        return variables
    }()
}
