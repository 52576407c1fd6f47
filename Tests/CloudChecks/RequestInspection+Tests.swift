import Glibc
public import Sandbox
import Testing

extension RequestInspection {
    /// What every simulated cloud of the tests gets: requests are checked against the discovery documents in the folder
    /// that the environment's `TRAINYARD_DISCOVERY` names, and a finding fails the test. `TRAINYARD_REQUEST_LOG` names a
    /// file that they are appended to. Nil without the first.
    ///
    /// Tests that send something wrong on purpose make their cloud without it.
    public static let ofTests: RequestInspection? = {
        guard let folder = variable("TRAINYARD_DISCOVERY") else { return nil }
        do throws(SandboxError) {
            let log = try variable("TRAINYARD_REQUEST_LOG").map { path throws(SandboxError) in
                try RequestLog(path: path)
            }
            return RequestInspection(checker: try DiscoveryChecker(folder: folder), log: log) { finding in
                Issue.record("against Google's discovery document: \(finding)")
            }
        } catch {
            preconditionFailure("TRAINYARD_DISCOVERY and TRAINYARD_REQUEST_LOG must name what can be used: \(error)")
        }
    }()

    private static func variable(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }
}
