import Glibc
import Sandbox

/// The operator's own developers check what it sends to Google: `TRAINYARD_DISCOVERY` names a folder of discovery
/// documents, `TRAINYARD_REQUEST_LOG` a file that requests are appended to.
enum RequestChecks {
    /// - Throws: `.usage` when a variable names what cannot be used.
    static func inspection() throws(RunError) -> RequestInspection? {
        let path = Environment.value("TRAINYARD_REQUEST_LOG").flatMap { $0.isEmpty ? nil : $0 }
        guard let folder = Environment.value("TRAINYARD_DISCOVERY"), !folder.isEmpty else {
            if path == nil { return nil }
            throw RunError(.usage, "TRAINYARD_REQUEST_LOG needs TRAINYARD_DISCOVERY, a folder of discovery documents")
        }
        do throws(SandboxError) {
            let log = try path.map { path throws(SandboxError) in try RequestLog(path: path) }
            return RequestInspection(checker: try DiscoveryChecker(folder: folder), log: log) { finding in
                FileDescriptor.write("trainyard: against Google's discovery document: \(finding)\n", to: STDERR_FILENO)
            }
        } catch {
            throw RunError(.usage, error.message)
        }
    }

    /// - Throws: `.software` when a request was refused.
    static func finish(_ cloud: SimulatedCloud) throws(RunError) {
        let count = cloud.refusedRequestCount
        guard count == 0 else {
            throw RunError(.software, "\(count) requests did not agree with Google's discovery documents; see above")
        }
    }
}
